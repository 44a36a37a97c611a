package tree

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func rootfs(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestOpenTar(t *testing.T) {
	for _, test := range []struct {
		name string
		raw  []byte
		err  string
	}{
		{"plain", rootfs(t), ""},
		{"gzip", zipped(t, rootfs(t)), ""},
		{"no tar", []byte(strings.Repeat("hello", 1000)), "not a tar archive"},
		{"nothing", nil, "the archive is empty"},
		{"truncated", zipped(t, rootfs(t))[:30], "reading the first entry"},
		{"bzip2", []byte("BZh91AY"), "decompress it first"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rootfs")
			if err := os.WriteFile(path, test.raw, 0o644); err != nil {
				t.Fatal(err)
			}
			s, err := OpenTar(path, "team/base:1", time.Now().Add(time.Hour))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := touchstone.Artifact{Name: "team/base:1", Source: path, Kind: touchstone.KindFilesystem}
			if diff := cmp.Diff(want, s.Artifact()); diff != "" {
				t.Error(diff)
			}
			layer := s.Layers()[0]
			for range 2 { // a layer may be read again
				r, err := layer.Open(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, test.raw) || layer.Size != int64(len(got)) || layer.Stamp == "" {
					t.Errorf("read %d bytes of %d, error %v", len(got), layer.Size, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStampShowsChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rootfs")
	stamp := func(now time.Time) string {
		if err := os.WriteFile(path, rootfs(t), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := OpenTar(path, "", now)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		return s.Layers()[0].Stamp
	}
	if got := stamp(time.Now()); got != "" {
		t.Errorf("a file just written has the stamp %s", got)
	}
	if stamp(time.Now().Add(time.Hour)) == "" {
		t.Error("an old file has no stamp")
	}
}

func TestOpenDir(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	root := filepath.Join(dir, "root")
	file := filepath.Join(dir, "file")
	pipe := filepath.Join(dir, "pipe")
	for _, err := range []error{os.Mkdir(root, 0o755), os.Symlink(root, link), os.WriteFile(file, nil, 0o644), syscall.Mkfifo(pipe, 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenDir(link, "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	if layer := s.Layers()[0]; layer.Root != want || layer.Open != nil || s.Config() != nil || s.Artifact().Source != link {
		t.Errorf("layer %+v of %+v", layer, s.Artifact())
	}
	for path, say := range map[string]string{
		file:                      "is not a folder\nhint: rootfs:",
		pipe:                      "is not a folder",
		filepath.Join(dir, "not"): "no such folder",
	} {
		if _, err := OpenDir(path, ""); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: error %v, want %q", path, err, say)
		}
	}
	if _, err := OpenTar(pipe, "", time.Now()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: error %v", err)
	}
}
