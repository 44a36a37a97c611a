package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A record is recordMagic, the SHA-256 of kind, key and payload, and the payload.
const recordMagic = "touchstone record 1\n"

// PutRecord keeps data under the kind and key, replacing what was there. The
// kind is a word in lower case and names a folder; the key may be anything.
// Unlike a blob a record is not synced: a power cut may lose it, and never
// leaves half of one to be believed.
func (s *Store) PutRecord(kind, key string, data []byte) error {
	path, err := s.recordPath("records", kind, key)
	if err != nil {
		return err
	}
	return s.putRecord(path, kind, key, data, false)
}

// Keep is PutRecord for what cannot be had again: it is synced, and Prune leaves
// it alone. Kept reads it, Drop removes it.
func (s *Store) Keep(kind, key string, data []byte) error {
	path, err := s.recordPath("kept", kind, key)
	if err == nil {
		err = s.putRecord(path, kind, key, data, true)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func (s *Store) putRecord(path, kind, key string, data []byte, durable bool) error {
	sum := recordSum(kind, key, data)
	return s.place(path, io.MultiReader(
		bytes.NewReader([]byte(recordMagic)), bytes.NewReader(sum[:]), bytes.NewReader(data)), durable)
}

// Record returns what was put under the kind and key; ErrAbsent where nothing
// is, or what is there was damaged.
func (s *Store) Record(kind, key string) ([]byte, error) { return s.record("records", kind, key) }

// Kept is Record for what Keep has written.
func (s *Store) Kept(kind, key string) ([]byte, error) { return s.record("kept", kind, key) }

// Drop removes what Keep has written. That it is not there is no error.
func (s *Store) Drop(kind, key string) error {
	path, err := s.recordPath("kept", kind, key)
	if err != nil {
		return err
	}
	if err := ignoreAbsent(os.Remove(path)); err != nil {
		return failure("removing the record", path, err)
	}
	return nil
}

// syncDir makes a rename in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return failure("syncing", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return failure("syncing", dir, err)
	}
	return nil
}

func (s *Store) record(folder, kind, key string) ([]byte, error) {
	path, err := s.recordPath(folder, kind, key)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("record %s %q: %w", kind, key, ErrAbsent)
	}
	if err != nil {
		return nil, failure("reading the record", path, err)
	}
	rest, ok := bytes.CutPrefix(raw, []byte(recordMagic))
	if !ok || len(rest) < sha256.Size {
		return nil, remove(path, "record")
	}
	data := rest[sha256.Size:]
	if sum := recordSum(kind, key, data); !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return nil, remove(path, "record")
	}
	if info, err := os.Lstat(path); err == nil {
		s.touch(path, info)
	}
	return data, nil
}

func (s *Store) recordPath(folder, kind, key string) (string, error) {
	for _, c := range []byte(kind) {
		if (c < 'a' || c > 'z') && c != '-' {
			return "", fmt.Errorf("finding a record: %q is not a kind", kind)
		}
	}
	if kind == "" {
		return "", errors.New("finding a record: it has no kind")
	}
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, folder, kind, hex.EncodeToString(sum[:])), nil
}

// recordSum binds the payload to its kind and key, so that a file moved to
// another name is not believed either.
func recordSum(kind, key string, data []byte) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %d %s %d ", len(kind), kind, len(key), key, len(data))
	h.Write(data)
	return [sha256.Size]byte(h.Sum(nil))
}
