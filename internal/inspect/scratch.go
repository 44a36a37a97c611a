package inspect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// scratch is this process's folder for temporary files. It is locked while the
// process lives, so that the next one can tell and remove what a dead one left.
type scratch struct {
	dir    string
	lock   *os.File
	tmpdir *string // TMPDIR as it was; nil where it was not set
}

const (
	scratchPrefix = "touchstone-scratch-"
	// scratchAge is how old an unlocked scratch folder must be to be taken for a
	// dead one's: the lock is taken just after the folder is made.
	scratchAge = time.Minute
)

// newScratch makes the folder in parent, sweeps dead ones, and points TMPDIR at
// the new one.
func newScratch(parent string, now time.Time) (*scratch, error) {
	if parent == "" {
		parent = os.TempDir()
	} else if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, outside(fmt.Errorf("making the folder for temporary files: %w", err))
	}
	sweepScratch(parent, now)
	dir, err := os.MkdirTemp(parent, scratchPrefix)
	if err != nil {
		return nil, outside(fmt.Errorf("making a folder for temporary files: %w\nhint: TMPDIR names the folder they lie in", err))
	}
	s := &scratch{dir: dir}
	if s.lock, err = lockScratch(dir, os.O_CREATE); err != nil {
		_ = os.RemoveAll(dir)
		return nil, outside(fmt.Errorf("locking the folder for temporary files: %w", err))
	}
	if old, ok := os.LookupEnv("TMPDIR"); ok {
		s.tmpdir = &old
	}
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *scratch) path(name string) string { return filepath.Join(s.dir, name) }

// file makes an empty file without a name, which vanishes with its last user.
func (s *scratch) file() (*os.File, error) {
	fd, err := unix.Open(s.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), s.path("unnamed")), nil
	}
	// Not every file system can do that.
	f, err := os.CreateTemp(s.dir, "")
	if err != nil {
		return nil, outside(fmt.Errorf("making a temporary file: %w\nhint: TMPDIR names the folder they lie in", err))
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, outside(fmt.Errorf("unlinking a temporary file: %w", err))
	}
	return f, nil
}

func (s *scratch) close() error {
	if s.lock == nil {
		return nil
	}
	var env error
	if os.Getenv("TMPDIR") == s.dir {
		if s.tmpdir != nil {
			env = os.Setenv("TMPDIR", *s.tmpdir)
		} else {
			env = os.Unsetenv("TMPDIR")
		}
	}
	err := errors.Join(env, os.RemoveAll(s.dir), s.lock.Close())
	s.lock = nil
	return err
}

func lockScratch(dir string, flags int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|syscall.O_NOFOLLOW|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// sweepScratch removes the scratch folders of dead processes of the same user;
// parent may be open to everybody. What cannot be removed stays for the next
// sweep.
func sweepScratch(parent string, now time.Time) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), scratchPrefix) || now.Sub(info.ModTime()) < scratchAge {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		lock, err := lockScratch(dir, os.O_CREATE)
		if err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}
