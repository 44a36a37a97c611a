package surface

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// order both reads and writes numbers.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// elfSpec says what ELF file a test wants.
type elfSpec struct {
	wide      bool
	order     order
	kind      elf.Type
	machine   elf.Machine
	interp    string
	needed    []string
	soname    string
	rpath     string
	runpath   string
	pie       bool
	constants string // of the read-only segment
}

// build makes an ELF file with two segments: one to read, which holds
// everything, and one of code, which is empty. It is loaded 0x10000 above its
// place in the file, so that addresses and offsets are not taken for each other.
func (s elfSpec) build() []byte {
	const above = 0x10000
	header, phsize := 52, 32
	if s.wide {
		header, phsize = 64, 56
	}
	body := []byte{0}
	text := func(v string) uint64 {
		at := len(body)
		body = append(append(body, v...), 0)
		return uint64(at)
	}
	type entry struct {
		tag   elf.DynTag
		value uint64
	}
	var dynamic []entry
	for _, n := range s.needed {
		dynamic = append(dynamic, entry{elf.DT_NEEDED, text(n)})
	}
	for _, n := range []struct {
		tag  elf.DynTag
		text string
	}{{elf.DT_SONAME, s.soname}, {elf.DT_RPATH, s.rpath}, {elf.DT_RUNPATH, s.runpath}} {
		if n.text != "" {
			dynamic = append(dynamic, entry{n.tag, text(n.text)})
		}
	}
	if s.pie {
		dynamic = append(dynamic, entry{elf.DT_FLAGS_1, uint64(elf.DF_1_PIE | elf.DF_1_NOW)})
	}
	body = append(body, s.constants...)
	interp := uint64(0)
	if s.interp != "" {
		interp = text(s.interp)
	}
	start := header + 4*phsize
	dynamic = append(dynamic, entry{elf.DT_STRTAB, uint64(start + above)}, entry{elf.DT_NULL, 0})
	dynamicAt := uint64(start + len(body))
	word := func(v uint64) {
		if s.wide {
			body = s.order.AppendUint64(body, v)
		} else {
			body = s.order.AppendUint32(body, uint32(v))
		}
	}
	for _, d := range dynamic {
		word(uint64(d.tag))
		word(d.value)
	}
	size := uint64(start + len(body))

	out := make([]byte, 0, size)
	class, data := elf.ELFCLASS32, elf.ELFDATA2LSB
	if s.wide {
		class = elf.ELFCLASS64
	}
	if s.order.String() == binary.BigEndian.String() {
		data = elf.ELFDATA2MSB
	}
	out = append(out, 0x7f, 'E', 'L', 'F', byte(class), byte(data), 1)
	out = append(out, make([]byte, 9)...)
	half := func(v uint16) { out = s.order.AppendUint16(out, v) }
	long := func(v uint64) {
		if s.wide {
			out = s.order.AppendUint64(out, v)
		} else {
			out = s.order.AppendUint32(out, uint32(v))
		}
	}
	half(uint16(s.kind))
	half(uint16(s.machine))
	out = s.order.AppendUint32(out, 1)
	long(0x1000)
	long(uint64(header))
	long(0)
	out = s.order.AppendUint32(out, 0)
	half(uint16(header))
	half(uint16(phsize))
	half(4)
	half(0)
	half(0)
	half(0)
	program := func(kind elf.ProgType, flags elf.ProgFlag, offset, n uint64) {
		if s.wide {
			out = s.order.AppendUint32(out, uint32(kind))
			out = s.order.AppendUint32(out, uint32(flags))
			for _, v := range []uint64{offset, offset + above, 0, n, n, 1} {
				out = s.order.AppendUint64(out, v)
			}
			return
		}
		for _, v := range []uint64{uint64(kind), offset, offset + above, 0, n, n, uint64(flags), 1} {
			out = s.order.AppendUint32(out, uint32(v))
		}
	}
	program(elf.PT_LOAD, elf.PF_R, 0, size)
	program(elf.PT_LOAD, elf.PF_R|elf.PF_X, 0, 0)
	interpSize := uint64(0)
	if s.interp != "" {
		interpSize = uint64(len(s.interp) + 1)
	}
	program(elf.PT_INTERP, elf.PF_R, uint64(start)+interp, interpSize)
	program(elf.PT_DYNAMIC, elf.PF_R, dynamicAt, uint64(len(dynamic)*entrySize(s.wide)))
	return append(out, body...)
}

func entrySize(wide bool) int {
	if wide {
		return 16
	}
	return 8
}

func look(name string, content []byte) Facts {
	return Look(name, int64(len(content)), content[:min(len(content), HeadSize)], bytes.NewReader(content))
}

func TestLookELF(t *testing.T) {
	amd64 := elfSpec{wide: true, order: binary.LittleEndian, machine: elf.EM_X86_64, kind: elf.ET_DYN}
	with := func(change func(*elfSpec)) elfSpec {
		s := amd64
		change(&s)
		return s
	}
	const abi = uint32(elf.EM_X86_64)<<8 | uint32(elf.ELFCLASS64)
	tests := []struct {
		name string
		spec elfSpec
		want Facts
	}{
		{"position-independent program", with(func(s *elfSpec) {
			s.pie, s.interp, s.needed = true, "/lib64/ld-linux-x86-64.so.2", []string{"libc.so.6", "libz.so.1"}
		}), Facts{Exec: touchstone.ExecELF, ABI: abi, Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libc.so.6", "libz.so.1"}}},
		{"program from before the mark", with(func(s *elfSpec) { s.interp = "/lib/ld.so" }),
			Facts{Exec: touchstone.ExecELF, ABI: abi, Interp: "/lib/ld.so"}},
		{"library", with(func(s *elfSpec) { s.soname, s.runpath = "libx.so.1", "$ORIGIN/../lib" }),
			Facts{Exec: touchstone.ExecLibrary, ABI: abi, Soname: "libx.so.1", RunPath: "$ORIGIN/../lib"}},
		{"library with an interpreter, like libc.so.6", with(func(s *elfSpec) { s.soname, s.interp = "libc.so.6", "/lib/ld.so" }),
			Facts{Exec: touchstone.ExecLibrary, ABI: abi, Soname: "libc.so.6", Interp: "/lib/ld.so"}},
		{"static program", with(func(s *elfSpec) { s.kind = elf.ET_EXEC }), Facts{Exec: touchstone.ExecELF, ABI: abi, Static: true}},
		{"static position-independent program", with(func(s *elfSpec) { s.pie = true }), Facts{Exec: touchstone.ExecELF, ABI: abi, Static: true}},
		{"32 bits, big-endian", elfSpec{order: binary.BigEndian, machine: elf.EM_MIPS, kind: elf.ET_EXEC, interp: "/lib/ld.so.1", rpath: "/opt/lib"},
			Facts{Exec: touchstone.ExecELF, ABI: uint32(elf.EM_MIPS)<<8 | uint32(elf.ELFCLASS32), Interp: "/lib/ld.so.1", RPath: "/opt/lib"}},
		{"names of other libraries", with(func(s *elfSpec) {
			s.soname, s.needed = "liba.so.1", []string{"libb.so.2"}
			s.constants = "x\x00liba.so.1\x00libb.so\x00/usr/lib/libgcc_s.so.1\x00libGLX_%s.so.0\x00lib%s.so\x00libz.sofa\x00libopen.so"
		}), Facts{Exec: touchstone.ExecLibrary, ABI: abi, Soname: "liba.so.1", Needed: []string{"libb.so.2"}, Mentions: []string{"libGLX_*", "libgcc_s.so"}}},
		{"object file", with(func(s *elfSpec) { s.kind = elf.ET_REL }), Facts{}},
		{"core dump", with(func(s *elfSpec) { s.kind = elf.ET_CORE }), Facts{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, look("x", tt.spec.build())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A file that is cut off anywhere is told as incomplete or as what the whole
// one is, and never panics.
func TestLookELFTruncated(t *testing.T) {
	whole := elfSpec{wide: true, order: binary.LittleEndian, kind: elf.ET_DYN, pie: true, interp: "/lib/ld.so", needed: []string{"liba.so", "libb.so"}}.build()
	for n := range whole {
		f := look("x", whole[:n])
		if n >= 64 && (f.Exec == touchstone.ExecNone || f.Incomplete == "" && len(f.Needed) != 2) {
			t.Errorf("%d of %d bytes: %+v", n, len(whole), f)
		}
	}
}

func TestLookELFHostile(t *testing.T) {
	whole := elfSpec{wide: true, order: binary.LittleEndian, kind: elf.ET_DYN, pie: true, needed: []string{"liba.so"}}.build()
	set := func(at int, b ...byte) []byte {
		c := bytes.Clone(whole)
		copy(c[at:], b)
		return c
	}
	full := bytes.Repeat([]byte{0xff}, 8)
	const dynamicHeader = 64 + 3*56
	tests := []struct {
		name    string
		content []byte
	}{
		{"program headers far away", set(32, full...)},
		{"65535 program headers", set(56, 0xff, 0xff)},
		{"program headers of no size", set(54, 0, 0)},
		{"dynamic section of 16 EiB", set(dynamicHeader+32, full...)},
		{"dynamic section far away", set(dynamicHeader+8, append(bytes.Clone(full), full...)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f Facts
			allocations := testing.AllocsPerRun(1, func() { f = look("x", tt.content) })
			if f.Exec == touchstone.ExecNone || allocations > 100 {
				t.Errorf("%v allocations, %+v", allocations, f)
			}
		})
	}
}

func TestLookOthers(t *testing.T) {
	tests := []struct {
		name, path, content string
		want                Facts
	}{
		{"script", "x", "#!/bin/sh\nexit", Facts{Exec: touchstone.ExecScript, Interp: "/bin/sh"}},
		{"argument", "x", "#! /usr/bin/env  -S python3 -u \n", Facts{Exec: touchstone.ExecScript, Interp: "/usr/bin/env", Argument: "-S python3 -u"}},
		{"no newline", "x", "#!/bin/true", Facts{Exec: touchstone.ExecScript, Interp: "/bin/true"}},
		{"Rust attribute", "x.rs", "#![no_std]\n", Facts{}},
		{"empty", "x", "#!\n", Facts{}},
		{"byte order mark", "x", "\ufeff#!/bin/sh\n", Facts{}},
		{"text", "bin/sh", "hello", Facts{}},
		{"nothing", "x", "", Facts{}},
		{"linker configuration", "etc/ld.so.conf.d/a.conf", "# libc\n/opt/lib # x\n\n include b\n", Facts{Lines: []string{"/opt/lib", "include b"}}},
		{"musl's", "etc/ld-musl-x86_64.path", "/lib:/opt/lib\n", Facts{Lines: []string{"/lib:/opt/lib"}}},
		{"not the linker's", "etc/ld.conf", "/opt/lib\n", Facts{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, look(tt.path, []byte(tt.content))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzLook(f *testing.F) {
	f.Add(elfSpec{wide: true, order: binary.LittleEndian, kind: elf.ET_DYN, pie: true, interp: "/lib/ld.so", needed: []string{"liba.so"}, constants: "libdl.so.2"}.build())
	f.Add(elfSpec{order: binary.BigEndian, kind: elf.ET_EXEC, rpath: "/x", soname: "y"}.build())
	f.Add([]byte("#!/usr/bin/env -S a b\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, name := range []string{"x", "etc/ld.so.conf"} {
			facts := look(name, content)
			if n := facts.weight(); n > 4*maxKept+maxConfig*20 {
				t.Errorf("%d bytes of facts", n)
			}
		}
	})
}

// alpine yields the regular files of a real root file system.
func alpine(t testing.TB, version string, yield func(*tar.Header, []byte)) {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Skip("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
	name := filepath.Join(root, "..", "shared", "data", "images", "alpine-minirootfs-"+version+"-x86_64.tar.gz")
	file, err := os.Open(name)
	if err != nil {
		t.Skip("the Alpine root file systems are not beside the project: ", err)
	}
	defer file.Close()
	zipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		h.Name = strings.Trim(h.Name, "./")
		yield(h, content)
	}
}

func TestAlpine(t *testing.T) {
	m := memory{}
	alpine(t, "3.20.3", func(h *tar.Header, content []byte) {
		switch h.Typeflag {
		case tar.TypeSymlink:
			m.link(h.Name, h.Linkname)
		case tar.TypeDir:
			m.dir(h.Name, uint32(h.Mode))
		case tar.TypeReg:
			m.put(h.Name, uint32(h.Mode), look(h.Name, content))
		}
	})
	got, gaps := Measure(m, touchstone.Configuration{Command: []string{"/bin/sh"}})
	want := touchstone.Surface{
		Setuid: []string{}, Capabilities: []string{}, Interpreters: []string{}, LoginDaemons: []string{}, WorldWritable: []string{}, Unneeded: []string{},
		Shells:          []string{"bin/busybox"},
		PackageManagers: []string{"sbin/apk"},
		NetworkTools:    []string{"bin/busybox"}, // wget, nc and more
		DebugTools:      []string{"bin/busybox"}, // nsenter
		Needed:          []string{"lib/ld-musl-x86_64.so.1"},
		EntrypointKnown: true,
		Size:            4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(gaps) > 0 {
		t.Error(gaps)
	}
}

func BenchmarkLook(b *testing.B) {
	program := elfSpec{wide: true, order: binary.LittleEndian, kind: elf.ET_DYN, pie: true, interp: "/lib/ld.so", needed: []string{"libc.so.6"},
		constants: strings.Repeat("some text of a program, with words. And more.\x00", 20_000)}.build()
	for name, content := range map[string][]byte{"elf": program, "script": []byte("#!/bin/sh\n"), "text": []byte("hello, world")} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				look("usr/bin/x", content)
			}
		})
	}
}
