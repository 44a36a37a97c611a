package blob

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/unprivileged"
)

func open(tb testing.TB, dir string) *Store {
	tb.Helper()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func put(tb testing.TB, s *Store, data []byte) touchstone.Digest {
	tb.Helper()
	d, err := s.Put(data)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// files returns all regular files below dir.
func files(tb testing.TB, dir string) []string {
	tb.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestBlob(t *testing.T) {
	for _, size := range []int{0, 1, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := open(t, t.TempDir())
			data := bytes.Repeat([]byte("x"), size)
			d := put(t, s, data)
			if again := put(t, s, data); again != d {
				t.Errorf("put again as %s, want %s", again, d)
			}
			got, err := s.Get(d)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			w, err := s.Create()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			if streamed, err := w.Commit(); err != nil || streamed != d {
				t.Errorf("streamed as %s, %v; want %s", streamed, err, d)
			}
			if left := files(t, filepath.Join(s.Dir(), "tmp")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Get(touchstone.Digest("sha256:" + string(bytes.Repeat([]byte("0"), 64)))); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v, want ErrAbsent", err)
	}
	if _, err := s.Record("kind", "key"); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v, want ErrAbsent", err)
	}
	for _, bad := range []touchstone.Digest{"", "../../etc/passwd", "sha256:../x"} {
		if _, err := s.Get(bad); err == nil || s.Has(bad) {
			t.Errorf("%q was taken for a digest", bad)
		}
	}
	if err := s.PutRecord("../kind", "key", nil); err == nil {
		t.Error("a kind left its folder")
	}
}

func TestDamageIsAbsence(t *testing.T) {
	dir := t.TempDir()
	d := put(t, open(t, dir), []byte("content"))
	if err := open(t, dir).PutRecord("kind", "key", []byte("content")); err != nil {
		t.Fatal(err)
	}
	for _, path := range files(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir) // one that has verified nothing yet
	if _, err := s.Get(d); !errors.Is(err, ErrAbsent) {
		t.Errorf("a damaged blob gives %v, want ErrAbsent", err)
	}
	if _, err := s.Record("kind", "key"); !errors.Is(err, ErrAbsent) {
		t.Errorf("a damaged record gives %v, want ErrAbsent", err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("what is damaged stays: %v", left)
	}
	put(t, s, []byte("content"))
	if got, err := s.Get(d); err != nil || string(got) != "content" {
		t.Errorf("written again it gives %q, %v", got, err)
	}
}

func TestRecord(t *testing.T) {
	s := open(t, t.TempDir())
	for _, want := range []string{"one", "two", ""} {
		if err := s.PutRecord("kind", "key", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Record("kind", "key"); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	// A record moved to another key is not believed.
	from, _ := s.recordPath("records", "kind", "key")
	to, _ := s.recordPath("records", "kind", "other")
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record("kind", "other"); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v, want ErrAbsent", err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	living, err := s.temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer discard(living)
	dead := filepath.Join(dir, "tmp", "dead")
	if err := os.WriteFile(dead, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().Add(time.Hour) }
	if _, err := Open(Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if left := files(t, filepath.Join(dir, "tmp")); len(left) != 2 {
		t.Errorf("young files: %v, want both", left)
	}
	if _, err := Open(Config{Dir: dir, Now: later}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{living.Name()}, files(t, filepath.Join(dir, "tmp"))); diff != "" {
		t.Errorf("old files (-want +got):\n%s", diff)
	}
}

func TestPrune(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := Open(Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	var all []touchstone.Digest
	for i := range 4 {
		d := put(t, s, bytes.Repeat([]byte{byte(i)}, 100))
		path, _ := s.blobPath(d)
		at := now.AddDate(0, 0, i-10)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if _, err := s.Get(all[0]); err != nil { // asked for: young again
		t.Fatal(err)
	}
	if removed, err := s.Prune(250); err != nil || removed != 200 {
		t.Errorf("removed %d bytes, %v; want 200", removed, err)
	}
	var left []bool
	for _, d := range all {
		left = append(left, s.Has(d))
	}
	if diff := cmp.Diff([]bool{true, false, false, true}, left); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestUnwritable(t *testing.T) {
	if unprivileged.Rerun(t) {
		return
	}
	dir := t.TempDir()
	d := put(t, open(t, dir), []byte("content"))
	for _, sub := range []string{"", "blobs", "records", "tmp"} {
		if err := os.Chmod(filepath.Join(dir, sub), 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Join(dir, sub), 0o700)
	}
	s := open(t, dir)
	if got, err := s.Get(d); err != nil || string(got) != "content" {
		t.Errorf("reading gives %q, %v", got, err)
	}
	if _, err := s.Put([]byte("more")); !errors.Is(err, ErrUnwritable) {
		t.Errorf("writing gives %v, want ErrUnwritable", err)
	}
}

func TestDiskIsFull(t *testing.T) {
	s := open(t, t.TempDir())
	// A limit on the size of files is the nearest to a full disk that needs no
	// mount; the kernel says EFBIG instead of ENOSPC.
	for _, err := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EDQUOT, os.ErrPermission} {
		if got := failure("writing", s.Dir(), &os.PathError{Op: "write", Path: "x", Err: err}); !errors.Is(got, ErrUnwritable) || !errors.Is(got, err) {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	discard(w.file)
	w.file = full
	if _, err := w.Write([]byte("x")); !errors.Is(err, ErrUnwritable) {
		t.Errorf("a full disk gives %v, want ErrUnwritable", err)
	}
}

func TestTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	for range 4 {
		s := open(t, dir)
		group.Go(func() {
			for i := range 50 {
				data := fmt.Appendf(nil, "content %d", i)
				d, err := s.Put(data)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := s.Get(d); err != nil || !bytes.Equal(got, data) {
					t.Errorf("got %q, %v", got, err)
				}
				if err := s.PutRecord("kind", "key", data); err != nil {
					t.Error(err)
				}
				if _, err := s.Record("kind", "key"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// TestKilled kills a process that writes, again and again, and looks at what it
// has left.
func TestKilled(t *testing.T) {
	const helper = "TOUCHSTONE_BLOB_WRITER"
	if dir := os.Getenv(helper); dir != "" {
		s := open(t, dir)
		fmt.Println("ready")
		for i := 0; ; i++ {
			if _, err := s.Put(bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 10_000)); err != nil {
				t.Fatal(err)
			}
			if err := s.PutRecord("kind", "key", bytes.Repeat([]byte{byte(i)}, 10_000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	for round := range 10 {
		c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		c.Env = append(os.Environ(), helper+"="+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("ready"))); err != nil {
			t.Fatal(err)
		}
		for range round * 50 { // some writing, more each time
			if _, err := os.Stat(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // it was killed
		s := open(t, dir)
		for _, path := range files(t, filepath.Join(dir, "blobs")) {
			if _, err := s.Get(touchstone.Digest("sha256:" + filepath.Base(path))); err != nil {
				t.Errorf("after kill %d: %v", round, err)
			}
		}
		if _, err := s.Record("kind", "key"); err != nil && round > 0 && !errors.Is(err, ErrAbsent) {
			t.Errorf("after kill %d: %v", round, err)
		}
	}
	later := func() time.Time { return time.Now().Add(time.Hour) }
	if _, err := Open(Config{Dir: dir, Now: later}); err != nil {
		t.Fatal(err)
	}
	if left := files(t, filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func FuzzRecord(f *testing.F) {
	s := open(f, f.TempDir())
	if err := s.PutRecord("kind", "key", []byte("content")); err != nil {
		f.Fatal(err)
	}
	path, err := s.recordPath("records", "kind", "key")
	if err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(recordMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.Record("kind", "key")
		if err == nil && !bytes.Equal(data, good) {
			t.Fatalf("believed %q", got)
		}
	})
}

func BenchmarkPutSmall(b *testing.B) {
	s := open(b, b.TempDir())
	for i := 0; b.Loop(); i++ {
		put(b, s, fmt.Appendf(nil, "%d", i))
	}
}

func TestKeptStaysUntilItIsDropped(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Keep("kind", "key", []byte("stays")); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRecord("kind", "key", []byte("goes")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Kept("kind", "key"); err != nil || string(got) != "stays" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.Record("kind", "key"); !errors.Is(err, ErrAbsent) {
		t.Errorf("the record was not pruned: %v", err)
	}
	for range 2 {
		if err := s.Drop("kind", "key"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Kept("kind", "key"); !errors.Is(err, ErrAbsent) {
		t.Errorf("dropped: %v", err)
	}
}
