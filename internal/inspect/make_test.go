package inspect

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/blob"
)

// file is an entry of a made layer.
type file struct {
	name    string
	content string
	link    string // target of a symbolic link; with hard, of a hard link
	hard    bool
	mode    int64
	kind    byte // typeflag where the above does not say it
	pax     map[string]string
}

// makeTar makes a tar of the files.
func makeTar(tb testing.TB, files ...file) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg, PAXRecords: f.pax, Format: tar.FormatPAX}
		if f.mode != 0 {
			h.Mode = f.mode
		}
		switch {
		case f.kind != 0:
			h.Typeflag = f.kind
		case f.link != "" && f.hard:
			h.Typeflag, h.Linkname = tar.TypeLink, f.link
		case f.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
		case f.name[len(f.name)-1] == '/':
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(plain); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func zstded(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return w.EncodeAll(plain, nil)
}

func sum(data []byte) touchstone.Digest {
	return touchstone.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
}

// source is an artifact made in memory.
type source struct {
	artifact touchstone.Artifact
	config   []byte
	layers   []artifact.Layer
	opened   atomic.Int32 // how many times a layer was opened
}

func (s *source) Artifact() touchstone.Artifact { return s.artifact }
func (s *source) Config() []byte                { return s.config }
func (s *source) Layers() []artifact.Layer      { return s.layers }
func (s *source) Close() error                  { return nil }

// add adds a layer that is stored so and claims to unpack to plain.
func (s *source) add(stored, plain []byte) *artifact.Layer {
	s.layers = append(s.layers, artifact.Layer{
		Digest: sum(stored), DiffID: sum(plain), Size: int64(len(stored)), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
		Open: func(context.Context) (io.ReadCloser, error) {
			s.opened.Add(1)
			return io.NopCloser(bytes.NewReader(stored)), nil
		},
	})
	return &s.layers[len(s.layers)-1]
}

// configured gives the image a config that fits its layers.
func (s *source) configured(tb testing.TB) *source {
	tb.Helper()
	var diffIDs []touchstone.Digest
	history := []map[string]any{{"created_by": "ENV A=b", "empty_layer": true}}
	for i, l := range s.layers {
		diffIDs = append(diffIDs, l.DiffID)
		history = append(history, map[string]any{"created_by": fmt.Sprintf("COPY layer %d", i)})
	}
	raw, err := json.Marshal(map[string]any{
		"created": "2026-03-04T05:06:07Z", "os": "linux", "architecture": "arm64", "variant": "v8",
		"config":  map[string]any{"User": "app", "Env": []string{"A=b"}, "Entrypoint": []string{"/bin/app"}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": diffIDs},
		"history": history,
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.config = raw
	s.artifact = touchstone.Artifact{Name: "registry.example/app:1", Kind: touchstone.KindImage, Digest: sum(raw)}
	return s
}

// image makes an image of gzip layers.
func makeImage(tb testing.TB, layers ...[]byte) *source {
	tb.Helper()
	s := &source{}
	for _, plain := range layers {
		s.add(gzipped(tb, plain), plain)
	}
	return s.configured(tb)
}

// rootfs makes a root file system in a tar.
func makeRootfs(tb testing.TB, plain []byte) *source {
	tb.Helper()
	s := &source{artifact: touchstone.Artifact{Source: "rootfs.tar", Kind: touchstone.KindFilesystem}}
	l := s.add(gzipped(tb, plain), plain)
	l.Digest, l.DiffID, l.Stamp = "", "", "1:2:3"
	return s
}

func newInspector(tb testing.TB, c Config) *Inspector {
	tb.Helper()
	if c.Scratch == "" {
		c.Scratch = tb.TempDir()
	}
	c.Key = []byte("key")
	c.Now = func() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }
	in, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := in.Close(); err != nil {
			tb.Error(err)
		}
	})
	return in
}

func newStore(tb testing.TB) *blob.Store {
	tb.Helper()
	s, err := blob.Open(blob.Config{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func inspect(tb testing.TB, in *Inspector, src artifact.Source) *touchstone.Evidence {
	tb.Helper()
	e, _, err := in.Inspect(tb.Context(), src)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}
