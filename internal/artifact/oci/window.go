package oci

import (
	"errors"
	"io"
)

// windowSize is small beside a layer, and large beside a tar header.
const windowSize = 32 << 10

// window reads a file from front to back with few system calls although its
// reader skips most of it, as one does who reads only the headers of a tar.
type window struct {
	r     io.ReaderAt
	size  int64
	at    int64 // where the next byte is read
	start int64 // where buf lies in the file
	buf   []byte
	held  int
}

func newWindow(r io.ReaderAt, size int64) *window {
	return &window{r: r, size: size, buf: make([]byte, windowSize)}
}

func (w *window) Read(p []byte) (int, error) {
	if w.at >= w.size {
		return 0, io.EOF
	}
	if w.at < w.start || w.at >= w.start+int64(w.held) {
		n, err := w.r.ReadAt(w.buf, w.at)
		if n == 0 {
			return 0, err
		}
		w.start, w.held = w.at, n
	}
	n := copy(p, w.buf[w.at-w.start:w.held])
	w.at += int64(n)
	return n, nil
}

// Seek implements io.Seeker, by which archive/tar skips what it need not read.
func (w *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	w.at = offset
	return w.at, nil
}

func (w *window) position() int64 { return w.at }

// counted is a stream that knows how far it was read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) position() int64 { return c.n }
