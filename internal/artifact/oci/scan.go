package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone/internal/artifact"
)

// dockerManifestFile is the list of images in a docker archive.
const dockerManifestFile = "manifest.json"

// positionedReader is a stream that says how far it was read. archive/tar reads
// no byte ahead of what it returns, so after a header this is where its data
// begins.
type positionedReader interface {
	io.Reader
	position() int64
}

// scan is what one walk over a tar told: where everything lies, and what kind
// of tar it is. No data is read but that of the lists at the top.
type scan struct {
	entries map[string]entry
	names   int64 // bytes of all names, to bound them
	// lists holds manifest.json, index.json and oci-layout.
	lists map[string][]byte
	// rootfs is a name that only the top of a root file system has, "" if none
	// was met. From then on no more entries are kept: there may be millions.
	rootfs string
	// legacy is true for the form that docker wrote before version 1.10.
	legacy bool
	any    bool
}

// entry is one file or link in a tar.
type entry struct {
	offset, size int64
	link         string // target, cleaned and from the top; "" for a file
	sparse       bool   // the data is not stored in one piece
}

// scanner walks a tar.
type scanner struct {
	limit    int64  // of a list in bytes
	forced   bool   // somebody said that it is an image: keep all entries
	onRootfs func() // called once, when the tar turns out to be no image alone
}

// scan walks the tar to its end. Of two entries with one name the later holds,
// as when unpacking; a list that is there twice, with two contents, is false.
func (s scanner) scan(ctx context.Context, r positionedReader) (*scan, error) {
	found := &scan{entries: map[string]entry{}, lists: map[string][]byte{}}
	tr := tar.NewReader(r)
	for count := 0; ; count++ {
		if count%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		h, err := tr.Next()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, damaged(err, count)
		}
		if err := s.entry(found, h, tr, r.position()); err != nil {
			return nil, err
		}
	}
}

func damaged(err error, count int) error {
	if errors.Is(err, artifact.ErrOutside) {
		return err
	}
	if count == 0 && errors.Is(err, tar.ErrHeader) {
		return errNoTar
	}
	return fmt.Errorf("the archive is damaged after %d entries: %w", count, err)
}

// errNoTar says that a file does not begin as a tar does.
var errNoTar = errors.New("not a tar archive")

// entry notes one entry whose data begins at offset.
func (s scanner) entry(found *scan, h *tar.Header, data io.Reader, offset int64) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	found.any = true
	top, below, nested := strings.Cut(name, "/")
	if nested && below == "layer.tar" && !isRootfsName(top) {
		found.legacy = true
	}
	if found.rootfs == "" && isRootfsName(top) {
		found.rootfs = top
		if !s.forced {
			found.entries = nil
			s.onRootfs()
		}
	}
	switch name {
	case dockerManifestFile, ocispec.ImageIndexFile, ocispec.ImageLayoutFile:
		if err := found.keepList(name, h, data, s.limit); err != nil {
			return err
		}
	}
	if found.entries == nil {
		return nil
	}
	return found.keep(name, h, offset)
}

func (found *scan) keepList(name string, h *tar.Header, data io.Reader, limit int64) error {
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	raw, err := readAll(data, limit)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the archive is damaged within %s: %w", name, err)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if old, ok := found.lists[name]; ok && string(old) != string(raw) {
		return artifact.Falsef("the archive holds two different files called %s", name)
	}
	found.lists[name] = raw
	return nil
}

func (found *scan) keep(name string, h *tar.Header, offset int64) error {
	e := entry{offset: offset, size: h.Size, sparse: isSparse(h)}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
	case tar.TypeSymlink:
		e.link = strings.TrimPrefix(path.Join("/", path.Dir(name), h.Linkname), "/")
	case tar.TypeLink:
		e.link = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
	default:
		return nil
	}
	found.names += int64(len(name) + len(e.link))
	if len(found.entries) >= maxEntries || found.names > maxNames {
		return fmt.Errorf("the archive has more than %d entries, or names beyond measure\nhint: if it is a root file system, say so with rootfs:PATH", maxEntries)
	}
	found.entries[name] = e
	return nil
}

// isSparse reports whether the data of an entry is stored with its holes left
// out (GNU tar manual, "Storing Sparse Files").
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// isRootfsName reports whether a name at the top of a tar is one of the
// Filesystem Hierarchy Standard 3.0 (section 3.2), which no image archive uses.
func isRootfsName(name string) bool {
	switch name {
	case "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt",
		"opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var":
		return true
	}
	return false
}
