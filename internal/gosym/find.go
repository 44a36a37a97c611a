package gosym

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A place is a part of a binary that may hold the table.
type place struct {
	from, size int64 // in the file
	exact      bool  // the table begins here; otherwise it is searched for
}

// find returns the names in the table of the binary.
func find(r io.ReaderAt) (names, error) {
	places, bigEndian, err := placesOf(r)
	if err != nil {
		return names{}, err
	}
	old := false
	for _, p := range places {
		n, err := search(r, p, bigEndian)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, errOld):
			old = true
		case !errors.Is(err, errNoTable):
			return names{}, err
		}
	}
	if old {
		return names{}, errOld
	}
	return names{}, errNoTable
}

// placesOf returns where to look, the likeliest first.
func placesOf(r io.ReaderAt) (places []place, bigEndian bool, err error) {
	head := make([]byte, 4)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, false, fmt.Errorf("read the binary's first bytes: %w", err)
	}
	switch {
	case string(head) == elf.ELFMAG:
		return elfPlaces(r)
	case head[0] == 'M' && head[1] == 'Z':
		places, err = pePlaces(r)
		return places, false, err
	case bytes.Equal(head[1:], []byte{0xfa, 0xed, 0xfe}), bytes.Equal(head[:3], []byte{0xfe, 0xed, 0xfa}):
		return machoPlaces(r)
	default:
		return nil, false, errors.New("neither ELF nor PE nor Mach-O")
	}
}

func elfPlaces(r io.ReaderAt) ([]place, bool, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, false, err
	}
	var named, likely, rest []place
	marked := false // the linker of Go has left its mark
	for _, s := range f.Sections {
		if s.Type == elf.SHT_NOBITS || s.Flags&elf.SHF_COMPRESSED != 0 {
			continue
		}
		p := place{from: int64(s.Offset), size: int64(s.FileSize)}
		switch {
		case s.Name == ".gopclntab" || s.Name == ".data.rel.ro.gopclntab":
			p.exact = true
			named = append(named, p)
		case strings.HasPrefix(s.Name, ".go.") || s.Name == ".note.go.buildid" || s.Name == ".gosymtab":
			marked = true
		case strings.HasPrefix(s.Name, ".data.rel.ro") || s.Name == ".rodata" || s.Name == ".data":
			likely = append(likely, p)
		}
	}
	if !marked {
		likely = nil // searching every library of a system would take seconds
	}
	for _, s := range f.Progs {
		// Where the section headers were stripped too, only segments are left.
		if s.Type == elf.PT_LOAD && len(f.Sections) == 0 {
			rest = append(rest, place{from: int64(s.Off), size: int64(s.Filesz)})
		}
	}
	return append(append(named, likely...), rest...), f.ByteOrder.Uint16([]byte{0, 1}) == 1, nil
}

func pePlaces(r io.ReaderAt) ([]place, error) {
	f, err := pe.NewFile(r)
	if err != nil {
		return nil, err
	}
	var likely, rest []place
	for _, s := range f.Sections {
		p := place{from: int64(s.Offset), size: int64(s.Size)}
		switch s.Name {
		case ".rdata":
			likely = append(likely, p)
		case ".data", ".text":
			rest = append(rest, p)
		}
	}
	return append(likely, rest...), nil
}

func machoPlaces(r io.ReaderAt) ([]place, bool, error) {
	f, err := macho.NewFile(r)
	if err != nil {
		return nil, false, err
	}
	var named, rest []place
	for _, s := range f.Sections {
		p := place{from: int64(s.Offset), size: int64(s.Size)}
		switch s.Name {
		case "__gopclntab":
			p.exact = true
			named = append(named, p)
		case "__rodata", "__const", "__data":
			rest = append(rest, p)
		}
	}
	return append(named, rest...), f.ByteOrder.Uint16([]byte{0, 1}) == 1, nil
}

// search returns the names of the first table in the place.
func search(r io.ReaderAt, p place, bigEndian bool) (names, error) {
	if p.from < 0 || p.size < 0 {
		return names{}, errNoTable
	}
	if p.exact {
		return parseTable(r, p.from, p.size)
	}
	// The bytes that every header has in common: three of the magic number and
	// the two zeros behind it; in little-endian order one more goes before them.
	pattern, before := []byte{0xff, 0xff, 0xff, 0, 0}, int64(1)
	if bigEndian {
		pattern, before = []byte{0xff, 0xff, 0xff}, 0
	}
	old := false
	const chunk, overlap = 1 << 20, 8
	buf := make([]byte, min(chunk+overlap, p.size))
	for at := int64(0); at < p.size; at += chunk {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), p.size-at)], p.from+at)
		if err != nil && !errors.Is(err, io.EOF) {
			return names{}, fmt.Errorf("search the table of functions: %w", err)
		}
		for i := 0; ; i++ {
			j := bytes.Index(buf[i:n], pattern)
			if j < 0 {
				break
			}
			i += j
			begin := at + int64(i) - before
			if begin < 0 || begin%4 != 0 {
				continue
			}
			found, err := parseTable(r, p.from+begin, p.size-begin)
			if err == nil {
				return found, nil
			}
			old = old || errors.Is(err, errOld)
		}
		if n < len(buf) {
			break
		}
	}
	if old {
		return names{}, errOld
	}
	return names{}, errNoTable
}
