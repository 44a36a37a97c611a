package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
)

// smallDisk mounts a file system of a few megabytes.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	s := open(t, sqlite.Config{Path: filepath.Join(dir, "record.db")})
	ballast := filepath.Join(dir, "ballast")
	check(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	written := 0
	fill := func() error {
		for {
			key := fmt.Sprint(written)
			_, err := s.Commit(t.Context(), record.Change{Kind: "a", Body: noise(20_000), Facts: []record.Fact{{Kind: "k", Key: key, Value: []byte(key)}}})
			if err != nil {
				return err
			}
			written++
		}
	}
	if err := fill(); !errors.Is(err, record.ErrFull) {
		t.Fatalf("on a full disk: %v, want ErrFull", err)
	}
	if err := s.Health(t.Context()); err != nil && !errors.Is(err, record.ErrFull) {
		t.Errorf("health on a full disk: %v", err)
	}
	before := written
	look := func() {
		t.Helper()
		n := 0
		for _, err := range s.Facts(t.Context(), record.FactQuery{Kind: "k"}) {
			check(t, err)
			n++
		}
		v, err := record.Verify(t.Context(), s, record.Trust{Bodies: true})
		if err != nil || !v.OK || int(v.Entries) != written || n != written {
			t.Fatalf("%d were written; %d facts, %+v, %v", written, n, v, err)
		}
	}
	look()
	check(t, os.Remove(ballast))
	if err := fill(); !errors.Is(err, record.ErrFull) || written == before {
		t.Fatalf("once there was room again %d more were written: %v", written-before, err)
	}
	look()
	check(t, s.Check(t.Context()))
}

func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "record.db")
	s := open(t, sqlite.Config{Path: path})
	commit := func(key string) error {
		_, err := s.Commit(t.Context(), record.Change{Kind: "a", Facts: []record.Fact{{Kind: "k", Key: key, Value: []byte("1")}}})
		return err
	}
	check(t, commit("1"))
	check(t, s.Close())
	check(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); !errors.Is(err, record.ErrFull) {
		t.Errorf("opening on a read-only disk: %v, want ErrFull", err)
	}
	r, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ReadOnly: true})
	check(t, err)
	if _, err := r.Fact(t.Context(), "k", "1"); err != nil {
		t.Errorf("reading on a read-only disk: %v", err)
	}
	if _, err := r.Commit(t.Context(), record.Change{Kind: "a"}); !errors.Is(err, record.ErrFull) {
		t.Errorf("committing to a store opened for reading: %v, want ErrFull", err)
	}
	check(t, r.Close())
	check(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=3m"))
	s = open(t, sqlite.Config{Path: path})
	check(t, commit("2"))
}

// TestFileLimit lets no file grow beyond a size, which is a full disk that needs
// no root.
func TestFileLimit(t *testing.T) {
	s := open(t, sqlite.Config{})
	var before unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
	limit := before
	limit.Cur = 600_000
	check(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
	written, err := 0, error(nil)
	for err == nil {
		if _, err = s.Commit(t.Context(), record.Change{Kind: "a", Body: noise(20_000)}); err == nil {
			written++
		}
	}
	check(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &before))
	if !errors.Is(err, record.ErrFull) || written == 0 {
		t.Fatalf("after %d: %v, want ErrFull", written, err)
	}
	_, err = s.Commit(t.Context(), record.Change{Kind: "a", Body: noise(20_000)})
	check(t, err)
	v, err := record.Verify(t.Context(), s, record.Trust{Bodies: true})
	if err != nil || !v.OK || int(v.Entries) != written+1 {
		t.Errorf("%d were written: %+v, %v", written+1, v, err)
	}
}
