package inspect

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/packed"
)

// Evidence that stays is kept as compressed JSON, which any version reads, and
// beside it in packed form, which is quick. The packed copy may be lost: it is
// made again when it is next asked for.
const (
	kindLasting = "evidence"
	kindPacked  = "packed"
)

// Keep writes evidence down to stay: it is durable when Keep returns, and
// pruning the store leaves it alone. A server keeps what it decides on, so that
// each decision can be taken again.
func (in *Inspector) Keep(e *touchstone.Evidence) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding the evidence: %w", err)
	}
	if err := in.store.Keep(kindLasting, string(e.ID), in.lastingForm.deflate.EncodeAll(data, nil)); err != nil {
		return fmt.Errorf("keeping the evidence %s: %w", e.ID.Short(), err)
	}
	again := &touchstone.Evidence{} // as it will be read, to the last empty list
	if err := json.Unmarshal(data, again); err != nil {
		return fmt.Errorf("encoding the evidence: %w", err)
	}
	in.pack(again)
	return nil
}

// Evidence returns what Keep has written, by the evidence's id. The error wraps
// blob.ErrAbsent where nothing is.
func (in *Inspector) Evidence(id touchstone.Digest) (*touchstone.Evidence, error) {
	if quick, err := in.store.Record(kindPacked, string(id)); err == nil {
		if e, err := in.lastingForm.packed.Unpack(quick); err == nil && e.ID == id {
			return e, nil
		}
	}
	deflated, err := in.store.Kept(kindLasting, string(id))
	if err != nil {
		return nil, fmt.Errorf("reading the evidence %s: %w", id.Short(), err)
	}
	data, err := in.lastingForm.inflate.DecodeAll(deflated, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the evidence %s: %w", id.Short(), err)
	}
	e := &touchstone.Evidence{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("reading the evidence %s: %w", id.Short(), err)
	}
	in.pack(e)
	return e, nil
}

func (in *Inspector) pack(e *touchstone.Evidence) {
	if err := in.store.PutRecord(kindPacked, string(e.ID), in.lastingForm.packed.Pack(e)); err != nil {
		in.notice(err)
	}
}

// Forget removes what Keep has written.
func (in *Inspector) Forget(id touchstone.Digest) error {
	if err := in.store.Drop(kindLasting, string(id)); err != nil {
		return fmt.Errorf("forgetting the evidence %s: %w", id.Short(), err)
	}
	if err := in.store.PutRecord(kindPacked, string(id), nil); err != nil {
		return fmt.Errorf("forgetting the evidence %s: %w", id.Short(), err)
	}
	return nil
}

// lastingForm turns evidence into what is kept, and back.
type lastingForm struct {
	deflate *zstd.Encoder
	inflate *zstd.Decoder
	packed  *packed.Codec[touchstone.Evidence]
}

func newLastingForm() (lastingForm, error) {
	var f lastingForm
	var err error
	if f.deflate, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)); err == nil {
		f.inflate, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(largestEvidence))
	}
	if err == nil {
		f.packed, err = packed.New[touchstone.Evidence]()
	}
	if err != nil {
		return f, fmt.Errorf("preparing to keep evidence: %w", err)
	}
	return f, nil
}

// largestEvidence bounds what kept evidence may take once it is decompressed.
const largestEvidence = 1 << 30
