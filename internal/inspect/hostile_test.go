package inspect

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/unprivileged"
)

// FuzzLayer reads any bytes as a layer, stored in any way. Whatever they are,
// there is evidence, in bounded memory, and nothing is left behind. Goroutines
// make its coverage waver: give -fuzzminimizetime=1x, or it does nothing else.
func FuzzLayer(f *testing.F) {
	plain := makeTar(f, file{name: "a", content: "a"}, file{name: "d/"}, file{name: "d/.wh.x"}, file{name: "l", link: "a", hard: true},
		file{name: "d/package.json", content: npmX}, file{name: "lib/apk/db/installed", content: "P:a\nV:1\n\n"})
	f.Add(plain)
	f.Add(gzipped(f, plain))
	f.Add(zstded(f, plain))
	f.Add([]byte("\x50\x2a\x4d\x18\x00\x00\x00\x00"))
	in := newInspector(f, Config{Limits: Limits{LayerBytes: 16 << 20, FileBytes: 1 << 20, Entries: 10_000}})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &source{}
		s.add(data, data)
		e, _, err := in.Inspect(t.Context(), s.configured(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range e.Packages {
			if p.Path == "" {
				t.Errorf("%v has no path", p)
			}
		}
	})
}

func FuzzCleanName(f *testing.F) {
	for _, name := range []string{"a/b", "../a", "/", "a/../../b", "./.", "a//b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, _ := cleanName(name)
		for _, component := range strings.Split(clean, "/") {
			if component == ".." || component == "." || component == "" && clean != "" {
				t.Errorf("%q becomes %q", name, clean)
			}
		}
		if again, leaves := cleanName(clean); again != clean || leaves {
			t.Errorf("%q becomes %q and then %q", name, clean, again)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add(makeImage(f, makeTar(f)).config)
	f.Add([]byte(`{"created": 7, "history": [{"empty_layer": true}], "config": null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		img := readImage(append([]byte{}, raw...))
		img.compare(nil)
		img.instructions(3, nil)
	})
}

// TestBombs reads layers that unpack to far more than they are.
func TestBombs(t *testing.T) {
	zeros := bytes.Repeat([]byte{0}, 64<<20)
	var hollow bytes.Buffer
	if err := tar.NewWriter(&hollow).WriteHeader(&tar.Header{Name: "big", Size: 1 << 50, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	// The library refuses to write such a header, so one is made longer by hand.
	long := makeTar(t, file{name: "x", content: strings.Repeat("x", 2<<20), kind: tar.TypeReg})
	long[156] = tar.TypeXHeader
	copy(long[148:156], "        ")
	checksum := 0
	for _, b := range long[:512] {
		checksum += int(b)
	}
	copy(long[148:], fmt.Sprintf("%06o\x00 ", checksum))
	tests := []struct {
		name  string
		plain []byte
		want  touchstone.GapKind
	}{
		{"zeros", makeTar(t, file{name: "z", content: string(zeros)}), touchstone.GapLimit},
		{"a size that is not there", hollow.Bytes(), touchstone.GapLimit},
		{"a huge header", long, touchstone.GapCorrupt},
	}
	in := newInspector(t, Config{Limits: Limits{LayerBytes: 32 << 20}})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := inspect(t, in, makeImage(t, test.plain))
			if len(e.Gaps) != 1 || e.Gaps[0].Kind != test.want {
				t.Errorf("gaps %v, want one of kind %s", e.Gaps, test.want)
			}
		})
	}
}

// TestManyGaps counts what it does not tell one by one.
func TestManyGaps(t *testing.T) {
	var files []file
	for i := range 3 * maxAlike {
		files = append(files, file{name: fmt.Sprintf("../f%d", i), content: "a"})
	}
	e := inspect(t, newInspector(t, Config{}), makeImage(t, makeTar(t, files...)))
	more := 0
	for _, g := range e.Gaps {
		if g.Reason == fmt.Sprintf("%d more like these", 2*maxAlike) {
			more++
		}
	}
	if len(e.Gaps) != maxAlike+1 || more != 1 {
		t.Errorf("%d gaps, %d of them sums; want %d and 1", len(e.Gaps), more, maxAlike+1)
	}
}

func TestScratchIsSwept(t *testing.T) {
	parent := t.TempDir()
	dead := filepath.Join(parent, scratchPrefix+"dead")
	if err := os.MkdirAll(filepath.Join(dead, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(dead, old, old); err != nil {
		t.Fatal(err)
	}
	before := os.Getenv("TMPDIR")
	first, err := New(Config{Scratch: parent})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); err == nil {
		t.Error("a dead one's folder is still there")
	}
	if os.Getenv("TMPDIR") != first.scratch.dir {
		t.Errorf("TMPDIR is %s, want %s", os.Getenv("TMPDIR"), first.scratch.dir)
	}
	// A living one's folder stays, however old it looks.
	if err := os.Chtimes(first.scratch.dir, old, old); err != nil {
		t.Fatal(err)
	}
	sweepScratch(parent, old.AddDate(1, 0, 0))
	if _, err := os.Stat(first.scratch.dir); err != nil {
		t.Error("a living one's folder was swept")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 || os.Getenv("TMPDIR") != before {
		t.Errorf("left behind: %v, TMPDIR=%s", left, os.Getenv("TMPDIR"))
	}
}

// TestDamagedStore damages all that is remembered, file by file, and expects the
// evidence to stay the same.
func TestDamagedStore(t *testing.T) {
	dir := t.TempDir()
	layers := [][]byte{makeTar(t, file{name: "a", content: "a"}, file{name: "var/lib/dpkg/status", content: statusA}), makeTar(t, file{name: ".wh.a"})}
	open := func() *Inspector {
		s, err := blob.Open(blob.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return newInspector(t, Config{Store: s})
	}
	want := inspect(t, open(), makeImage(t, layers...))
	for damaged := 0; ; damaged++ {
		var paths []string
		err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				paths = append(paths, p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if damaged == len(paths) {
			break
		}
		data, err := os.ReadFile(paths[damaged])
		if err != nil {
			t.Fatal(err)
		}
		if damaged%2 == 0 {
			data = data[:len(data)/2]
		} else {
			data[len(data)/2] ^= 1
		}
		if err := os.WriteFile(paths[damaged], data, 0o600); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, inspect(t, open(), makeImage(t, layers...))); diff != "" {
			t.Errorf("with %s damaged (-want +got):\n%s", paths[damaged], diff)
		}
	}
}

// TestStoreThatCannotBeWritten goes on without it, and says so.
func TestStoreThatCannotBeWritten(t *testing.T) {
	if unprivileged.Rerun(t) {
		return
	}
	dir := t.TempDir()
	s, err := blob.Open(blob.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"tmp", "blobs", "records"} {
		if err := os.Chmod(filepath.Join(dir, sub), 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Join(dir, sub), 0o700)
	}
	notices := 0
	in := newInspector(t, Config{Store: s, Progress: func(e Event) {
		if e.Notice != "" {
			notices++
		}
	}})
	e := inspect(t, in, makeImage(t, makeTar(t, file{name: "var/lib/dpkg/status", content: statusA})))
	if len(e.Packages) != 1 || notices == 0 {
		t.Errorf("%d packages, %d notices", len(e.Packages), notices)
	}
}
