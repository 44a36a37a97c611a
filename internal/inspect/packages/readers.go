package packages

import (
	"context"
	"io"
	"io/fs"

	"touchstone.dev/touchstone"
)

// Config says how much a reader may take. The zero value works.
type Config struct {
	// MaxFile is the size in bytes above which a wanted file is not read but
	// answered with a gap of kind limit; 0 means 2 GiB.
	MaxFile int64
	// MaxArchive is the number of bytes that may come out of one Java archive and
	// all archives inside it; 0 means 1 GiB.
	MaxArchive int64
	// MaxArchiveDepth is how deep archives may lie in archives; 0 means 8.
	MaxArchiveDepth int
	// MaxPackages is the number of packages that one file may prove, and
	// MaxOwned the number of paths that it may own; 0 means 200,000 and
	// 2,000,000.
	MaxPackages int
	MaxOwned    int
}

// Readers reads packages. It holds no state between files and may be used by
// many goroutines at once.
type Readers struct {
	config Config
}

// New returns readers for every format that the package knows.
func New(c Config) *Readers { return &Readers{config: c} }

// Content is a file that can be read at random: a bytes.Reader, a section of a
// tar, an os.File.
type Content interface {
	io.Reader
	io.ReaderAt
	io.Seeker
}

// Input is one wanted file.
type Input struct {
	Path    string // without a leading slash, "/"-separated
	Info    fs.FileInfo
	Content Content
	Size    int64
	// FS holds the layer's kept files (see Keeps); nil means none.
	FS fs.FS
}

// Result is what one file told.
type Result struct {
	// Packages come without release, and with a package URL that Complete
	// finishes. Path is the Input's path; Layer is for the caller to set.
	Packages []touchstone.Package
	// Owned are the paths, without a leading slash, of files that a package of
	// the distribution itself brought in. A language package at one of these
	// paths is the distribution's business and not counted again, and neither
	// is a gap there. Both names of a merged /usr are listed ("lib/x" and
	// "usr/lib/x"). The databases themselves are never among them.
	Owned []string
	// Disowned are paths of dpkg file lists whose Owned does not count, because
	// the package is not the distribution's own (a vendor's repository, a
	// download): its advisories say nothing about what such a package bundles.
	Disowned []string
	// Symbols is the encoded gosym.Set of a Go binary; nil where there is none.
	Symbols []byte
	// Gaps name what could not be read. Layer is for the caller to set.
	Gaps []touchstone.Gap
}

// Wants reports whether Read has anything to do with the file. head holds its
// first bytes: at least 16, or all of a shorter file. Only regular files are
// asked about.
func (r *Readers) Wants(path string, info fs.FileInfo, head []byte) bool { return false }

// Keeps reports whether the file is one that readers look at while they read
// another in the same layer, so that it must be in Input.FS. size is in bytes;
// no file above 64 KiB is kept.
func (r *Readers) Keeps(path string, size int64) bool { return false }

// Read reads one wanted file. It never panics and drops nothing silently: what
// cannot be read is a gap.
func (r *Readers) Read(ctx context.Context, in Input) Result { return Result{} }
