package oci

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func scanBytes(raw []byte, forced bool) (*scan, error) {
	s := scanner{limit: 1 << 20, forced: forced, onRootfs: func() {}}
	return s.scan(context.Background(), newWindow(bytes.NewReader(raw), int64(len(raw))))
}

func TestWindowAndStreamAgree(t *testing.T) {
	var files [][2]string
	for n := range 300 {
		files = append(files, [2]string{fmt.Sprintf("dir/%d", n), strings.Repeat("x", n*n)})
	}
	raw := tarOf(t, files...)
	fromFile, err := scanBytes(raw, false)
	if err != nil {
		t.Fatal(err)
	}
	s := scanner{onRootfs: func() {}}
	fromStream, err := s.scan(context.Background(), &counted{Reader: bytes.NewReader(raw)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromFile.entries, fromStream.entries, cmp.AllowUnexported(entry{})); diff != "" {
		t.Error(diff)
	}
	for name, e := range fromFile.entries {
		if got := raw[e.offset : e.offset+e.size]; len(got) > 0 && (got[0] != 'x' || got[len(got)-1] != 'x') {
			t.Errorf("%s lies elsewhere", name)
		}
	}
}

func TestRootfsEntriesAreNotKept(t *testing.T) {
	raw := tarOf(t, [2]string{"a", ""}, [2]string{"usr/b", ""}, [2]string{"c", ""})
	found, err := scanBytes(raw, false)
	if err != nil || len(found.entries) != 0 || found.rootfs != "usr" {
		t.Errorf("%+v %v", found, err)
	}
	found, err = scanBytes(raw, true)
	if err != nil || len(found.entries) != 3 {
		t.Errorf("%+v %v", found, err)
	}
}

// GNU tar leaves the holes of a file out of the archive.
func TestSparseLayer(t *testing.T) {
	gnuTar, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("tar is not installed")
	}
	dir := t.TempDir()
	img := imageOf(t, "linux", "amd64", "", strings.Repeat("\x00", 8<<20)+"end")
	list := `[{"Config": "config.json", "Layers": ["0/layer.tar"]}]`
	for _, file := range dockerFiles(t, list, img) {
		path := filepath.Join(dir, file[0])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeSparse(t, path, file[1])
	}
	for _, format := range []string{"gnu", "pax"} {
		path := filepath.Join(t.TempDir(), "image.tar")
		cmd := exec.Command(gnuTar, "--sparse", "--format="+format, "-C", dir, "-cf", path, ".")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if info, err := os.Stat(path); err != nil || info.Size() > 1<<20 {
			t.Skipf("this file system keeps no holes: %d bytes (%v)", info.Size(), err)
		}
		opened, err := OpenArchive(context.Background(), path, "", FormAny, Options{})
		if err != nil {
			t.Fatal(err)
		}
		check(t, opened[0])
	}
}

// writeSparse writes a file with holes where the text is zero.
func writeSparse(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	const block = 4096
	for at := 0; at < len(text); at += block {
		part := text[at:min(at+block, len(text))]
		if strings.Trim(part, "\x00") == "" {
			continue
		}
		if _, err := f.WriteAt([]byte(part), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(int64(len(text))); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// An archive of 250 MB is opened by its headers.
func BenchmarkOpenArchive(b *testing.B) {
	dir := b.TempDir()
	img := imageOf(b, "linux", "amd64", "", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
	list := `[{"Config": "config.json", "Layers": ["0/layer.tar","1/layer.tar","2/layer.tar","3/layer.tar","4/layer.tar","5/layer.tar","6/layer.tar","7/layer.tar","8/layer.tar","9/layer.tar"]}]`
	var files [][2]string
	for _, f := range dockerFiles(b, list, img) {
		if strings.HasSuffix(f[0], "layer.tar") {
			f[1] = strings.Repeat("x", 25<<20)
		}
		files = append(files, f)
	}
	path := write(b, filepath.Join(dir, "image.tar"), tarOf(b, files...))
	for b.Loop() {
		opened, err := OpenArchive(context.Background(), path, "", FormAny, Options{})
		if err != nil {
			b.Fatal(err)
		}
		_ = opened[0].Close()
	}
}

// The headers of a million entries are walked.
func BenchmarkScanMillion(b *testing.B) {
	one := tarOf(b, [2]string{"usr/a", "some text"})[:1024] // without the end
	raw := bytes.Repeat(one, 1_000_000)
	path := write(b, filepath.Join(b.TempDir(), "rootfs.tar"), raw)
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		s := scanner{onRootfs: func() {}}
		if _, err := s.scan(context.Background(), newWindow(f, int64(len(raw)))); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}
