package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// OpenLayout opens the folder of an OCI layout. choice is a name or a digest
// ("sha256:…") as its index.json has them; empty where there is one image.
func OpenLayout(ctx context.Context, path, choice string, o Options) ([]artifact.Source, error) {
	o = o.withDefaults()
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, artifact.Outsidef("opening %s: %w", path, err)
	}
	f := folder{root: root, now: o.Now()}
	images, err := openLayout(ctx, f, choice, o)
	return sources(images, err, path, o, f.Close)
}

// IsLayout reports whether a folder is an OCI layout.
func IsLayout(path string) bool {
	for _, name := range []string{ocispec.ImageLayoutFile, ocispec.ImageIndexFile} {
		info, err := os.Stat(path + "/" + name)
		if err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// openLayout opens the images that the index.json of a layout leads to.
func openLayout(ctx context.Context, f files, choice string, o Options) ([]*image, error) {
	raw, err := readFile(f, ocispec.ImageIndexFile, o.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ocispec.ImageIndexFile, err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("%s is not what the OCI image-spec says: %w", ocispec.ImageIndexFile, err)
	}
	roots, err := chooseRoots(index.Manifests, choice)
	if errors.Is(err, errNoChoice) && touchstone.Digest(choice).Valid() {
		roots, err = rootByDigest(f, choice)
	}
	if err != nil {
		return nil, err
	}
	return expand(ctx, blobs{f}, o, roots...)
}

// rootByDigest begins at a manifest that index.json does not name itself, but
// an index below it does.
func rootByDigest(f files, digest string) ([]ocispec.Descriptor, error) {
	d := ocispec.Descriptor{Digest: godigest.Digest(digest)}
	info, err := f.stat(blobPath(d))
	if err != nil {
		return nil, fmt.Errorf("%s is not there", digest)
	}
	d.Size = info.size
	return []ocispec.Descriptor{d}, nil
}

// folder is the files of a layout in place. Links cannot lead out of it.
type folder struct {
	root *os.Root
	now  time.Time
}

func (f folder) Close() error { return f.root.Close() }

func (f folder) open(name string) (io.ReadCloser, error) { return f.file(name) }

func (f folder) file(name string) (*artifact.File, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a named pipe must not block
	if err != nil {
		return nil, unlessMissing(err)
	}
	return artifact.NewFile(file, name)
}

func (f folder) stat(name string) (fileInfo, error) {
	file, err := f.file(name)
	if err != nil {
		return fileInfo{}, err
	}
	defer func() { _ = file.Close() }() // read only
	return fileInfo{size: file.Size(), stamp: file.Stamp(f.now)}, nil
}

// unlessMissing blames the outside for an error other than a file's absence.
func unlessMissing(err error) error {
	var errno syscall.Errno // a link that leads out of the folder has none
	if errors.Is(err, fs.ErrNotExist) || !errors.As(err, &errno) {
		return err
	}
	return artifact.Outsidef("%w", err)
}

// sources names what was opened and shares one closer among the images; after
// an error it closes at once.
func sources(images []*image, err error, source string, o Options, close func() error) ([]artifact.Source, error) {
	if err != nil {
		_ = close() // the first error is the one to tell
		if source != "" {
			err = fmt.Errorf("%s: %w", source, err)
		}
		return nil, err
	}
	release := shared(len(images), close)
	opened := make([]artifact.Source, len(images))
	for n, img := range images {
		img.artifact.Name = o.Name
		img.artifact.Source = source
		img.release = release
		opened[n] = img
	}
	return opened, nil
}
