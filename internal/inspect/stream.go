package inspect

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// stream is the bytes of one layer on their way from the source to the tar
// reader. Reading and hashing what is stored, decompressing, and whatever the
// reader of the stream does are three goroutines.
//
//	source ─ ahead (stored digest) ─ decompress ─ bounded ─ ahead (diff ID) ─► Read
type stream struct {
	*ahead // the plain bytes
	cancel context.CancelFunc
	stored *ahead
	source io.Closer
	plain  io.Closer
	digest hash.Hash
	diffID hash.Hash
	read   atomic.Int64 // stored bytes so far
}

// openStream begins to read a layer. An error is one of the layer's bytes or of
// its source: see blame.
func (in *Inspector) openStream(ctx context.Context, l *layer) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	source, err := l.Open(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &stream{cancel: cancel, source: source, digest: sha256.New(), diffID: sha256.New()}
	var limited io.Reader = source
	if l.Size >= 0 {
		limited = io.LimitReader(source, l.Size+1) // one more tells that it is longer
	}
	s.stored = newAhead(limited, func(p []byte) {
		s.digest.Write(p)
		in.progress(l, s.read.Add(int64(len(p))))
	}, nil)
	plain, err := decompress(bufio.NewReaderSize(s.stored, aheadBuffer/4))
	if err != nil {
		s.closeStored()
		return nil, err
	}
	s.plain = plain
	s.ahead = newAhead(&bounded{in: plain, stored: &s.read, limits: in.config.Limits}, nil, func(p []byte) { s.diffID.Write(p) })
	return s, nil
}

// close stops all stages, from the source on.
func (s *stream) close() {
	s.closeStored()
	s.ahead.close()
	_ = s.plain.Close() // it was only read
}

func (s *stream) closeStored() {
	s.cancel() // ends a read that waits for a network
	s.stored.close()
	_ = s.source.Close() // it was only read
}

// ending is what a stream, read to its end, turned out to be.
type ending struct {
	digest  touchstone.Digest // of the stored bytes; empty where they were not read to the end
	size    int64
	diffID  touchstone.Digest // empty where the plain bytes were not read to the end
	nonzero bool              // bytes other than zero followed where the reader had stopped
	err     error             // what ended the plain bytes before their end
}

// end reads what is left, so that both digests can be told. When decompression
// fails the stored bytes are read on, to tell damage from a lie; when a limit
// was passed they are not.
func (s *stream) end() ending {
	var e ending
	e.nonzero, e.err = s.drain()
	if e.err == nil || errors.Is(e.err, errTrailing) {
		e.diffID = touchstone.NewDigest(s.diffID.Sum(nil))
	}
	var over limitError
	if errors.As(e.err, &over) || fatal(e.err) {
		return e
	}
	<-s.stopped // the decompressor has let go of what is stored
	if _, err := s.stored.drain(); err != nil {
		e.err = cmp.Or(e.err, err)
		return e
	}
	e.digest, e.size = touchstone.NewDigest(s.digest.Sum(nil)), s.read.Load()
	return e
}

// limitError says which limit was passed.
type limitError string

func (e limitError) Error() string { return string(e) }

// bounded stops a stream that unpacks to too much.
type bounded struct {
	in     io.Reader
	out    int64
	stored *atomic.Int64
	limits Limits
}

// ratioFrom is how many bytes a layer may unpack to before their ratio to the
// stored ones is judged.
const ratioFrom = 1 << 30

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.out += int64(n)
	if b.out > b.limits.LayerBytes {
		return n, limitError(fmt.Sprintf("the layer unpacks to more than %d bytes", b.limits.LayerBytes))
	}
	if b.out > ratioFrom && b.out/max(b.stored.Load(), 1) > b.limits.Ratio {
		return n, limitError(fmt.Sprintf("the layer unpacks to more than %d times its size", b.limits.Ratio))
	}
	return n, err
}

// fatal reports whether err ends the inspection because its cause lies outside
// the artifact.
func fatal(err error) bool {
	return errors.Is(err, artifact.ErrOutside) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// blame says which gap an error makes that the artifact's bytes have caused.
func blame(err error) (touchstone.GapKind, string) {
	var over limitError
	switch {
	case errors.As(err, &over):
		return touchstone.GapLimit, err.Error()
	case errors.Is(err, artifact.ErrFalse):
		return touchstone.GapFalse, err.Error()
	case errors.Is(err, errUnsupported):
		return touchstone.GapUnsupported, err.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return touchstone.GapCorrupt, "truncated: " + err.Error()
	default:
		return touchstone.GapCorrupt, err.Error()
	}
}
