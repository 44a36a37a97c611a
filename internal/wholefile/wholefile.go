// Package wholefile writes files that people and other processes read at any
// moment: whole or not at all, and on disk before the old content is gone. It is
// for small files that are rewritten; what never changes belongs to package blob.
package wholefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error that matters is the first
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// Sweep removes what writers of the file left behind when they were killed. Call
// it where nobody else can be writing, such as under a lock.
func Sweep(path string) {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-*"))
	if err != nil {
		return // the name itself is a malformed pattern: then nothing is swept
	}
	for _, name := range left {
		_ = os.Remove(name) // what cannot be removed is in nobody's way
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
