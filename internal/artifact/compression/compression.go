// Package compression reads files that may be compressed, told by what they
// begin with and never by their name. It knows what images and archives are
// compressed with: gzip (RFC 1952) and Zstandard (RFC 8878).
//
// It is for whole files. Layers have their own reader in package inspect, which
// hashes while it decompresses.
package compression

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Kind is what a file is compressed with.
type Kind string

// The kinds that are read.
const (
	None Kind = ""
	Gzip Kind = "gzip"
	Zstd Kind = "zstd"
)

// ErrUnsupported says that a file is compressed with something else.
var ErrUnsupported = errors.New("compressed in a way that images are not")

// maxWindow is the most memory that a Zstandard stream may ask for: the window
// of "zstd --long", and far above what image tools write.
const maxWindow = 128 << 20

// Of returns what a file that begins with head is compressed with. Six bytes of
// it are enough.
func Of(head []byte) (Kind, error) {
	for _, m := range magics() {
		if bytes.HasPrefix(head, m.bytes) {
			if m.kind == None {
				return None, fmt.Errorf("%w (%s)\nhint: decompress it first", ErrUnsupported, m.name)
			}
			return m.kind, nil
		}
	}
	return None, nil
}

type magic struct {
	bytes []byte
	kind  Kind   // None if unsupported
	name  string // of what is unsupported
}

func magics() []magic {
	return []magic{
		{bytes: []byte{0x1f, 0x8b}, kind: Gzip},
		{bytes: []byte{0x28, 0xb5, 0x2f, 0xfd}, kind: Zstd},
		{bytes: []byte{0xfd, '7', 'z', 'X', 'Z', 0}, name: "xz"},
		{bytes: []byte("BZh"), name: "bzip2"},
		{bytes: []byte{'P', 'K', 3, 4}, name: "zip"},
	}
}

// NewReader returns the decompressed bytes of r.
func NewReader(r io.Reader) (io.ReadCloser, Kind, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	head, err := buffered.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, None, err
	}
	kind, err := Of(head)
	if err != nil {
		return nil, None, err
	}
	switch kind {
	case Gzip:
		z, err := gzip.NewReader(buffered)
		return z, kind, err
	case Zstd:
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, kind, err
		}
		return z.IOReadCloser(), kind, nil
	default:
		return io.NopCloser(buffered), kind, nil
	}
}
