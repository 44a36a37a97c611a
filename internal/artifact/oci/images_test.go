package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// tarOf returns a tar with the given files, in the order given.
func tarOf(t testing.TB, files ...[2]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// imageOf returns an image with one layer for each text, for a platform.
func imageOf(t testing.TB, os, architecture, variant string, texts ...string) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: os, Architecture: architecture, Variant: variant,
		Created: v1.Time{Time: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
		RootFS:  v1.RootFS{Type: "layers"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		raw := tarOf(t, [2]string{"app/data", text})
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(raw)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	return mutate.MediaType(mutate.ConfigMediaType(img, types.OCIConfigJSON), types.OCIManifestSchema1)
}

// indexOf returns an index of linux/amd64 and linux/arm64/v8, with the
// attestations that buildkit adds and a signature as an artifact of its own.
func indexOf(t testing.TB) v1.ImageIndex {
	t.Helper()
	attestation := imageOf(t, "unknown", "unknown", "", "a statement")
	signature := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.oci.empty.v1+json")
	return mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: imageOf(t, "linux", "amd64", "", "one", "two"), Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: imageOf(t, "linux", "arm64", "v8", "eins"), Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}},
		mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: signature, Descriptor: v1.Descriptor{ArtifactType: "application/vnd.example.signature"}},
	)
}

// foreignImage returns an image with an ordinary and a foreign layer.
func foreignImage(t testing.TB) v1.Image {
	t.Helper()
	img := imageOf(t, "windows", "amd64", "", "ours")
	img, err := mutate.Append(img, mutate.Addendum{
		Layer: static.NewLayer([]byte("theirs"), types.DockerForeignLayer),
		URLs:  []string{"https://elsewhere.example/layer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digestOfImage(t testing.TB, img interface{ Digest() (v1.Hash, error) }) touchstone.Digest {
	t.Helper()
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return touchstone.Digest(h.String())
}

// check reads every layer of a source as package inspect will, and fails if
// anything in it is not what it says.
func check(t testing.TB, s artifact.Source) {
	t.Helper()
	if err := readLayers(s); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func readLayers(s artifact.Source) error {
	for _, layer := range s.Layers() {
		if layer.Absent != "" {
			continue
		}
		r, err := layer.Open(context.Background())
		if err != nil {
			return err
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		got := touchstone.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
		if layer.Digest != "" && got != layer.Digest {
			return artifact.Falsef("layer %s has the digest %s", layer.Digest, got)
		}
		if n != layer.Size {
			return artifact.Falsef("layer %s is %d bytes long, not %d", layer.Digest, n, layer.Size)
		}
	}
	return nil
}

func write(t testing.TB, path string, raw []byte) string {
	t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(t.TempDir(), path)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// later is a clock by which no file of a test is too young for a stamp.
func later() time.Time { return time.Now().Add(time.Hour) }
