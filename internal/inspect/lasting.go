package inspect

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone"
)

// kindLasting is the kind of kept record that holds evidence for as long as
// somebody may ask for it by its id, as compressed JSON.
const kindLasting = "evidence"

// Keep writes evidence down to stay: it is durable when Keep returns, and
// pruning the store leaves it alone. A server keeps what it decides on, so that
// each decision can be taken again.
func (in *Inspector) Keep(e *touchstone.Evidence) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding the evidence: %w", err)
	}
	if err := in.store.Keep(kindLasting, string(e.ID), in.packer.EncodeAll(data, nil)); err != nil {
		return fmt.Errorf("keeping the evidence %s: %w", e.ID.Short(), err)
	}
	return nil
}

// Evidence returns what Keep has written, by the evidence's id. The error wraps
// blob.ErrAbsent where nothing is.
func (in *Inspector) Evidence(id touchstone.Digest) (*touchstone.Evidence, error) {
	packed, err := in.store.Kept(kindLasting, string(id))
	if err != nil {
		return nil, fmt.Errorf("reading the evidence %s: %w", id.Short(), err)
	}
	data, err := in.unpacker.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the evidence %s: %w", id.Short(), err)
	}
	e := &touchstone.Evidence{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("reading the evidence %s: %w", id.Short(), err)
	}
	return e, nil
}

// Forget removes what Keep has written.
func (in *Inspector) Forget(id touchstone.Digest) error {
	if err := in.store.Drop(kindLasting, string(id)); err != nil {
		return fmt.Errorf("forgetting the evidence %s: %w", id.Short(), err)
	}
	return nil
}

// newPacker returns what compresses kept evidence, and reads it again.
func newPacker() (*zstd.Encoder, *zstd.Decoder, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, nil, fmt.Errorf("preparing to compress evidence: %w", err)
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(largestEvidence))
	if err != nil {
		return nil, nil, fmt.Errorf("preparing to compress evidence: %w", err)
	}
	return w, r, nil
}

// largestEvidence bounds what kept evidence may take once it is decompressed.
const largestEvidence = 1 << 30
