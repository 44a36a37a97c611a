package oci

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"touchstone.dev/touchstone/internal/artifact"
)

func emptyIndex() v1.ImageIndex { return empty.Index }

func writeIndex(dir string, index v1.ImageIndex) (layout.Path, error) {
	return layout.Write(dir, index)
}

func TestOpenLayout(t *testing.T) {
	index := indexOf(t)
	dir := layoutOf(t, map[string]any{"1": index, "plain": imageOf(t, "linux", "amd64", "", "x")})
	if !IsLayout(dir) || IsLayout(t.TempDir()) {
		t.Error("layouts are not told from other folders")
	}
	opened, err := OpenLayout(context.Background(), dir, "1", Options{Now: later})
	if err != nil {
		t.Fatal(err)
	}
	if len(opened) != 2 {
		t.Fatalf("%d platforms", len(opened))
	}
	for _, s := range opened {
		if a := s.Artifact(); a.Index != digestOfImage(t, index) {
			t.Errorf("artifact %+v", a)
		}
		if s.Layers()[0].Stamp == "" {
			t.Error("a layer without a stamp")
		}
	}

	inside := string(opened[1].Artifact().Digest) // named by the inner index alone
	again, err := OpenLayout(context.Background(), dir, inside, Options{})
	if err != nil || len(again) != 1 || string(again[0].Artifact().Digest) != inside {
		t.Fatalf("by digest: %v %v", again, err)
	}
	for _, s := range append(opened, again...) {
		check(t, s)
	}
}

func TestPlatformThatIsNotThere(t *testing.T) {
	index := indexOf(t)
	dir := layoutOf(t, map[string]any{"1": index})
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	blob := func(n int) string { return filepath.Join(dir, "blobs/sha256", manifest.Manifests[n].Digest.Hex) }
	if err := os.Remove(blob(0)); err != nil {
		t.Fatal(err)
	}

	opened, err := OpenLayout(context.Background(), dir, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(opened) != 1 || opened[0].Artifact().Platform != "linux/arm64/v8" {
		t.Errorf("opened %+v", opened)
	}
	check(t, opened[0])

	_, err = OpenLayout(context.Background(), dir, "", Options{Platform: "linux/amd64"})
	if err == nil || !strings.Contains(err.Error(), "linux/amd64 is named by the index, but its bytes are not there") {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(blob(1)); err != nil {
		t.Fatal(err)
	}
	_, err = OpenLayout(context.Background(), dir, "", Options{})
	if err == nil || !strings.Contains(err.Error(), "no image is there: the index names linux/amd64, linux/arm64/v8") {
		t.Errorf("error %v", err)
	}
}

func TestLayoutCannotLeadOut(t *testing.T) {
	img := imageOf(t, "linux", "amd64", "", "x")
	digest := digestOfImage(t, img)
	for name, place := range map[string]func(blob string) error{
		"another manifest": func(blob string) error { return os.WriteFile(blob, []byte("{}"), 0o644) },
		"link":             func(blob string) error { return os.Symlink("/etc/passwd", blob) },
		"named pipe":       func(blob string) error { return syscall.Mkfifo(blob, 0o644) },
		"folder":           func(blob string) error { return os.Mkdir(blob, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := layoutOf(t, map[string]any{"": img})
			blob := filepath.Join(dir, "blobs/sha256", string(digest)[len("sha256:"):])
			if err := os.Remove(blob); err != nil {
				t.Fatal(err)
			}
			if err := place(blob); err != nil {
				t.Fatal(err)
			}
			_, err := OpenLayout(context.Background(), dir, "", Options{})
			if err == nil || errors.Is(err, artifact.ErrOutside) || errors.Is(err, artifact.ErrFalse) != (name == "another manifest") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestPlatformsWithoutInnerIndex(t *testing.T) {
	amd, arm := imageOf(t, "linux", "amd64", "", "x"), imageOf(t, "linux", "arm64", "", "y")
	dir := t.TempDir()
	if _, err := writeIndex(dir, mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
	)); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenLayout(context.Background(), dir, "", Options{})
	if err != nil || len(opened) != 2 {
		t.Fatalf("%v %v", opened, err)
	}
	for _, s := range opened {
		check(t, s)
	}
}
