// Package tree opens root file systems that are no image: a tarball (plain,
// gzip or Zstandard) and a folder in place, such as the root of a running
// machine.
//
// Either becomes a source with one layer and no config. Nothing is read here
// beyond the first bytes; package inspect reads the layer.
package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/compression"
)

// OpenTar opens the tarball of a root file system. Its artifact has no digest
// yet: that is the SHA-256 of the uncompressed tar, which is known when the
// layer has been read. name is what the artifact is called, or "".
func OpenTar(path, name string, now time.Time) (artifact.Source, error) {
	file, err := artifact.OpenFile(path)
	if err != nil {
		return nil, err
	}
	size, err := checkTar(file)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	layer := artifact.Layer{
		Size:  size,
		Stamp: artifact.StampOf(file, now),
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(file, 0, size)), nil
		},
	}
	return &source{artifact: filesystem(path, name), layer: layer, close: file.Close}, nil
}

// checkTar returns the size of a file that begins as a tar does, compressed or
// not.
func checkTar(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, artifact.Outsidef("%w", err)
	}
	plain, _, err := compression.NewReader(io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		return 0, err
	}
	defer func() { _ = plain.Close() }() // only the beginning was read
	_, err = tar.NewReader(plain).Next()
	switch {
	case err == io.EOF:
		return 0, errors.New("the archive is empty")
	case errors.Is(err, tar.ErrHeader):
		return 0, errors.New("not a tar archive")
	case err != nil:
		return 0, fmt.Errorf("reading the first entry: %w", err)
	}
	return info.Size(), nil
}

// OpenDir opens a folder as a root file system in place. Links in path are
// followed once, here.
func OpenDir(path, name string) (artifact.Source, error) {
	root, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such folder", path)
	}
	if err != nil {
		return nil, artifact.Outsidef("opening %s: %w", path, err)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, artifact.Outsidef("opening %s: %w", path, err)
	}
	info, err := os.Stat(root)
	if err != nil {
		return nil, artifact.Outsidef("opening %s: %w", path, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder\nhint: rootfs:%s opens a tarball", path, path)
	}
	layer := artifact.Layer{Size: -1, Root: root}
	return &source{artifact: filesystem(path, name), layer: layer, close: func() error { return nil }}, nil
}

func filesystem(path, name string) touchstone.Artifact {
	return touchstone.Artifact{Name: name, Source: path, Kind: touchstone.KindFilesystem}
}

// source is a root file system. It implements artifact.Source.
type source struct {
	artifact touchstone.Artifact
	layer    artifact.Layer
	close    func() error
}

func (s *source) Artifact() touchstone.Artifact { return s.artifact }
func (s *source) Config() []byte                { return nil }
func (s *source) Layers() []artifact.Layer      { return []artifact.Layer{s.layer} }
func (s *source) Close() error                  { return s.close() }
