package blob

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"touchstone.dev/touchstone"
)

// Put keeps the bytes and returns their digest.
func (s *Store) Put(data []byte) (touchstone.Digest, error) {
	d := touchstone.DigestOf(data)
	path, err := s.blobPath(d)
	if err != nil {
		return "", err
	}
	if s.present(path, int64(len(data))) {
		return d, nil
	}
	return d, s.place(path, bytes.NewReader(data), true)
}

// Writer takes the bytes of one blob as a stream. It ends with Commit or Abort;
// Abort after Commit does nothing, so that it may be deferred.
type Writer struct {
	store *Store
	file  *os.File
	hash  hash.Hash
	size  int64
}

// Create begins a blob whose digest is not known yet.
func (s *Store) Create() (*Writer, error) {
	f, err := s.temporary()
	if err != nil {
		return nil, err
	}
	return &Writer{store: s, file: f, hash: sha256.New()}, nil
}

// Write adds bytes to the blob.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, failure("writing", w.file.Name(), err)
	}
	return n, nil
}

// Commit keeps what was written and returns its digest.
func (w *Writer) Commit() (touchstone.Digest, error) {
	d := touchstone.NewDigest(w.hash.Sum(nil))
	path, err := w.store.blobPath(d)
	if err != nil {
		return "", err
	}
	f := w.file
	w.file = nil
	if w.store.present(path, w.size) {
		discard(f)
		return d, nil
	}
	return d, settle(f, path, true)
}

// Abort throws away what was written.
func (w *Writer) Abort() {
	if w.file != nil {
		discard(w.file)
		w.file = nil
	}
}

// place writes the content to a temporary file and moves it to path (see
// settle).
func (s *Store) place(path string, content io.Reader, durable bool) error {
	f, err := s.temporary()
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		discard(f)
		return failure("writing", path, err)
	}
	return settle(f, path, durable)
}

// present reports whether path already holds a file of this size. What it holds
// is verified when it is read. Being asked for makes it young again for Prune.
func (s *Store) present(path string, size int64) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Size() != size {
		return false
	}
	s.touch(path, info)
	return true
}

// temporary makes a locked file under tmp. The lock tells a living writer from a
// dead one (see sweep).
func (s *Store) temporary() (*os.File, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "")
	if err != nil {
		return nil, failure("writing to the store", s.dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		discard(f)
		return nil, failure("locking", f.Name(), err)
	}
	return f, nil
}

// settle moves the file to its name, once it is on the disk where it must be
// durable. Whatever a power cut takes or leaves half written is absent for
// readers, who verify.
func settle(f *os.File, path string, durable bool) error {
	var err error
	if durable {
		err = f.Sync()
	}
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		discard(f)
		return failure("keeping", path, err)
	}
	if err := f.Close(); err != nil {
		return failure("closing", path, err)
	}
	return nil
}

// discard removes a temporary file; there is nobody to tell if that fails, and
// the next sweep tries again.
func discard(f *os.File) {
	_ = os.Remove(f.Name())
	_ = f.Close()
}

// staleAfter is how old a temporary file must be before it may be taken for a
// dead writer's: a live one holds its lock, but takes it just after creation.
const staleAfter = time.Minute

// sweep removes temporary files whose writers are dead.
func (s *Store) sweep() {
	dir := filepath.Join(s.dir, "tmp")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing can be swept here; writing will say why
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || s.now().Sub(info.ModTime()) < staleAfter {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.Remove(f.Name())
		}
		_ = f.Close()
	}
}

// touch makes a file young for Prune, at most once a day so that reading stays
// reading.
func (s *Store) touch(path string, info os.FileInfo) {
	if now := s.now(); now.Sub(info.ModTime()) > 24*time.Hour {
		_ = os.Chtimes(path, now, now) // only Prune's order suffers
	}
}

// remove deletes what did not verify.
func remove(path, what string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return failure("removing the damaged "+what, path, err)
	}
	return fmt.Errorf("%s %s was damaged and is removed: %w", what, path, ErrAbsent)
}
