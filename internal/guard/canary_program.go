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

// canaryProgram returns the smallest program of this machine that does nothing but
// end with canaryStatus. No image holds it, so that wherever it runs enforcement
// does not work. The note makes one unlike another.
func canaryProgram(note string) ([]byte, error) {
	code, machine, err := exitCode(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	const base, head, program = 0x400000, 64, 56
	size := uint64(head + program + len(code) + len(note))
	var b bytes.Buffer
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + head + program, Phoff: head, Ehsize: head, Phentsize: program, Phnum: 1,
	}
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
	}
	for _, part := range []any{header, segment, code, []byte(note)} {
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
		return []byte{
			0x60 | (canaryStatus&7)<<5, canaryStatus >> 3, 0x80, 0xd2, // movz x0, status
			0xa8, 0x0b, 0x80, 0xd2, // movz x8, SYS_exit (93)
			0x01, 0x00, 0x00, 0xd4, // svc 0
		}, elf.EM_AARCH64, nil
	default:
		return nil, 0, fmt.Errorf("making the canary: no program is known for %s", arch)
	}
}
