package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// Config says how much a reader may take. The zero value works.
type Config struct {
	// MaxFile is the size in bytes above which a wanted file is not read but
	// answered with a gap of kind limit; 0 means 2 GiB.
	MaxFile int64
	// MaxArchive is the number of bytes that may come out of all archives inside
	// one Java archive; 0 means 2 GiB. At no time is more than 8 MiB of them in
	// memory for each level; the rest lies in an unlinked file in TMPDIR.
	MaxArchive int64
	// MaxArchiveDepth is how deep archives may lie in archives; 0 means 8.
	MaxArchiveDepth int
	// MaxPackages is the number of packages that one file may prove, and
	// MaxOwned the number of paths that it may own; 0 means 200,000 and
	// 2,000,000.
	MaxPackages int
	MaxOwned    int
}

func (c Config) withDefaults() Config {
	orElse := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	orElse(&c.MaxFile, 2<<30)
	orElse(&c.MaxArchive, 2<<30)
	for p, v := range map[*int]int{&c.MaxArchiveDepth: 8, &c.MaxPackages: 200_000, &c.MaxOwned: 2_000_000} {
		if *p == 0 {
			*p = v
		}
	}
	return c
}

// Readers reads packages. It holds no state between files and may be used by
// many goroutines at once.
type Readers struct {
	config  Config
	readers [formats]reader
}

// reader reads one format.
type reader struct {
	name string // as a gap names it
	read func(ctx context.Context, f *file) error
}

// New returns readers for every format that the package knows.
func New(c Config) *Readers {
	scalibr := newExtractors()
	return &Readers{config: c.withDefaults(), readers: [formats]reader{
		formatDpkg:        {"os/dpkg", readDpkg},
		formatDpkgList:    {"os/dpkg", readDpkgList},
		formatDpkgSums:    {"os/dpkg", readDpkgSums},
		formatApk:         {"os/apk", readApk},
		formatRpm:         {"os/rpm", readRpm},
		formatRpmLog:      {"os/rpm", readRpmLog},
		formatPacman:      scalibr.pacman,
		formatPacmanFiles: {"os/pacman", readPacmanFiles},
		formatPortage:     scalibr.portage,
		formatPortageList: {"os/portage", readPortageList},
		formatChisel:      {"os/chisel", readChisel},
		formatCOS:         scalibr.cos,
		formatSnap:        scalibr.snap,
		formatFlatpak:     scalibr.flatpak,
		formatHomebrew:    scalibr.homebrew,
		formatNix:         scalibr.nix,
		formatSpack:       scalibr.spack,
		formatGo:          {"go/binary", readGo},
		formatCargo:       {"rust/auditable", readCargo},
		formatNPM:         {"javascript/package", readNPM},
		formatPython:      {"python/metadata", readPython},
		formatEgg:         {"python/egg", readEgg},
		formatConda:       {"python/conda", readConda},
		formatJava:        {"java/archive", scalibr.readJava},
		formatGem:         scalibr.gemspec,
		formatComposer:    {"php/composer", readComposer},
		formatDotnetDeps:  scalibr.dotnetDeps,
		formatDotnetPE:    {"dotnet/pe", readDotnetPE},
		formatR:           {"r/description", readR},
		formatCPAN:        scalibr.cpan,
		formatLuaRocks:    scalibr.luarocks,
		formatOpam:        scalibr.opam,
		formatNimble:      scalibr.nimble,
		formatWordPress:   scalibr.wordpress,
	}}
}

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
	// is a gap there. What is listed below bin, sbin or lib is listed below usr
	// too, where a merged /usr has it. Documentation, headers and translations
	// are left out, to save memory, and so are the databases themselves.
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

// headSize is how many of the first bytes of a file tell formats.
const headSize = 64

// Wants reports whether Read has anything to do with the file. head holds its
// first bytes: at least headSize, or all of a shorter file. Only regular files are
// asked about.
func (r *Readers) Wants(path string, info fs.FileInfo, head []byte) bool {
	return formatsOf(path, info.Size(), head) != 0
}

// Read reads one wanted file. It never panics and drops nothing silently: what
// cannot be read is a gap.
func (r *Readers) Read(ctx context.Context, in Input) Result {
	var result Result
	head := make([]byte, headSize)
	n, err := in.Content.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		result.Gaps = append(result.Gaps, touchstone.Gap{Kind: touchstone.GapFailed, Path: in.Path, Reader: "packages", Reason: "read the file: " + err.Error()})
		return result
	}
	f := &file{Input: in, config: &r.config, result: &result}
	for set := formatsOf(in.Path, in.Size, head[:n]); set != 0; set &= set - 1 {
		r.run(ctx, r.readers[bits.TrailingZeros64(uint64(set))], f)
	}
	result.Packages = unique(result.Packages)
	return result
}

// run has one reader look at the file from its beginning.
func (r *Readers) run(ctx context.Context, reader reader, f *file) {
	f.reader = reader.name
	defer func() {
		if p := recover(); p != nil {
			f.gap(touchstone.GapFailed, fmt.Sprintf("the reader broke down: %v", p))
		}
	}()
	if f.Size > r.config.MaxFile {
		f.gap(touchstone.GapLimit, fmt.Sprintf("%d bytes are more than the limit of %d", f.Size, r.config.MaxFile))
		return
	}
	if _, err := f.Content.Seek(0, io.SeekStart); err != nil {
		f.gap(touchstone.GapFailed, "read the file: "+err.Error())
		return
	}
	if err := reader.read(ctx, f); err != nil {
		f.fail(err)
	}
}

// unique returns the packages in a fixed order, each once: two readers may prove
// the same one by the same file.
func unique(pkgs []touchstone.Package) []touchstone.Package {
	key := func(p *touchstone.Package) string {
		return p.PURL + "\x00" + p.Name + "\x00" + p.Version + "\x00" + p.Path
	}
	slices.SortStableFunc(pkgs, func(a, b touchstone.Package) int { return strings.Compare(key(&a), key(&b)) })
	return slices.CompactFunc(pkgs, func(a, b touchstone.Package) bool { return key(&a) == key(&b) })
}
