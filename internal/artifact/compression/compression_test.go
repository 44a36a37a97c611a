package compression

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestNewReader(t *testing.T) {
	const text = "what a file holds"
	var gzipped bytes.Buffer
	w := gzip.NewWriter(&gzipped)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind Kind
		raw  []byte
		want string
	}{
		{None, []byte(text), text},
		{None, nil, ""},
		{Gzip, gzipped.Bytes(), text},
		{Gzip, append(gzipped.Bytes(), gzipped.Bytes()...), text + text}, // members follow one another
		{Zstd, encoder.EncodeAll([]byte(text), nil), text},
	} {
		r, kind, err := NewReader(bytes.NewReader(test.raw))
		if err != nil || kind != test.kind {
			t.Fatalf("%q: %v, want %q", kind, err, test.kind)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != test.want {
			t.Errorf("%q: %q, %v", kind, got, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for _, head := range []string{"\xfd7zXZ\x00", "BZh9", "PK\x03\x04"} {
		if _, _, err := NewReader(bytes.NewReader([]byte(head))); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%q: error %v", head, err)
		}
	}
}

// A stream that asks for a window of a gigabyte does not get it.
func TestWindowIsBounded(t *testing.T) {
	// RFC 8878, 3.1.1.1: magic, a frame header descriptor without a flag, and a
	// window descriptor with exponent 20 (2^30 bytes); then a raw last block.
	raw := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x09, 0x00, 0x00, 'x'}
	r, _, err := NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		t.Errorf("error %v", err)
	}
}
