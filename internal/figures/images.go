package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone/internal/makeimage"
)

// sample is one image to measure, or why it could not be made.
type sample struct {
	name, path, missing string
}

// images makes the three images that other scanners were measured on, once: a
// small Debian, the same with many npm packages in a layer above, and five Go
// programs in one layer.
func images(ctx context.Context, folder string) ([]sample, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	makers := []struct {
		name, file string
		layers     func(context.Context, string) ([]makeimage.Layer, error)
	}{
		{"Debian 12", "debian.tar", debian},
		{"Debian 12 with npm packages", "node.tar", node},
		{"five Go programs", "go.tar", programs},
	}
	var out []sample
	for _, m := range makers {
		s := sample{name: m.name, path: filepath.Join(folder, m.file)}
		if _, err := os.Stat(s.path); err != nil {
			if err := build(ctx, folder, s.path, m.layers); err != nil {
				s.missing = err.Error()
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func build(ctx context.Context, folder, path string, layers func(context.Context, string) ([]makeimage.Layer, error)) error {
	fmt.Fprintf(os.Stderr, "making %s …\n", filepath.Base(path))
	all, err := layers(ctx, folder)
	if err != nil {
		return err
	}
	im, err := makeimage.Build(makeimage.Image{Layers: all, Created: time.Unix(0, 0), Config: v1.Config{Entrypoint: []string{"/bin/true"}}})
	if err != nil {
		return err
	}
	return makeimage.WriteArchive(path, "registry.example/bench:today", im)
}

func debian(ctx context.Context, folder string) ([]makeimage.Layer, error) {
	root := filepath.Join(folder, "debian-rootfs.tar")
	if _, err := os.Stat(root); err != nil {
		if err := command(ctx, "", "mmdebstrap", "--quiet", "--variant=minbase", "bookworm", root); err != nil {
			return nil, err
		}
	}
	l, err := makeimage.Tarball("ADD rootfs.tar /", root)
	return []makeimage.Layer{l}, err
}

func node(ctx context.Context, folder string) ([]makeimage.Layer, error) {
	base, err := debian(ctx, folder)
	if err != nil {
		return nil, err
	}
	app := filepath.Join(folder, "node", "srv", "app")
	if err := os.MkdirAll(app, 0o755); err != nil {
		return nil, err
	}
	err = command(ctx, app, "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts",
		"express@4", "webpack@5", "jest@29", "eslint@8", "typescript@5", "next@14", "@angular/cli@17", "mocha@10")
	if err != nil {
		return nil, err
	}
	l, err := makeimage.Folder("COPY . /srv/app", filepath.Join(folder, "node"))
	return append(base, l), err
}

func programs(ctx context.Context, folder string) ([]makeimage.Layer, error) {
	bin, err := filepath.Abs(filepath.Join(folder, "programs", "usr", "bin"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	for _, module := range []string{
		"github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0",
		"github.com/cloudflare/cfssl/cmd/cfssl@v1.6.0",
		"gotest.tools/gotestsum@v1.13.0",
		"github.com/google/osv-scanner/v2/cmd/osv-scanner@v2.5.0",
		"github.com/google/go-containerregistry/cmd/crane@v0.20.2",
	} {
		c := exec.CommandContext(ctx, "go", "install", module)
		c.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0", "GOFLAGS=")
		c.Dir = bin
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go install %s: %w\n%s", module, err, out)
		}
	}
	l, err := makeimage.Folder("COPY . /", filepath.Join(folder, "programs"))
	return []makeimage.Layer{l}, err
}

func command(ctx context.Context, dir, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
