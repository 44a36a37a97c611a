package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/record"
)

// Backup writes the whole record, as of one moment, to a new file, and returns
// its size. Commits go on meanwhile. The file is there when it is whole and on
// disk, or not at all; one that is there is never overwritten.
func (s *Store) Backup(ctx context.Context, path string) (int64, error) {
	if _, err := s.Checkpoint(ctx); err != nil && !errors.Is(err, record.ErrFull) {
		return 0, err
	}
	size, err := s.backup(ctx, path)
	if err != nil {
		return 0, fmt.Errorf("writing the backup %s: %w", path, fault(err))
	}
	return size, nil
}

func (s *Store) backup(ctx context.Context, path string) (int64, error) {
	if there(path) {
		return 0, os.ErrExist
	}
	partial, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer os.Remove(partial.Name()) //nolint:errcheck // it has another name when all went well
	defer partial.Close()
	db, err := connect(s.c.Path, "rw")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", partial.Name()); err != nil {
		return 0, err
	}
	info, err := partial.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), errors.Join(partial.Sync(), rename(partial.Name(), path))
}

// rename moves a file to where none is, and makes that last.
func rename(from, to string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Restore verifies a backup and puts it in the place of a database that no
// process has open. What was there is kept beside it: its name is returned, ""
// where there was nothing. An error means that the old database is still in its
// place.
//
// Key is the public key of the checkpoints; without it their signatures are not
// looked at, so that a log whose end was cut off would pass.
func Restore(ctx context.Context, backup, path, key string) (kept string, err error) {
	lock, err := takeLock(path)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	id := record.NewID(time.Now())
	fresh := path + ".restoring-" + id
	defer removeDatabase(fresh) // nothing is left of it when all went well
	if err := copyFile(backup, fresh); err != nil {
		return "", fmt.Errorf("restoring %s: %w", backup, fault(err))
	}
	if err := whole(ctx, fresh, key); err != nil {
		return "", fmt.Errorf("restoring %s: %w", backup, err)
	}
	kept, err = setAside(path, path+".before-"+id)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return "", fmt.Errorf("restoring %s: %w", backup, fault(err))
	}
	return kept, nil
}

// whole brings a copy of a backup to the newest version, and says what is wrong
// with it.
func whole(ctx context.Context, path, key string) error {
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // the second time it does nothing
	if err := s.Check(ctx); err != nil {
		return err
	}
	t := record.Trust{Key: key, Bodies: true}
	if key != "" {
		if t.Checkpoints, err = s.Checkpoints(ctx); err != nil {
			return err
		}
	}
	v, err := record.Verify(ctx, s, t)
	if err == nil && !v.OK {
		err = fmt.Errorf("%w: %s", record.ErrCorrupt, strings.Join(v.Faults, "; "))
	}
	if err != nil {
		return err
	}
	return s.Close()
}

// setAside gives a database a second name, and moves what belongs to it there.
// The database itself stays in its place until another is renamed over it.
func setAside(path, to string) (string, error) {
	if !there(path) {
		return "", nil
	}
	// Where it still can be read, everything of it comes into the one file.
	if db, err := connect(path, "rw"); err == nil {
		_, _ = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)") // a damaged one keeps its PATH-wal
		_ = db.Close()
	}
	for _, suffix := range []string{"-wal", "-shm", ".checkpoints"} {
		if err := os.Rename(path+suffix, to+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return to, os.Link(path, to)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func removeDatabase(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		_ = os.Remove(path + suffix) // most are not there
	}
}
