// Package manifest is the list of every file of an artifact as one blob: sorted,
// compressed, read through memory mapping, never a slice of millions.
//
// Writer takes entries in order and streams them out; Sorter takes them in any
// order and spills to disk; Reader looks up a path or walks in order; Diff walks
// two manifests at once; Contents answers whether any file has a content, for those
// who have no path to go by. It is not for what a file means (packages, surface):
// only for what it is.
//
//	entries ─ Sorter ─► Writer ─► blob ─ Open ─► Reader ─► Lookup, Cursor, All, Diff
//	Reader ─ WriteContents ─► blob ─ OpenContents ─► Contents ─► Has, HasSize
//
// # Format
//
// All integers are little-endian or, where said, unsigned varints
// (encoding/binary).
//
//	blocks   of up to 64 entries, one after another
//	index    for each block: offset uint64, length uint32, CRC-32C uint32
//	footer   index offset, blocks, entries, executables, bytes: uint64 each;
//	         CRC-32C of index and footer so far: uint32; "TSMANIF" and version 1
//
// An entry is: shared and own length of the path (varints; the shared bytes are
// those of the entry before it, none in the first of a block), the own bytes,
// one byte of kind and exec (exec shifted by 4), one byte of flags, the mode
// (varint), then by flag: owner and group (varints, zigzag), size (varint),
// SHA-256 (32 bytes), link (varint length and bytes).
//
// # Order
//
// Entries are ordered by path, component by component: "/" sorts before every
// other byte, so that a folder is followed at once by all that lies under it.
// Names are bytes, whatever their encoding.
package manifest

import (
	"touchstone.dev/touchstone"
)

// Kind is the type of an entry. The first five are those of touchstone.FileKind;
// the rest appear only in the manifest of a single layer, before the layers are
// squashed.
type Kind uint8

// The kinds of entry. Marks (whiteouts and opaque folders; OCI image-spec,
// layer.md, "Whiteouts") come before the file of the same path.
const (
	Regular Kind = iota
	Dir
	Symlink
	Device
	Fifo
	HardLink // Link is the path of the file that it shares its content with
	Whiteout // hides the path, and all under it, in lower layers
	Opaque   // hides all under the path in lower layers
	kinds
)

// Mark reports whether the kind says something of lower layers instead of
// being a file.
func (k Kind) Mark() bool { return k == Whiteout || k == Opaque }

// Exec is touchstone.ExecKind in one byte.
type Exec uint8

// The ways in which a regular file can be executed.
const (
	ExecNone Exec = iota
	ExecELF
	ExecLibrary
	ExecScript
	execs
)

// Entry is touchstone.File without its strings, for walking millions. Path and
// Link belong to whoever made the entry and hold only as long as that says.
type Entry struct {
	Path   []byte
	Link   []byte
	Kind   Kind
	Exec   Exec
	Hashed bool // whether SHA256 is known: a regular file beyond a limit has none
	Mode   uint32
	UID    int
	GID    int
	Size   int64
	SHA256 [32]byte
}

// File returns the entry in the words of the domain. A mark or hard link has no
// such word: its kind is empty.
func (e *Entry) File() touchstone.File {
	f := touchstone.File{
		Path: string(e.Path), Kind: e.Kind.word(), Mode: e.Mode, UID: e.UID, GID: e.GID,
		Size: e.Size, Link: string(e.Link), Exec: e.Exec.word(),
	}
	if e.Hashed {
		f.SHA256 = touchstone.NewDigest(e.SHA256[:])
	}
	return f
}

// same reports whether two entries of one path describe the same file.
func (e *Entry) same(o *Entry) bool {
	return e.Kind == o.Kind && e.Exec == o.Exec && e.Mode == o.Mode && e.UID == o.UID && e.GID == o.GID &&
		e.Size == o.Size && e.Hashed == o.Hashed && e.SHA256 == o.SHA256 && string(e.Link) == string(o.Link)
}

func (k Kind) word() touchstone.FileKind {
	switch k {
	case Regular:
		return touchstone.FileRegular
	case Dir:
		return touchstone.FileDir
	case Symlink:
		return touchstone.FileSymlink
	case Device:
		return touchstone.FileDevice
	case Fifo:
		return touchstone.FileFifo
	default:
		return ""
	}
}

func (x Exec) word() touchstone.ExecKind {
	switch x {
	case ExecELF:
		return touchstone.ExecELF
	case ExecLibrary:
		return touchstone.ExecLibrary
	case ExecScript:
		return touchstone.ExecScript
	default:
		return touchstone.ExecNone
	}
}

// ExecOf returns the byte for the word.
func ExecOf(w touchstone.ExecKind) Exec {
	switch w {
	case touchstone.ExecELF:
		return ExecELF
	case touchstone.ExecLibrary:
		return ExecLibrary
	case touchstone.ExecScript:
		return ExecScript
	default:
		return ExecNone
	}
}

// Compare orders two paths as manifests do: "/" before every other byte.
func Compare(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		case a[i] < b[i]:
			return -1
		default:
			return 1
		}
	}
	return len(a) - len(b)
}

// compareEntries orders by path, marks first; at most one whiteout, one opaque
// mark and one file may share a path.
func compareEntries(a, b *Entry) int {
	if c := Compare(a.Path, b.Path); c != 0 {
		return c
	}
	return a.class() - b.class()
}

func (e *Entry) class() int {
	switch e.Kind {
	case Whiteout:
		return 0
	case Opaque:
		return 1
	default:
		return 2
	}
}
