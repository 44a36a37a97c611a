package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"touchstone.dev/touchstone"
)

var (
	// errLimit marks an error about something larger, deeper or more than allowed.
	errLimit = errors.New("a limit was passed")
	// errUnsupported marks an error about a form that is not read.
	errUnsupported = errors.New("not supported")
)

// file is the file that is being read, and what came of it so far.
type file struct {
	Input
	config *Config
	result *Result
	reader string // the name of the reader at work
}

func (f *file) gap(kind touchstone.GapKind, reason string) {
	f.result.Gaps = append(f.result.Gaps, touchstone.Gap{Kind: kind, Path: f.Path, Reader: f.reader, Reason: reason})
}

// fail turns an error into a gap.
func (f *file) fail(err error) {
	kind := touchstone.GapCorrupt
	switch {
	case errors.Is(err, errLimit):
		kind = touchstone.GapLimit
	case errors.Is(err, errUnsupported):
		kind = touchstone.GapUnsupported
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		kind = touchstone.GapFailed
	}
	f.gap(kind, err.Error())
}

// add notes a package that the file proves.
func (f *file) add(p touchstone.Package) error {
	if len(f.result.Packages) >= f.config.MaxPackages {
		return fmt.Errorf("%w: more than %d packages in one file", errLimit, f.config.MaxPackages)
	}
	if p.Path == "" {
		p.Path = f.Path
	}
	if p.Source == p.Name {
		p.Source = ""
	}
	if p.SourceVersion == p.Version {
		p.SourceVersion = ""
	}
	f.result.Packages = append(f.result.Packages, p)
	return nil
}

// own notes that the distribution owns the absolute path.
func (f *file) own(path string) error {
	path = strings.TrimPrefix(path, "/")
	if path == "" || path == "." || ownedInVain(path) {
		return nil
	}
	if len(f.result.Owned) >= f.config.MaxOwned {
		return fmt.Errorf("%w: more than %d owned files", errLimit, f.config.MaxOwned)
	}
	f.result.Owned = append(f.result.Owned, path)
	if strings.HasPrefix(path, "lib") || strings.HasPrefix(path, "bin/") || strings.HasPrefix(path, "sbin/") {
		f.result.Owned = append(f.result.Owned, "usr/"+path)
	}
	return nil
}

// ownedInVain reports whether nothing at the path is ever asked about: no package
// is proven there, or it is a database, whose own gaps must stay.
func ownedInVain(path string) bool {
	if rest, ok := strings.CutPrefix(path, "usr/share/"); ok {
		for _, dir := range [...]string{"doc/", "man/", "locale/", "zoneinfo/", "info/", "i18n/", "icons/", "help/", "rpm/"} {
			if strings.HasPrefix(rest, dir) {
				return true
			}
		}
		return false
	}
	for _, dir := range [...]string{"usr/include/", "var/lib/rpm/", "usr/lib/sysimage/", "var/lib/dpkg/", "lib/apk/db/", "usr/lib/apk/db/", "var/lib/pacman/", "var/db/pkg/"} {
		if strings.HasPrefix(path, dir) {
			return true
		}
	}
	return strings.HasSuffix(path, ".h") || strings.HasSuffix(path, ".pyc") || strings.HasSuffix(path, ".py")
}

// bytes returns the whole content, which may be no longer than limit.
func (f *file) bytes(limit int64) ([]byte, error) {
	if f.Size > limit {
		return nil, fmt.Errorf("%w: %d bytes are more than the %d that are read of such a file", errLimit, f.Size, limit)
	}
	content := make([]byte, f.Size)
	if _, err := io.ReadFull(f.Content, content); err != nil {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	return content, nil
}

// Files that are wholly held in memory are read up to these sizes; real ones stay
// far below.
const (
	maxJSON     = 8 << 20 // JSON takes up to some 30 times as much once it is parsed
	maxMetadata = 16 << 20
)
