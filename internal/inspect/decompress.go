package inspect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory of one zstd stream. The format asks decoders for
// 8 MiB (RFC 8878, section 3.1.1.1.2); "zstd --ultra" writes up to 128.
const maxWindow = 64 << 20

var (
	errUnsupported = errors.New("compression is not supported")
	errTrailing    = errors.New("bytes follow the end of the compressed stream")
)

// decompress returns what the stream holds, judged by its first bytes and not
// by what anybody says of it: gzip, zstd, or plain. The reader's error wraps
// errTrailing when all was read and other bytes follow.
func decompress(stored *bufio.Reader) (io.ReadCloser, error) {
	head, err := stored.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		r, err := gzip.NewReader(stored)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		r.Multistream(false)
		return &members{stored: stored, gzip: r}, nil
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")), skippable(head):
		d, err := zstd.NewReader(stored, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return &frames{d}, nil
	}
	for magic, name := range map[string]string{"BZh": "bzip2", "\xfd7zXZ\x00": "xz", "\x04\x22\x4d\x18": "lz4"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return nil, fmt.Errorf("%s: %w", name, errUnsupported)
		}
	}
	return io.NopCloser(stored), nil
}

// skippable reports whether a zstd frame to be skipped begins here (RFC 8878,
// section 3.1.2), as estargz and zstd:chunked put into layers.
func skippable(head []byte) bool {
	return len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte("\x2a\x4d\x18"))
}

// members reads gzip members one after another (RFC 1952, section 2.2). The
// package's own way of doing that cannot tell what follows the last one.
type members struct {
	stored *bufio.Reader
	gzip   *gzip.Reader
	ended  error
}

func (m *members) Read(p []byte) (int, error) {
	if m.ended != nil {
		return 0, m.ended
	}
	n, err := m.gzip.Read(p)
	if err == nil || n > 0 && errors.Is(err, io.EOF) {
		return n, nil // the end comes again with the next call
	}
	if !errors.Is(err, io.EOF) {
		m.ended = err
		return n, err
	}
	m.ended = m.nextMember()
	return 0, m.ended
}

func (m *members) nextMember() error {
	head, err := m.stored.Peek(2)
	switch {
	case len(head) == 0:
		return err
	case !bytes.Equal(head, []byte("\x1f\x8b")):
		return errTrailing
	}
	if err := m.gzip.Reset(m.stored); err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	m.gzip.Multistream(false)
	return nil
}

func (m *members) Close() error { return m.gzip.Close() }

// frames reads zstd frames one after another.
type frames struct{ *zstd.Decoder }

func (f *frames) Read(p []byte) (int, error) {
	n, err := f.Decoder.Read(p)
	switch {
	case errors.Is(err, zstd.ErrMagicMismatch):
		err = errTrailing // the first frame was sniffed, so this is what follows the last
	case err != nil && !errors.Is(err, io.EOF):
		err = fmt.Errorf("zstd: %w", err)
	}
	return n, err
}

func (f *frames) Close() error {
	f.Decoder.Close()
	return nil
}
