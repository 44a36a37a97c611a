package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/compression"
)

// Form is what an archive is to be read as.
type Form string

// The forms of an archive. Current versions of docker save write one that is
// both; then the OCI form is read, which has a manifest, and the other must
// agree with it.
const (
	FormAny    Form = ""
	FormDocker Form = "docker-archive"
	FormOCI    Form = "oci-archive"
)

// ErrNoImage says that a file is a tar, and no image archive.
var ErrNoImage = errors.New("not an image archive")

// OpenArchive opens an image archive, plain or compressed. choice is a name or
// a digest; empty where there is one image. An archive read as FormAny that
// could also be unpacked as a root file system is refused as unclear, so that
// nobody checks the one and runs the other.
//
// A plain archive is walked by its headers only. A compressed one is
// decompressed into a temporary file without a name.
func OpenArchive(ctx context.Context, path, choice string, form Form, o Options) ([]artifact.Source, error) {
	o = o.withDefaults()
	file, err := artifact.OpenFile(path)
	if err != nil {
		return nil, err
	}
	a := &archive{data: file, size: file.Size(), stamp: file.Stamp(o.Now()), closers: []io.Closer{file}}
	err = a.read(ctx, form != FormAny, o)
	var images []*image
	if err == nil {
		images, err = a.images(ctx, choice, form, o)
	}
	return sources(images, err, path, o, a.Close)
}

// archive is the files of an image archive.
type archive struct {
	data    io.ReaderAt // the plain tar
	size    int64
	stamp   string
	found   *scan
	closers []io.Closer
}

func (a *archive) Close() error {
	var errs []error
	for _, c := range a.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// read finds out what lies where.
func (a *archive) read(ctx context.Context, forced bool, o Options) error {
	head := make([]byte, 6)
	n, err := a.data.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	kind, err := compression.Of(head[:n])
	if err != nil {
		return err
	}
	s := scanner{limit: o.MaxManifest, forced: forced, onRootfs: func() {}}
	if kind == compression.None {
		a.found, err = s.scan(ctx, newWindow(a.data, a.size))
		return err
	}
	return a.unpack(ctx, s, o.MaxSpool)
}

// unpack reads a compressed archive, and keeps its tar in a temporary file
// unless it turns out to be a root file system.
func (a *archive) unpack(ctx context.Context, s scanner, limit int64) error {
	plain, _, err := compression.NewReader(io.NewSectionReader(a.data, 0, a.size))
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	defer func() { _ = plain.Close() }() // its errors came from Read
	temporary, err := newSpool(limit)
	if err != nil {
		return err
	}
	s.onRootfs = temporary.discard
	stream := &counted{Reader: io.TeeReader(plain, temporary)}
	a.found, err = s.scan(ctx, stream)
	if err != nil {
		temporary.discard()
		return err
	}
	if temporary.file != nil {
		a.closers = append(a.closers, temporary.file)
		a.data, a.size = temporary.file, temporary.written
		if a.stamp != "" {
			a.stamp += ":unpacked"
		}
	}
	return nil
}

// images opens the archive in the form asked for, or in the one that it has.
func (a *archive) images(ctx context.Context, choice string, form Form, o Options) ([]*image, error) {
	_, hasLayout := a.found.lists[ocispec.ImageLayoutFile]
	_, hasIndex := a.found.lists[ocispec.ImageIndexFile]
	list, hasList := a.found.lists[dockerManifestFile]
	isOCI := hasLayout && hasIndex
	var entries []dockerEntry
	if hasList {
		var err error
		entries, err = parseDockerList(list)
		if err != nil && (a.found.rootfs == "" || form == FormDocker) {
			return nil, err
		}
	}
	isDocker := len(entries) > 0
	if form == FormAny && a.found.rootfs != "" && (isOCI || isDocker || a.found.legacy) {
		return nil, fmt.Errorf("could be an image archive or a root file system: there is an image in it, and %s/\nhint: say which with docker-archive:PATH, oci-archive:PATH or rootfs:PATH", a.found.rootfs)
	}
	switch {
	case isOCI && form != FormDocker:
		images, err := openLayout(ctx, a, choice, o)
		if err == nil && isDocker {
			err = a.agree(ctx, entries, choice, o)
		}
		return images, err
	case isDocker && form != FormOCI:
		return a.dockerImages(entries, choice, o)
	case a.found.legacy:
		return nil, fmt.Errorf("an archive as docker wrote it before version 1.10 is not supported\nhint: load it and save it again")
	case form != FormAny:
		return nil, fmt.Errorf("%w of the form %s", ErrNoImage, form)
	case !a.found.any:
		return nil, fmt.Errorf("the archive is empty")
	default:
		return nil, ErrNoImage
	}
}

// open returns the bytes of a file in the archive.
func (a *archive) open(name string) (io.ReadCloser, error) {
	e, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if e.sparse {
		return a.openSparse(e)
	}
	return io.NopCloser(io.NewSectionReader(a.data, e.offset, e.size)), nil
}

func (a *archive) stat(name string) (fileInfo, error) {
	e, err := a.find(name)
	if err != nil || a.stamp == "" {
		return fileInfo{size: e.size}, err
	}
	return fileInfo{size: e.size, stamp: a.stamp + "+" + strconv.FormatInt(e.offset, 16)}, nil
}

// find returns the file under a name, following links as far as anybody's
// archive has them.
func (a *archive) find(name string) (entry, error) {
	const maxLinks = 8
	for range maxLinks {
		e, ok := a.found.entries[name]
		if !ok {
			break
		}
		if e.link == "" {
			return e, nil
		}
		name = e.link
	}
	return entry{}, &fs.PathError{Op: "open", Path: clean(name), Err: fs.ErrNotExist}
}

// openSparse walks to an entry again, because only the tar reader knows where
// its holes are.
func (a *archive) openSparse(e entry) (io.ReadCloser, error) {
	w := newWindow(a.data, a.size)
	tr := tar.NewReader(w)
	for {
		if _, err := tr.Next(); err != nil {
			return nil, fmt.Errorf("finding a sparse entry again: %w", err)
		}
		if w.position() == e.offset {
			return io.NopCloser(tr), nil
		}
	}
}

var _ files = (*archive)(nil)
