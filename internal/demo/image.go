package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// image says what to put into an image.
type image struct {
	base    string // root file system tarball, or "" for nothing
	program string // becomes /usr/bin/NAME and the entrypoint
	user    string // "" runs as root
}

// writeImage writes the image as a docker archive.
func writeImage(file, ref string, im image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	built := v1.Image(empty.Image)
	if im.base != "" {
		layer, err := tarball.LayerFromFile(im.base)
		if err != nil {
			return fmt.Errorf("reading the base %s: %w", im.base, err)
		}
		if built, err = mutate.Append(built, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "ADD " + filepath.Base(im.base) + " /"}}); err != nil {
			return err
		}
	}
	path := "usr/bin/" + filepath.Base(im.program)
	layer, err := programLayer(im.program, path)
	if err != nil {
		return err
	}
	if built, err = mutate.Append(built, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "COPY " + filepath.Base(im.program) + " /usr/bin/"}}); err != nil {
		return err
	}
	config, err := built.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = "amd64", "linux"
	config.Created = v1.Time{Time: time.Now().UTC().Truncate(time.Second)}
	config.Config.Entrypoint = []string{"/" + path}
	config.Config.User = im.user
	if built, err = mutate.ConfigFile(built, config); err != nil {
		return err
	}
	return tarball.WriteToFile(file, tag, built)
}

func programLayer(file, path string) (v1.Layer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromReader(&b) //nolint:staticcheck // the layer is in memory anyway
}
