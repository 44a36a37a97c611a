package packages

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor"
	scalibr "github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/depsjson"
	javaarchive "github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/extractor/filesystem/language/lua/luarocks"
	"github.com/google/osv-scalibr/extractor/filesystem/language/nim/nimble"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ocaml/opam"
	"github.com/google/osv-scalibr/extractor/filesystem/language/perl/cpan"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemspec"
	wordpress "github.com/google/osv-scalibr/extractor/filesystem/misc/wordpress/plugins"
	"github.com/google/osv-scalibr/extractor/filesystem/os/cos"
	"github.com/google/osv-scalibr/extractor/filesystem/os/flatpak"
	"github.com/google/osv-scalibr/extractor/filesystem/os/homebrew"
	"github.com/google/osv-scalibr/extractor/filesystem/os/nix"
	"github.com/google/osv-scalibr/extractor/filesystem/os/pacman"
	"github.com/google/osv-scalibr/extractor/filesystem/os/portage"
	"github.com/google/osv-scalibr/extractor/filesystem/os/snap"
	"github.com/google/osv-scalibr/extractor/filesystem/os/spack"
	"github.com/google/osv-scalibr/log"

	"touchstone.dev/touchstone"
)

// extractors are the readers that scalibr's extractors make. Which file goes to
// which of them is formatsOf's decision; their own FileRequired is never asked,
// because it is too slow for every file of an image, and Nix's keeps state.
type extractors struct {
	pacman, portage, cos, snap, flatpak, homebrew, nix, spack    reader
	gemspec, dotnetDeps, cpan, luarocks, opam, nimble, wordpress reader

	java scalibr.Extractor
}

func newExtractors() extractors {
	silenceScalibr()
	e := extractors{
		pacman:     byScalibr(pacman.Name, pacman.New, proves),
		portage:    byScalibr(portage.Name, portage.New, proves),
		cos:        byScalibr(cos.Name, cos.New, 0),
		snap:       byScalibr(snap.Name, snap.New, proves),
		flatpak:    byScalibr(flatpak.Name, flatpak.New, proves),
		homebrew:   byScalibr(homebrew.Name, homebrew.New, 0),
		nix:        byScalibr(nix.Name, nix.New, 0),
		spack:      byScalibr(spack.Name, spack.New, proves),
		gemspec:    byScalibr(gemspec.Name, gemspec.New, proves),
		dotnetDeps: byScalibr(depsjson.Name, depsjson.New, 0),
		cpan:       byScalibr(cpan.Name, cpan.New, 0),
		luarocks:   byScalibr(luarocks.Name, luarocks.New, proves),
		opam:       byScalibr(opam.Name, opam.New, 0),
		nimble:     byScalibr(nimble.Name, nimble.New, 0),
		wordpress:  byScalibr(wordpress.Name, wordpress.New, 0),
	}
	hash := false
	e.java, _ = javaarchive.New(&cpb.PluginConfig{PluginSpecific: []*cpb.PluginSpecificConfig{{
		Config: &cpb.PluginSpecificConfig_JavaArchive{JavaArchive: &cpb.JavaArchiveConfig{MaxZipDepth: 1, MaxOpenedBytes: 1 << 62, HashJars: &hash}},
	}}}) // it never fails
	return e
}

// silenceScalibr stops scalibr from logging by itself: what a user should know
// comes out as a gap.
var silenceScalibr = sync.OnceFunc(func() { log.SetLogger(silence{}) })

type silence struct{}

func (silence) Errorf(string, ...any) {}
func (silence) Error(...any)          {}
func (silence) Warnf(string, ...any)  {}
func (silence) Warn(...any)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Info(...any)           {}
func (silence) Debugf(string, ...any) {}
func (silence) Debug(...any)          {}

// proves says that a file which such a reader finds nothing in was not understood.
const proves = 1

// byScalibr returns a reader that asks one extractor.
func byScalibr(name string, newExtractor func(*cpb.PluginConfig) (scalibr.Extractor, error), option int) reader {
	e, err := newExtractor(&cpb.PluginConfig{})
	return reader{name: name, read: func(ctx context.Context, f *file) error {
		if err != nil {
			return err
		}
		// All but Nix's, which looks at the path alone, take the whole file into
		// memory, and some unpack it to a multiple there.
		if f.Size > maxJSON && name != nix.Name {
			return fmt.Errorf("%w: %d bytes are more than the %d that are read of such a file", errLimit, f.Size, maxJSON)
		}
		found, err := e.Extract(ctx, &scalibr.ScanInput{FS: asScalibrFS(f.FS), Path: f.Path, Info: sized{f.Info, f.Size}, Reader: f.Content})
		for _, p := range found.Packages {
			if err := addScalibr(f, p); err != nil {
				return err
			}
		}
		if err != nil {
			return harmless(name, err)
		}
		if option == proves && len(found.Packages) == 0 {
			return fmt.Errorf("%w: it proves no package in a form that is known", errUnsupported)
		}
		return nil
	}}
}

// harmless returns nil for the errors with which an extractor says that a file is
// not of its kind.
func harmless(name string, err error) error {
	if name == depsjson.Name && strings.Contains(err.Error(), "no libraries found") {
		return nil // an empty list, or another tool's file of that name
	}
	return err
}

// addScalibr notes a package in the project's words.
func addScalibr(f *file, p *extractor.Package) error {
	if p.Name == "" {
		return nil
	}
	if m, ok := p.Metadata.(*depsjson.Metadata); ok && m.Type == "project" {
		return nil // the application itself and its parts, which no registry knows
	}
	out := touchstone.Package{Name: p.Name, Version: p.Version, Ecosystem: p.Ecosystem().String(), Licences: licences(p.Licenses...)}
	if u := p.PURL(); u != nil {
		out.PURL = u.String()
	}
	if out.Ecosystem == "GIT" {
		out.Ecosystem = ""
	}
	if f.reader == nix.Name {
		// Any file proves it, so the folder is what is named.
		elements := strings.SplitN(f.Path, "/", 4)
		out.Path = strings.Join(elements[:min(3, len(elements))], "/")
	}
	return f.add(out)
}

// sized is a file's info with the size of what is really read.
type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

// asScalibrFS gives an fs.FS the methods that scalibr asks for.
func asScalibrFS(f fs.FS) interface {
	fs.FS
	fs.ReadDirFS
	fs.StatFS
} {
	if f == nil {
		return emptyFS{}
	}
	return anyFS{f}
}

type anyFS struct{ fs.FS }

func (a anyFS) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(a.FS, name) }
func (a anyFS) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(a.FS, name) }

// emptyFS holds nothing.
type emptyFS struct{}

func (emptyFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
func (e emptyFS) ReadDir(name string) ([]fs.DirEntry, error) { _, err := e.Open(name); return nil, err }
func (e emptyFS) Stat(name string) (fs.FileInfo, error)      { _, err := e.Open(name); return nil, err }
