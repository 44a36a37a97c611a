// Package wholefile writes files that people and other processes read at any
// moment: whole or not at all, and on disk before the old content is gone. It is
// for small files that are rewritten; what never changes belongs to package blob.
package wholefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Write puts data in the place of the file. It follows a link, keeps the mode of
// a file that is there, and gives a new one the mode. A pipe or a device is
// written to and never replaced.
func Write(path string, data []byte, mode os.FileMode) error {
	if err := write(path, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func write(path string, data []byte, mode os.FileMode) error {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if !info.Mode().IsRegular() {
			return os.WriteFile(path, data, mode)
		}
	}
	f, err := temporary(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error that matters is the first
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	sweep(path)
	return syncFolder(filepath.Dir(path))
}

// temporary makes a file beside path that is locked for as long as it is open.
// A sweeper may find it between its making and its locking; then it is made
// again.
func temporary(path string) (*os.File, error) {
	const attempts = 10
	for range attempts {
		f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
		if err != nil {
			return nil, err
		}
		if alone(f) {
			return f, nil
		}
		_ = f.Close() // somebody sweeps it away
	}
	return nil, errors.New("its temporary files are swept away by somebody else")
}

// alone locks the file, and reports whether that was possible and it still has
// its name.
func alone(f *os.File) bool {
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	here, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(here, there)
}

// sweep removes what writers of the file left behind when they were killed: what
// nobody holds the lock of.
func sweep(path string) {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-*"))
	if err != nil {
		return // the name itself is a malformed pattern: then nothing is swept
	}
	for _, name := range left {
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue // gone already, or not ours
		}
		if alone(f) {
			_ = os.Remove(name)
		}
		_ = f.Close()
	}
}

// syncFolder makes a rename last.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
