package oci

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/artifact"
)

// spool is a temporary file without a name: nothing is left behind however the
// process ends.
type spool struct {
	file    *os.File
	written int64
	limit   int64
}

func newSpool(limit int64) (*spool, error) {
	dir := os.TempDir()
	file, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil { // a file system that cannot make files without names
		file, err = os.CreateTemp(dir, "touchstone-")
		if err == nil {
			err = os.Remove(file.Name())
		}
	}
	if err != nil {
		return nil, artifact.Outsidef("making a temporary file: %w\nhint: set TMPDIR to a folder with room", err)
	}
	return &spool{file: file, limit: limit}, nil
}

// Write implements io.Writer. After discard it takes everything and keeps
// nothing.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil {
		return len(p), nil
	}
	s.written += int64(len(p))
	if s.written > s.limit {
		return 0, fmt.Errorf("the archive is larger than %d bytes when decompressed", s.limit)
	}
	n, err := s.file.Write(p)
	if err != nil {
		return n, artifact.Outsidef("writing a temporary file: %w\nhint: decompress the archive first, or set TMPDIR to a folder with room", err)
	}
	return n, nil
}

// discard gives up what was written.
func (s *spool) discard() {
	if s.file != nil {
		_ = s.file.Close() // nobody reads it
		s.file = nil
	}
}
