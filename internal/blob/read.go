package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
)

// Has reports whether the blob is there. What it holds is verified when it is
// read.
func (s *Store) Has(d touchstone.Digest) bool {
	path, err := s.blobPath(d)
	if err != nil {
		return false
	}
	_, err = os.Lstat(path)
	return err == nil
}

// Get returns the bytes of a blob, verified; ErrAbsent where it is not there.
func (s *Store) Get(d touchstone.Digest) ([]byte, error) {
	m, err := s.Map(d)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return append([]byte(nil), m.Bytes()...), nil
}

// Map returns a blob as memory mapped from its file, which is how large ones are
// read without being held. The first Map of a blob by this Store verifies it;
// later ones trust that. Pruning does not disturb a mapping.
func (s *Store) Map(d touchstone.Digest) (*Mapping, error) {
	path, err := s.blobPath(d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", d, ErrAbsent)
	}
	if err != nil {
		return nil, failure("opening the blob", path, err)
	}
	defer f.Close()
	m, err := MapFile(f)
	if err != nil {
		return nil, err
	}
	if _, ok := s.verified.Load(d); !ok {
		sum := sha256.Sum256(m.data)
		if hex.EncodeToString(sum[:]) != string(d)[len("sha256:"):] {
			m.Close()
			return nil, remove(path, "blob")
		}
		s.verified.Store(d, struct{}{})
	}
	if info, err := f.Stat(); err == nil {
		s.touch(path, info)
	}
	return m, nil
}

// Mapping is the content of a file in memory that the kernel may drop and read
// again. Its bytes must not be written, nor used after Close.
type Mapping struct{ data []byte }

// MapFile maps the whole of a file, which may be closed or unlinked afterwards.
// Who owns the file must not shorten it.
func MapFile(f *os.File) (*Mapping, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, failure("reading", f.Name(), err)
	}
	if info.Size() == 0 {
		return &Mapping{}, nil
	}
	if int64(int(info.Size())) != info.Size() {
		return nil, fmt.Errorf("mapping %s: %d bytes are more than this machine can address", f.Name(), info.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, failure("mapping", f.Name(), err)
	}
	return &Mapping{data: data}, nil
}

// Bytes returns the content.
func (m *Mapping) Bytes() []byte { return m.data }

// Close gives the memory back. Closing twice is harmless.
func (m *Mapping) Close() {
	if m.data != nil {
		_ = unix.Munmap(m.data) // fails only for what was never mapped
		m.data = nil
	}
}
