package drift

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/surface"
	"touchstone.dev/touchstone/internal/manifest"
)

var (
	errBudget   = errors.New("the bytes of this scan are used up")
	errUnstable = errors.New("it changes while it is read")
	errMoved    = errors.New("it was moved while it was read")
	errReplaced = errors.New("it was replaced while it was looked at")
)

// reader reads files, and counts.
type reader struct {
	hash     hash.Hash
	buf      []byte
	start    [surface.HeadSize]byte // of the file being read
	files    int
	bytes    int64
	limit    int64
	first    int   // files that were read for the first time
	repeated int64 // bytes of files that were read again for being fresh
	repeats  bool  // the file being read is such a one
}

// again reports whether there is room to read a file again that is fresh. Half of
// the bytes are for what was never read.
func (r *reader) again(size int64) bool {
	if r.repeated+size > r.limit/2 {
		return false
	}
	r.repeated += size
	return true
}

func newReader(limit int64) reader {
	return reader{hash: sha256.New(), limit: limit}
}

// most is how much of a file is read at a time.
const most = 128 << 10

// room returns the buffer for a file of this size. Most files are small, and so
// is the buffer then.
func (r *reader) room(size int64) []byte {
	if want := int(min(max(size, 4<<10), most)); len(r.buf) < want {
		r.buf = make([]byte, min(2*want, most))
	}
	return r.buf
}

// head fills in how a file can be executed.
func (r *reader) head(fd int, e *manifest.Entry) error {
	head := r.start[:min(e.Size, surface.HeadSize)]
	n, err := descriptor(fd).ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.bytes += int64(n)
	r.execution(fd, e, head[:n])
	return nil
}

func (r *reader) execution(fd int, e *manifest.Entry, head []byte) {
	e.Exec = manifest.ExecOf(surface.Exec(head, descriptor(fd)))
}

// sum fills in the SHA-256 of a file that is e.Size bytes long, and how it can be
// executed, which want tells where it has the same content. A file larger than what is left of the bytes is read all the same
// when it is the first one: it would never be otherwise.
func (r *reader) sum(ctx context.Context, fd int, st *unix.Stat_t, want, e *manifest.Entry) error {
	if !r.repeats {
		if r.first > 0 && r.bytes+e.Size > r.limit {
			return errBudget
		}
		r.first++
	}
	r.files++
	head, buf := 0, r.room(e.Size)
	r.hash.Reset()
	for offset := int64(0); offset < e.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := buf[:min(e.Size-offset, int64(len(buf)))]
		n, err := descriptor(fd).ReadAt(chunk, offset)
		r.hash.Write(chunk[:n])
		if offset == 0 {
			head = copy(r.start[:], chunk[:n])
		}
		r.bytes += int64(n)
		offset += int64(n)
		if errors.Is(err, io.EOF) {
			return errUnstable // it became shorter
		}
		if err != nil {
			return err
		}
	}
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil {
		return err
	}
	if !sameState(st, &now) {
		return errUnstable
	}
	r.hash.Sum(e.SHA256[:0])
	e.Hashed = true
	if want != nil && want.Hashed && want.SHA256 == e.SHA256 {
		e.Exec = want.Exec
		return nil
	}
	r.execution(fd, e, r.start[:head])
	return nil
}

// unread describes why a file's content is not known.
func unread(err error) *touchstone.Gap {
	switch {
	case errors.Is(err, errBudget):
		return gap(touchstone.GapLimit, err.Error())
	case errors.Is(err, errUnstable), errors.Is(err, errReplaced):
		return gap(touchstone.GapFailed, err.Error())
	default:
		return gap(touchstone.GapFailed, fmt.Sprintf("reading it: %v", err))
	}
}
