package inspect

import (
	"bytes"
	"encoding/gob"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/surface"
)

// record is all that one layer yields beside its manifest. It depends on the
// layer's plain bytes, the inspector's version and its settings alone, and is
// kept under them. Its packages, secrets and gaps have no layer yet.
type record struct {
	// Manifest is the blob of the layer's entries, marks and hard links
	// included.
	Manifest touchstone.Digest
	Packages []touchstone.Package
	// Owned are the paths that a distribution's package brought in, by the
	// database file that says so.
	Owned map[string][]string
	// Disowned are lists of owned paths that do not count, by the database
	// file that says so.
	Disowned     map[string][]string
	Facts        map[string]surface.Facts
	Capabilities map[string][]byte // of files: xattr security.capability
	Secrets      []touchstone.Secret
	// Kept is the content of small files that are looked at once the layers
	// are merged.
	Kept map[string][]byte
	Gaps []touchstone.Gap
	// OpaqueRoot is true when the layer hides all of the lower ones.
	OpaqueRoot bool
}

// maxRecord bounds the memory that unpacking a record may take.
const maxRecord = 1 << 30

// encode returns the record as compressed gob, which unlike JSON keeps names
// that are not UTF-8 as they are.
func (r *record) encode() ([]byte, error) {
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(r); err != nil {
		return nil, fmt.Errorf("encoding a layer's record: %w", err)
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("encoding a layer's record: %w", err)
	}
	return w.EncodeAll(plain.Bytes(), nil), w.Close()
}

// decode is the reverse of encode.
func (r *record) decode(data []byte) error {
	z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRecord))
	if err != nil {
		return fmt.Errorf("decoding a layer's record: %w", err)
	}
	defer z.Close()
	if err := gob.NewDecoder(z).Decode(r); err != nil {
		return fmt.Errorf("decoding a layer's record: %w", err)
	}
	return nil
}

// eachPath calls yield for every path that the record says something of.
func (r *record) eachPath(yield func(string)) {
	for i := range r.Packages {
		yield(r.Packages[i].Path)
	}
	for p := range r.Owned {
		yield(p)
	}
	for p := range r.Disowned {
		yield(p)
	}
	for p := range r.Facts {
		yield(p)
	}
	for p := range r.Capabilities {
		yield(p)
	}
	for i := range r.Secrets {
		yield(r.Secrets[i].Path)
	}
	for p := range r.Kept {
		yield(p)
	}
	for i := range r.Gaps {
		yield(r.Gaps[i].Path)
	}
}
