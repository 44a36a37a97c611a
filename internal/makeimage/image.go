// Package makeimage makes container images from files, without Docker and
// without running anything but the Go compiler: for "make run" and for tests, which then push them
// to a registry or write them as archives. It is no builder for users.
package makeimage

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is what to make.
type Image struct {
	Layers   []Layer // bottom first
	Config   v1.Config
	Created  time.Time // zero writes none
	Platform string    // "linux/arm64"; linux/amd64 when empty
}

// Layer is a layer and the instruction that the history tells of it.
type Layer struct {
	v1.Layer
	CreatedBy string
}

// Build returns the image.
func Build(im Image) (v1.Image, error) {
	built := empty.Image
	for _, l := range im.Layers {
		var err error
		built, err = mutate.Append(built, mutate.Addendum{Layer: l.Layer, History: v1.History{CreatedBy: l.CreatedBy}})
		if err != nil {
			return nil, fmt.Errorf("adding a layer: %w", err)
		}
	}
	config, err := built.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if im.Platform != "" {
		p, err := v1.ParsePlatform(im.Platform)
		if err != nil {
			return nil, err
		}
		config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	}
	config.Created = v1.Time{Time: im.Created}
	config.Config = im.Config
	return mutate.ConfigFile(built, config)
}

// WriteArchive writes the image as a docker archive that calls it ref.
func WriteArchive(path, ref string, im v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(path, tag, im)
}

// File is one file for a layer made of files.
type File struct {
	Path string
	Mode int64 // 0o644 when zero
	Data []byte
	Link string // a symbolic link to this, when not empty
}

// Files returns a layer of these files.
func Files(createdBy string, files ...File) (Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Path, Mode: f.Mode, Size: int64(len(f.Data)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		switch {
		case f.Link != "":
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.Link, 0
		case strings.HasSuffix(f.Path, "/"):
			h.Typeflag, h.Size = tar.TypeDir, 0
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			return Layer{}, fmt.Errorf("adding %s: %w", f.Path, err)
		}
		if _, err := w.Write(f.Data[:h.Size]); err != nil {
			return Layer{}, fmt.Errorf("adding %s: %w", f.Path, err)
		}
	}
	if err := w.Close(); err != nil {
		return Layer{}, err
	}
	return layer(createdBy, b.Bytes())
}

// Folder returns a layer of everything below a folder.
func Folder(createdBy, root string) (Layer, error) {
	var files []File
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		f, err := fileAt(root, path, e)
		files = append(files, f)
		return err
	})
	if err != nil {
		return Layer{}, fmt.Errorf("reading %s: %w", root, err)
	}
	return Files(createdBy, files...)
}

func fileAt(root, path string, e fs.DirEntry) (File, error) {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return File{}, err
	}
	info, err := e.Info()
	if err != nil {
		return File{}, err
	}
	f := File{Path: filepath.ToSlash(rel), Mode: int64(info.Mode().Perm())}
	for bit, tarBit := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if info.Mode()&bit != 0 {
			f.Mode |= tarBit
		}
	}
	switch {
	case e.IsDir():
		f.Path += "/"
	case info.Mode()&fs.ModeSymlink != 0:
		f.Link, err = os.Readlink(path)
	default:
		f.Data, err = os.ReadFile(path)
	}
	return f, err
}

// Tarball returns a layer of a tar, compressed or not.
func Tarball(createdBy, path string) (Layer, error) {
	l, err := tarball.LayerFromFile(path)
	if err != nil {
		return Layer{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return Layer{Layer: l, CreatedBy: createdBy}, nil
}

func layer(createdBy string, data []byte) (Layer, error) {
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		return Layer{}, err
	}
	return Layer{Layer: l, CreatedBy: createdBy}, nil
}
