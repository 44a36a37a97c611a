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
	if err := checkTar(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	layer := artifact.Layer{
		Size:  file.Size(),
		Stamp: file.Stamp(now),
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(file, 0, file.Size())), nil
		},
	}
	return &source{artifact: filesystem(path, name), layer: layer, close: file.Close}, nil
}

// checkTar fails if the file does not begin as a tar does, compressed or not.
func checkTar(file *artifact.File) error {
	plain, _, err := compression.NewReader(io.NewSectionReader(file, 0, file.Size()))
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }() // only the beginning was read
	_, err = tar.NewReader(plain).Next()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the archive is empty")
	case errors.Is(err, tar.ErrHeader):
		return errors.New("not a tar archive")
	case err != nil:
		return fmt.Errorf("reading the first entry: %w", err)
	}
	return nil
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
