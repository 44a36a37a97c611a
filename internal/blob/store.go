// Package blob is the folder of what never changes: blobs named by the SHA-256
// of their bytes, and records found again by a key. It is a cache of facts about
// bytes, so losing any part of it costs time and nothing else; but for records
// that a caller asks to stay (Keep).
//
// It is not for what happens (that is the log) nor for what may be changed in
// place: a record that is put again replaces the old one as a whole.
//
// Everything is written to a temporary file and renamed, blobs are synced before
// that; so kill -9 at any moment leaves the folder usable and two processes may
// share it. What is
// read is verified: a blob against its name, a record against the sum inside it.
// What does not verify is removed and treated as absent, never believed.
//
//	DIR/blobs/ab/ab12…       blob
//	DIR/records/KIND/ab12…   record; the name is the SHA-256 of its key
//	DIR/kept/KIND/ab12…      record that stays until it is dropped
//	DIR/tmp/…                being written, locked by its writer
package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"touchstone.dev/touchstone"
)

// ErrAbsent is returned for a blob or record that is not there, or did not
// verify and was removed.
var ErrAbsent = errors.New("not in the store")

// ErrUnwritable marks a failure to write because the disk is full, over its
// quota, read-only or not ours to write. The caller may go on without a cache.
var ErrUnwritable = errors.New("the store cannot be written")

// Config says where the store lies.
type Config struct {
	// Dir is the folder; it is made where it does not exist.
	Dir string
	// Now is the clock by which age is judged; time.Now when nil.
	Now func() time.Time
}

// Store is an open folder. It is safe for concurrent use, by several processes
// too.
type Store struct {
	dir      string
	now      func() time.Time
	verified sync.Map // touchstone.Digest → struct{}: read whole and found right by this Store
}

// Open opens the store and sweeps away what dead writers have left. A folder
// that exists and cannot be written is opened for reading.
func Open(c Config) (*Store, error) {
	s := &Store{dir: c.Dir, now: c.Now}
	if s.now == nil {
		s.now = time.Now
	}
	for _, sub := range []string{"blobs", "records", "kept", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o700); err != nil {
			if _, stat := os.Stat(s.dir); stat == nil && unwritable(err) {
				return s, nil
			}
			return nil, failure("opening the store", s.dir, err)
		}
	}
	s.sweep()
	return s, nil
}

// Dir returns the folder of the store.
func (s *Store) Dir() string { return s.dir }

func (s *Store) blobPath(d touchstone.Digest) (string, error) {
	if !d.Valid() {
		return "", fmt.Errorf("finding a blob: %q is not a SHA-256 digest", string(d))
	}
	name := string(d)[len("sha256:"):]
	return filepath.Join(s.dir, "blobs", name[:2], name), nil
}

// unwritable reports whether err means that this place cannot be written now.
func unwritable(err error) bool {
	for _, e := range []error{fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// failure says what failed, to which path, and what can be done where that is
// known.
func failure(doing, path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s %s: %w: %w\nhint: free some space, or choose another folder with --data", doing, path, ErrUnwritable, err)
	case unwritable(err):
		return fmt.Errorf("%s %s: %w: %w\nhint: choose a folder that may be written with --data", doing, path, ErrUnwritable, err)
	default:
		return fmt.Errorf("%s %s: %w", doing, path, err)
	}
}
