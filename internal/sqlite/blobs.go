package sqlite

import (
	"context"
	"encoding/hex"
	"fmt"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// Blob implements record.Store.
func (s *Store) Blob(ctx context.Context, d touchstone.Digest) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // as in Fact
	if !d.Valid() {
		return nil, fmt.Errorf("reading a blob: %.80q is not a SHA-256 digest", string(d))
	}
	sum, err := hex.DecodeString(string(d[len("sha256:"):]))
	if err != nil {
		return nil, err
	}
	rows, err := s.blob.QueryContext(ctx, number(sum))
	if err != nil {
		return nil, reading(ctx, "the blob "+d.Short(), err)
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		var packed []byte
		if err := rows.Scan(&packed); err != nil {
			return nil, reading(ctx, "the blob "+d.Short(), err)
		}
		found = true
		if b, err := s.packer.unpack(packed); err == nil && touchstone.DigestOf(b) == d {
			return b, nil
		} // else it is damaged, or another with the same first bytes of its digest
	}
	switch err := rows.Err(); {
	case err != nil:
		return nil, reading(ctx, "the blob "+d.Short(), err)
	case found:
		return nil, fmt.Errorf("reading the blob %s: it was changed: %w", d.Short(), record.ErrCorrupt)
	}
	return nil, fmt.Errorf("the blob %s: %w", d.Short(), record.ErrNotFound)
}
