package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone/internal/makeimage"
)

// actorImage writes an image with the actor and one ordinary program that ends at
// once, with the libraries that it takes.
func actorImage(ctx context.Context, program, archive string) error {
	if _, err := makeimage.Program(ctx, program, "./internal/figures/actor"); err != nil {
		return err
	}
	from := map[string]string{"actor": program, "bin/true": "/bin/true"}
	said, err := exec.CommandContext(ctx, "ldd", "/bin/true").Output()
	if err != nil {
		return fmt.Errorf("asking what /bin/true takes: %w", err)
	}
	for word := range strings.FieldsSeq(string(said)) {
		if filepath.IsAbs(word) {
			from[strings.TrimPrefix(word, "/")] = word
		}
	}
	files := []makeimage.File{{Path: "tmp/.keep", Data: []byte("a place to write to\n")}}
	for path, at := range from {
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		files = append(files, makeimage.File{Path: path, Mode: 0o755, Data: data})
	}
	layer, err := makeimage.Files("COPY . .", files...)
	if err != nil {
		return err
	}
	im, err := makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{layer}, Created: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Config: v1.Config{Entrypoint: []string{"/actor"}}})
	if err != nil {
		return err
	}
	return makeimage.WriteArchive(archive, subject, im)
}
