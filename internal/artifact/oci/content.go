package oci

import (
	"context"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// content is a place where blobs lie under their digests. An error for a blob
// that is not there wraps fs.ErrNotExist if the place may rightly lack it: an
// archive or a store holds some platforms of an index, a registry all of them.
type content interface {
	// open returns the bytes as they are stored, without checking them.
	open(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error)
	// has reports whether a layer is there. Registries and stores are asked for
	// foreign layers only: the rest they must have, and asking costs a round
	// trip.
	has(ctx context.Context, d ocispec.Descriptor) (bool, error)
	// stamp returns the cheap identity of the stored bytes, or "".
	stamp(d ocispec.Descriptor) string
}

// fetch returns the bytes of a small blob (manifest, index, config), checked
// against digest and size.
func fetch(ctx context.Context, c content, d ocispec.Descriptor, limit int64) ([]byte, error) {
	if err := checkDescriptor(d); err != nil {
		return nil, err
	}
	if d.Size > limit {
		return nil, fmt.Errorf("%s is %d bytes long, more than the %d that are read of a manifest or config", d.Digest, d.Size, limit)
	}
	r, err := c.open(ctx, d)
	if err != nil {
		return nil, err
	}
	raw, err := readAll(r, limit)
	_ = r.Close() // what was read is checked below
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	if got := touchstone.DigestOf(raw); got != touchstone.Digest(d.Digest) {
		return nil, artifact.Falsef("the bytes under %s are those of %s", d.Digest, got)
	}
	if int64(len(raw)) != d.Size {
		return nil, artifact.Falsef("%s is said to be %d bytes long and is %d", d.Digest, d.Size, len(raw))
	}
	return raw, nil
}

// readAll reads r to its end, and fails if there are more than limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("more than the %d bytes that are read of a manifest or config", limit)
	}
	return raw, nil
}

// checkDescriptor refuses digests that are not SHA-256 and sizes that cannot be.
func checkDescriptor(d ocispec.Descriptor) error {
	if !touchstone.Digest(d.Digest).Valid() {
		return fmt.Errorf("%.100q is not a SHA-256 digest; other algorithms are not supported", string(d.Digest))
	}
	if d.Size < 0 {
		return artifact.Falsef("%s is said to be %d bytes long", d.Digest, d.Size)
	}
	return nil
}
