package oci

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// files is a tree of files, in a folder or in a tar archive. An error for a
// name that is not there wraps fs.ErrNotExist.
type files interface {
	open(name string) (io.ReadCloser, error)
	stat(name string) (fileInfo, error)
	Close() error
}

// fileInfo is what is known of a file without reading it.
type fileInfo struct {
	size  int64
	stamp string
}

// readFile reads a small file whole.
func readFile(f files, name string, limit int64) ([]byte, error) {
	r, err := f.open(name)
	if err != nil {
		return nil, err
	}
	raw, err := readAll(r, limit)
	return raw, errors.Join(err, r.Close())
}

// blobs is the content of an OCI layout (OCI image-spec, image-layout.md): files
// named by their digest.
type blobs struct{ files }

func blobPath(d ocispec.Descriptor) string {
	return "blobs/" + strings.Replace(string(d.Digest), ":", "/", 1)
}

func (b blobs) open(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	return b.files.open(blobPath(d))
}

func (b blobs) has(_ context.Context, d ocispec.Descriptor) (bool, error) {
	_, err := b.stat(blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (b blobs) stamp(d ocispec.Descriptor) string {
	info, err := b.stat(blobPath(d))
	if err != nil {
		return ""
	}
	return info.stamp
}
