package inspect

import (
	"errors"
	"io"
	"sync"
)

// ahead reads in a goroutine of its own, some buffers ahead of its reader, so
// that the stages of a stream run side by side.
type ahead struct {
	full    chan chunk
	free    chan []byte
	stop    chan struct{}
	stopped chan struct{}
	current chunk
	rest    []byte
	once    sync.Once
	observe func([]byte)
	err     error
}

var errStopped = errors.New("reading was stopped")

type chunk struct {
	buf []byte // whole, to be given back
	n   int
	err error
}

const (
	aheadBuffers = 4
	aheadBuffer  = 256 << 10
	aheadBytes   = aheadBuffers * aheadBuffer
)

// newAhead starts reading from r. produced is called in the reading goroutine
// with the bytes as they are read, consumed in that of the reader just before it
// gets them; either may be nil. close must be called before r is given up.
func newAhead(r io.Reader, produced, consumed func([]byte)) *ahead {
	a := &ahead{
		full:    make(chan chunk, aheadBuffers),
		free:    make(chan []byte, aheadBuffers),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
		observe: consumed,
	}
	for range aheadBuffers {
		a.free <- make([]byte, aheadBuffer)
	}
	go a.produce(r, produced)
	return a
}

func (a *ahead) produce(r io.Reader, observe func([]byte)) {
	defer close(a.stopped)
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.stop:
			return
		}
		n, err := fill(r, buf)
		if observe != nil && n > 0 {
			observe(buf[:n])
		}
		select {
		case a.full <- chunk{buf, n, err}:
		case <-a.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// fill is io.ReadFull, but leaves the reader's own error as it is.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && err == nil; {
		var got int
		got, err = r.Read(buf[n:])
		n += got
		if got > 0 {
			empty = 0
		} else if empty++; empty > 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// Read gives what was read ahead.
func (a *ahead) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		if err := a.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// drain reads to the end, and reports whether any byte on the way was not zero.
func (a *ahead) drain() (nonzero bool, err error) {
	for {
		if !nonzero {
			nonzero = !allZero(a.rest)
		}
		a.rest = nil
		if err := a.advance(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return nonzero, err
		}
	}
}

// advance gets the next chunk that holds anything.
func (a *ahead) advance() error {
	for len(a.rest) == 0 {
		if a.err != nil {
			return a.err
		}
		if a.current.buf != nil {
			a.free <- a.current.buf // has room for all buffers
		}
		select {
		case a.current = <-a.full:
		case <-a.stop:
			a.current, a.err = chunk{}, errStopped
			return a.err
		}
		a.rest = a.current.buf[:a.current.n]
		a.err = a.current.err
		if a.observe != nil && len(a.rest) > 0 {
			a.observe(a.rest)
		}
	}
	return nil
}

// close stops both sides and waits for the reading goroutine. Where that may be
// stuck in a read, the source must be cancelled first. Closing twice is harmless.
func (a *ahead) close() {
	a.once.Do(func() { close(a.stop) })
	<-a.stopped
}

func allZero(p []byte) bool {
	for len(p) >= 8 {
		if p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7] != 0 {
			return false
		}
		p = p[8:]
	}
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
