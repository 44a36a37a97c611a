package rpmdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Package is what the header of an installed package says.
type Package struct {
	Name, Version, Release, Arch string
	// Epoch is 0 where the header has none; rpm takes them as equal.
	Epoch   uint32
	Source  string // file name of the source rpm: "bash-5.1.8-6.el9.src.rpm"
	Licence string
	Vendor  string

	files files
}

// files are the parallel arrays that a header names files by.
type files struct {
	base  []byte // names, NUL-terminated
	dirs  [][]byte
	index []byte // 4 bytes for each name: which of dirs
	flags []byte // 4 bytes for each name
}

// Tags and types of a header's entries (rpmtag.h).
const (
	tagName       = 1000
	tagVersion    = 1001
	tagRelease    = 1002
	tagEpoch      = 1003
	tagVendor     = 1011
	tagLicence    = 1014
	tagArch       = 1022
	tagFileFlags  = 1037
	tagSourceRPM  = 1044
	tagDirIndexes = 1116
	tagBaseNames  = 1117
	tagDirNames   = 1118

	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
	typeI18NString  = 9

	// fileGhost marks a file that the package only reserves a name for.
	fileGhost = 1 << 6
)

// maxDirs bounds the folders that one package may have files in; a kernel's
// sources have some thousand.
const maxDirs = 1 << 20

// Parse reads a header as the database holds it: two counts, an index of entries
// and their data (lib/header.c). The package's files refer to the header's bytes.
func Parse(header []byte) (Package, error) {
	var p Package
	if len(header) < 8 {
		return p, errors.New("parse an rpm header: shorter than its counts")
	}
	order := binary.BigEndian
	entries, size := uint64(order.Uint32(header)), uint64(order.Uint32(header[4:]))
	if 8+16*entries+size > uint64(len(header)) {
		return p, fmt.Errorf("parse an rpm header: %d entries and %d bytes of data in %d bytes", entries, size, len(header))
	}
	index, data := header[8:8+16*entries], header[8+16*entries:8+16*entries+size]
	// What was changed after the package was built follows the original entries
	// and replaces them. Each tag is read once, or a header that repeats one a
	// million times would take forever.
	last := map[uint32]entry{}
	for ; len(index) > 0; index = index[16:] {
		e := entry{
			tag: order.Uint32(index), kind: order.Uint32(index[4:]),
			offset: uint64(order.Uint32(index[8:])), count: uint64(order.Uint32(index[12:])),
		}
		if e.wanted() {
			last[e.tag] = e
		}
	}
	for tag, e := range last {
		if e.offset > size {
			return p, fmt.Errorf("parse an rpm header: tag %d lies outside its %d bytes", tag, size)
		}
		e.data = data[e.offset:]
		if err := p.set(e); err != nil {
			return p, fmt.Errorf("parse an rpm header: tag %d: %w", tag, err)
		}
	}
	if p.Name == "" || p.Version == "" {
		return p, fmt.Errorf("parse an rpm header: name %q, version %q", p.Name, p.Version)
	}
	return p, nil
}

// entry is one entry of the index with all data from where its own begins.
type entry struct {
	tag, kind     uint32
	offset, count uint64
	data          []byte
}

func (e entry) wanted() bool {
	switch e.tag {
	case tagName, tagVersion, tagRelease, tagEpoch, tagVendor, tagLicence, tagArch,
		tagFileFlags, tagSourceRPM, tagDirIndexes, tagBaseNames, tagDirNames:
		return true
	}
	return false
}

func (p *Package) set(e entry) error {
	var err error
	switch e.tag {
	case tagName:
		p.Name, err = e.text()
	case tagVersion:
		p.Version, err = e.text()
	case tagRelease:
		p.Release, err = e.text()
	case tagArch:
		p.Arch, err = e.text()
	case tagVendor:
		p.Vendor, err = e.text()
	case tagLicence:
		p.Licence, err = e.text()
	case tagSourceRPM:
		p.Source, err = e.text()
	case tagEpoch:
		var b []byte
		if b, err = e.integers(); err == nil && len(b) >= 4 {
			p.Epoch = binary.BigEndian.Uint32(b)
		}
	case tagFileFlags:
		p.files.flags, err = e.integers()
	case tagDirIndexes:
		p.files.index, err = e.integers()
	case tagBaseNames:
		p.files.base, err = e.texts()
	case tagDirNames:
		var names []byte
		if e.count > maxDirs {
			return fmt.Errorf("%w: %d folders", ErrLimit, e.count)
		}
		if names, err = e.texts(); err == nil {
			p.files.dirs = bytes.Split(bytes.TrimSuffix(names, []byte{0}), []byte{0})
		}
	}
	return err
}

// text returns a string; "(none)" is how rpm writes that there is none.
func (e entry) text() (string, error) {
	if e.kind != typeString && e.kind != typeI18NString {
		return "", fmt.Errorf("of type %d, not a string", e.kind)
	}
	s, _, ok := bytes.Cut(e.data, []byte{0})
	if !ok {
		return "", errors.New("a string without an end")
	}
	if string(s) == "(none)" {
		return "", nil
	}
	return string(s), nil
}

// texts returns an array of strings with their terminators.
func (e entry) texts() ([]byte, error) {
	if e.kind != typeStringArray {
		return nil, fmt.Errorf("of type %d, not an array of strings", e.kind)
	}
	end := 0
	for range e.count {
		n := bytes.IndexByte(e.data[end:], 0)
		if n < 0 {
			return nil, fmt.Errorf("fewer than its %d strings", e.count)
		}
		end += n + 1
	}
	return e.data[:end], nil
}

func (e entry) integers() ([]byte, error) {
	if e.kind != typeInt32 {
		return nil, fmt.Errorf("of type %d, not an array of 32-bit integers", e.kind)
	}
	if e.count > uint64(len(e.data))/4 {
		return nil, fmt.Errorf("fewer than its %d integers", e.count)
	}
	return e.data[:4*e.count], nil
}

// Files calls yield with the absolute path of every file that the package brought
// in, until it returns false. Ghosts are left out: the package does not hold them.
func (p *Package) Files(yield func(path string) bool) {
	f := p.files
	for i := 0; len(f.base) > 0; i++ {
		base, rest, _ := bytes.Cut(f.base, []byte{0})
		f.base = rest
		if 4*i+4 > len(f.index) {
			return
		}
		if 4*i+4 <= len(f.flags) && binary.BigEndian.Uint32(f.flags[4*i:])&fileGhost != 0 {
			continue
		}
		dir := binary.BigEndian.Uint32(f.index[4*i:])
		if uint64(dir) >= uint64(len(f.dirs)) {
			continue
		}
		if !yield(string(f.dirs[dir]) + string(base)) {
			return
		}
	}
}

// SourceNameVersion cuts the file name of the source rpm into name and
// "version-release".
func (p *Package) SourceNameVersion() (name, version string) {
	s, ok := strings.CutSuffix(p.Source, ".src.rpm")
	if !ok {
		if s, ok = strings.CutSuffix(p.Source, ".nosrc.rpm"); !ok {
			return "", ""
		}
	}
	release := strings.LastIndexByte(s, '-')
	if release <= 0 {
		return "", ""
	}
	at := strings.LastIndexByte(s[:release], '-')
	if at <= 0 {
		return "", ""
	}
	return s[:at], s[at+1:]
}
