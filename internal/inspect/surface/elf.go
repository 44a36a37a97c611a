package surface

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"touchstone.dev/touchstone"
)

// The package debug/elf is used for its constants alone. Its reader goes by the
// section headers, which the kernel and the dynamic linker ignore and which a
// stranger may fill with anything; it also allocates by sizes that the file
// claims. This one goes where the linker goes, through the program headers and
// the loaded segments (System V ABI, chapter 5), and bounds each step.
const (
	maxHeaders = 64 << 10 // bytes of program headers; Linux itself refuses more
	maxDynamic = 64 << 10 // entries of the dynamic section
	maxString  = 4096     // PATH_MAX
	maxNames   = 1024     // names of one kind kept for a file
	maxKept    = 32 << 10 // bytes of all strings kept for a file
)

var errELF = errors.New("malformed ELF file")

// binaryFile is an ELF file being read.
type binaryFile struct {
	content io.ReaderAt
	order   binary.ByteOrder
	wide    bool // 64 bits
	kind    elf.Type
	entry   uint64
	abi     uint32
	kept    int // bytes of strings kept so far
	loads   []segment
	dynamic segment
	interp  segment
}

// segment is a program header, as far as it is used.
type segment struct {
	flags                      elf.ProgFlag
	offset, address, fileBytes uint64
}

// lookELF returns the facts of an ELF file. Object files and core dumps are not
// executed and yield none.
func lookELF(size int64, head []byte, content io.ReaderAt) Facts {
	b := &binaryFile{content: content}
	f := b.facts(head)
	if f.Exec != touchstone.ExecNone && f.Incomplete == "" && !f.Static {
		b.mentions(&f, size)
	}
	return f
}

// facts returns what the headers and the dynamic section say.
func (b *binaryFile) facts(head []byte) Facts {
	phoff, phsize, phnum, err := b.header(head)
	if err != nil || b.kind != elf.ET_EXEC && b.kind != elf.ET_DYN {
		return Facts{} // the kernel and the linker refuse it as well
	}
	f := Facts{Exec: touchstone.ExecELF, ABI: b.abi}
	if err := b.read(&f, phoff, phsize, phnum); err != nil {
		f.Incomplete = err.Error()
	}
	return f
}

// header reads the ELF header: where the program headers lie, how large one is
// and how many there are.
func (b *binaryFile) header(head []byte) (offset uint64, size, count uint16, err error) {
	if len(head) < 52 {
		return 0, 0, 0, fmt.Errorf("%w: the header is cut off", errELF)
	}
	switch elf.Data(head[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		b.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		b.order = binary.BigEndian
	default:
		return 0, 0, 0, fmt.Errorf("%w: byte order %d", errELF, head[elf.EI_DATA])
	}
	b.kind = elf.Type(b.order.Uint16(head[16:]))
	b.abi = uint32(b.order.Uint16(head[18:]))<<8 | uint32(head[elf.EI_CLASS])
	switch elf.Class(head[elf.EI_CLASS]) {
	case elf.ELFCLASS32:
		b.entry = uint64(b.order.Uint32(head[24:]))
		return uint64(b.order.Uint32(head[28:])), b.order.Uint16(head[42:]), b.order.Uint16(head[44:]), nil
	case elf.ELFCLASS64:
		if len(head) < 64 {
			return 0, 0, 0, fmt.Errorf("%w: the header is cut off", errELF)
		}
		b.wide = true
		b.entry = b.order.Uint64(head[24:])
		return b.order.Uint64(head[32:]), b.order.Uint16(head[54:]), b.order.Uint16(head[56:]), nil
	}
	return 0, 0, 0, fmt.Errorf("%w: class %d", errELF, head[elf.EI_CLASS])
}

func (b *binaryFile) read(f *Facts, phoff uint64, phsize, phnum uint16) error {
	if b.content == nil {
		return fmt.Errorf("%w: no content was given", errELF)
	}
	if err := b.segments(phoff, phsize, phnum); err != nil {
		return err
	}
	if n := b.interp.fileBytes; n > 0 {
		text, err := b.text(b.interp.offset, min(n, maxString))
		if err != nil {
			return err
		}
		f.Interp = text
	}
	pie, err := b.dynamicSection(f)
	if err != nil {
		return err
	}
	// A shared object is a program when the linker marked it as one. Programs
	// made before that mark existed (binutils 2.26) name an interpreter and have
	// no name to be linked by; libc.so.6 names one, too, but has a name.
	if b.kind == elf.ET_DYN && !pie && (f.Soname != "" || f.Interp == "") {
		f.Exec = touchstone.ExecLibrary
	}
	f.Static = f.Exec == touchstone.ExecELF && f.Interp == "" && len(f.Needed) == 0
	return nil
}

// segments reads the program headers.
func (b *binaryFile) segments(offset uint64, size, count uint16) error {
	want := uint16(32)
	if b.wide {
		want = 56
	}
	total := int(size) * int(count)
	if size != want || count == 0 || total > maxHeaders {
		return fmt.Errorf("%w: %d program headers of %d bytes", errELF, count, size)
	}
	raw := make([]byte, total)
	if err := b.readAt(raw, offset); err != nil {
		return fmt.Errorf("%w: program headers: %w", errELF, err)
	}
	for ; len(raw) > 0; raw = raw[size:] {
		kind, s := b.segment(raw)
		switch kind {
		case elf.PT_LOAD:
			b.loads = append(b.loads, s)
		case elf.PT_DYNAMIC:
			b.dynamic = s
		case elf.PT_INTERP:
			b.interp = s
		}
	}
	return nil
}

func (b *binaryFile) segment(raw []byte) (elf.ProgType, segment) {
	kind := elf.ProgType(b.order.Uint32(raw))
	if !b.wide {
		return kind, segment{
			offset:    uint64(b.order.Uint32(raw[4:])),
			address:   uint64(b.order.Uint32(raw[8:])),
			fileBytes: uint64(b.order.Uint32(raw[16:])),
			flags:     elf.ProgFlag(b.order.Uint32(raw[24:])),
		}
	}
	return kind, segment{
		flags:     elf.ProgFlag(b.order.Uint32(raw[4:])),
		offset:    b.order.Uint64(raw[8:]),
		address:   b.order.Uint64(raw[16:]),
		fileBytes: b.order.Uint64(raw[32:]),
	}
}

// dynamicSection reads what the linker would load, and reports whether the file
// says that it is a position-independent program.
func (b *binaryFile) dynamicSection(f *Facts) (pie bool, err error) {
	if b.dynamic.fileBytes == 0 {
		return false, nil
	}
	at, ok := b.fileOffset(b.dynamic.address)
	if !ok {
		at = b.dynamic.offset
	}
	var needed []uint64
	var soname, rpath, runpath, strings uint64
	err = b.eachDynamic(at, func(tag elf.DynTag, value uint64) {
		switch tag {
		case elf.DT_NEEDED:
			if len(needed) <= maxNames {
				needed = append(needed, value)
			}
		case elf.DT_SONAME:
			soname = value
		case elf.DT_RPATH:
			rpath = value
		case elf.DT_RUNPATH:
			runpath = value
		case elf.DT_STRTAB:
			strings = value
		case elf.DT_FLAGS_1:
			pie = elf.DynFlag1(value)&elf.DF_1_PIE != 0
		}
	})
	if err != nil {
		return false, err
	}
	if len(needed) > maxNames {
		return false, fmt.Errorf("%w: it needs more than %d libraries", errELF, maxNames)
	}
	table, ok := b.fileOffset(strings)
	if !ok && (soname|rpath|runpath != 0 || len(needed) > 0) {
		return false, fmt.Errorf("%w: the string table is not loaded", errELF)
	}
	for _, s := range []struct {
		at uint64
		to *string
	}{{soname, &f.Soname}, {rpath, &f.RPath}, {runpath, &f.RunPath}} {
		if s.at != 0 {
			if *s.to, err = b.text(table+s.at, maxString); err != nil {
				return false, err
			}
		}
	}
	for _, n := range needed {
		name, err := b.text(table+n, maxString)
		if err != nil {
			return false, err
		}
		f.Needed = append(f.Needed, name)
	}
	return pie, nil
}

// eachDynamic calls yield for the entries of the dynamic section, up to DT_NULL
// or the end of the segment.
func (b *binaryFile) eachDynamic(at uint64, yield func(elf.DynTag, uint64)) error {
	entry := 8
	if b.wide {
		entry = 16
	}
	count := min(b.dynamic.fileBytes/uint64(entry), maxDynamic)
	var buf [4096]byte
	for count > 0 {
		chunk := buf[:entry*int(min(count, uint64(len(buf)/entry)))]
		if err := b.readAt(chunk, at); err != nil {
			return fmt.Errorf("%w: dynamic section: %w", errELF, err)
		}
		at += uint64(len(chunk))
		count -= uint64(len(chunk) / entry)
		for ; len(chunk) > 0; chunk = chunk[entry:] {
			var tag elf.DynTag
			var value uint64
			if b.wide {
				tag, value = elf.DynTag(b.order.Uint64(chunk)), b.order.Uint64(chunk[8:])
			} else {
				tag, value = elf.DynTag(b.order.Uint32(chunk)), uint64(b.order.Uint32(chunk[4:]))
			}
			if tag == elf.DT_NULL {
				return nil
			}
			yield(tag, value)
		}
	}
	return nil
}

// fileOffset returns where in the file the byte lies that is loaded at address.
func (b *binaryFile) fileOffset(address uint64) (uint64, bool) {
	i := slices.IndexFunc(b.loads, func(s segment) bool {
		return address >= s.address && address-s.address < s.fileBytes
	})
	if i < 0 {
		return 0, false
	}
	return b.loads[i].offset + (address - b.loads[i].address), true
}

// text reads the string at offset, up to a NUL byte and at most limit bytes.
func (b *binaryFile) text(offset, limit uint64) (string, error) {
	var buf [maxString]byte
	for n := uint64(0); n < limit; {
		// Most strings are short: a page would be read for nothing.
		step := min(64+n, limit-n)
		got, err := b.content.ReadAt(buf[n:n+step], int64(offset+n))
		if i := bytes.IndexByte(buf[n:n+uint64(got)], 0); i >= 0 {
			n += uint64(i)
			b.kept += int(n)
			if b.kept > maxKept {
				return "", fmt.Errorf("%w: its names are longer than %d bytes", errELF, maxKept)
			}
			return string(buf[:n]), nil
		}
		n += uint64(got)
		if err != nil {
			return "", fmt.Errorf("%w: a string lies outside the file", errELF)
		}
	}
	return "", fmt.Errorf("%w: a string does not end within %d bytes", errELF, limit)
}

func (b *binaryFile) readAt(p []byte, offset uint64) error {
	if int64(offset) < 0 {
		return fmt.Errorf("offset %d: %w", offset, io.ErrUnexpectedEOF)
	}
	n, err := b.content.ReadAt(p, int64(offset))
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
