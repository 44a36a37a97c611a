package guard

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"runtime"
)

// canaryStatus is what the canary's program ends with where nobody stops it.
const canaryStatus = 83

// canaryPath is where the canary lies in its cage.
const canaryPath = "/canary"

// canaryProgram returns the smallest program of this machine that does nothing but
// end with canaryStatus. No image holds it, so that wherever it runs enforcement
// does not work. The note makes one unlike another.
func canaryProgram(note string) ([]byte, error) {
	code, machine, err := exitCode(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	return program(machine, code, note)
}

// perchProgram returns a program that waits for a byte on standard input, becomes
// the canary, and ends with the error's number where it is not let.
func perchProgram() ([]byte, error) {
	code, machine, err := perchCode(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	return program(machine, code, canaryPath+"\x00")
}

// program is an ELF file with one segment, which is the whole file: code, and data
// behind it.
func program(machine elf.Machine, code []byte, data string) ([]byte, error) {
	const base, head, table = 0x400000, 64, 56
	size := uint64(head + table + len(code) + len(data))
	var b bytes.Buffer
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + head + table, Phoff: head, Ehsize: head, Phentsize: table, Phnum: 1,
	}
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
	}
	for _, part := range []any{header, segment, code, []byte(data)} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			return nil, fmt.Errorf("making the canary: %w", err)
		}
	}
	return b.Bytes(), nil
}

// exitCode is exit(canaryStatus) in the machine's own words.
func exitCode(arch string) ([]byte, elf.Machine, error) {
	switch arch {
	case "amd64":
		return []byte{
			0xbf, canaryStatus, 0, 0, 0, // mov edi, status
			0xb8, 60, 0, 0, 0, // mov eax, SYS_exit
			0x0f, 0x05, // syscall
		}, elf.EM_X86_64, nil
	case "arm64":
		return words(
			0xd2800000|canaryStatus<<5, // mov x0, status
			0xd2800ba8,                 // mov x8, SYS_exit (93)
			0xd4000001,                 // svc 0
		), elf.EM_AARCH64, nil
	default:
		return nil, 0, fmt.Errorf("making the canary: no program is known for %s", arch)
	}
}

// perchCode is read(0, …, 1), execve(path, {path}, {}), exit(error). The path follows
// the code.
func perchCode(arch string) ([]byte, elf.Machine, error) {
	switch arch {
	case "amd64":
		return []byte{
			0x31, 0xff, // xor edi, edi
			0x48, 0x8d, 0x74, 0x24, 0xf0, // lea rsi, [rsp-16]
			0xba, 1, 0, 0, 0, // mov edx, 1
			0x31, 0xc0, // xor eax, eax: SYS_read
			0x0f, 0x05, // syscall
			0x48, 0x8d, 0x3d, 26, 0, 0, 0, // lea rdi, [rip+26]: the path
			0x6a, 0, // push 0
			0x57,             // push rdi
			0x48, 0x89, 0xe6, // mov rsi, rsp
			0x31, 0xd2, // xor edx, edx
			0xb8, 59, 0, 0, 0, // mov eax, SYS_execve
			0x0f, 0x05, // syscall
			0xf7, 0xd8, // neg eax
			0x89, 0xc7, // mov edi, eax
			0xb8, 60, 0, 0, 0, // mov eax, SYS_exit
			0x0f, 0x05, // syscall
		}, elf.EM_X86_64, nil
	case "arm64":
		return words(
			0xd2800000, // mov x0, 0
			0xd10083ff, // sub sp, sp, 32
			0x910003e1, // mov x1, sp
			0xd2800022, // mov x2, 1
			0xd28007e8, // mov x8, SYS_read (63)
			0xd4000001, // svc 0
			0x10000140, // adr x0, +40: the path
			0xf90003e0, // str x0, [sp]
			0xf90007ff, // str xzr, [sp, 8]
			0x910003e1, // mov x1, sp
			0xd2800002, // mov x2, 0
			0xd2801ba8, // mov x8, SYS_execve (221)
			0xd4000001, // svc 0
			0xcb0003e0, // neg x0, x0
			0xd2800ba8, // mov x8, SYS_exit (93)
			0xd4000001, // svc 0
		), elf.EM_AARCH64, nil
	default:
		return nil, 0, fmt.Errorf("making the canary: no program is known for %s", arch)
	}
}

// words writes the instructions of a machine whose instructions have four bytes.
func words(all ...uint32) []byte {
	out := make([]byte, 0, 4*len(all))
	for _, w := range all {
		out = binary.LittleEndian.AppendUint32(out, w)
	}
	return out
}
