package build

import (
	"bufio"
	"fmt"
	"os"
)

// spill is a temporary file that has no name: it is gone when the process is.
type spill struct {
	file *os.File
	w    *bufio.Writer
	size int64
	buf  []byte
}

func newSpill(dir string, buffer int) (*spill, error) {
	f, err := os.CreateTemp(dir, "tmp-spill-*")
	if err != nil {
		return nil, fmt.Errorf("make room for an import: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("make room for an import: %w", err)
	}
	return &spill{file: f, w: bufio.NewWriterSize(f, buffer)}, nil
}

// add appends b and returns where it begins.
func (s *spill) add(b []byte) (int64, error) {
	at := s.size
	s.size += int64(len(b))
	if _, err := s.w.Write(b); err != nil {
		return 0, fmt.Errorf("spill an import: %w", err)
	}
	return at, nil
}

// flush ends the writing; reading may begin.
func (s *spill) flush() error {
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("spill an import: %w", err)
	}
	s.w = nil
	return nil
}

// read returns n bytes from at; the next call overwrites them.
func (s *spill) read(at int64, n int) ([]byte, error) {
	if cap(s.buf) < n {
		s.buf = make([]byte, n+n/2)
	}
	b := s.buf[:n]
	if _, err := s.file.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("read a spilled import: %w", err)
	}
	return b, nil
}

func (s *spill) close() {
	if s != nil {
		_ = s.file.Close()
	}
}
