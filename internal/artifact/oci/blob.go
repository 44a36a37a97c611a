package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone/internal/artifact"
)

// openBlob begins to read a config or a layer.
func (c *repository) openBlob(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	b := &blob{ctx: context.WithValue(ctx, blobRequest{}, true), from: c, d: d, retries: c.r.Retries}
	if err := b.connect(); err != nil {
		return nil, err
	}
	return b, nil
}

// blob is a stream of stored bytes that is taken up again where it was cut. It
// checks no digest; but it tells a stream that was cut, which is nobody's lie,
// from one that the registry says is complete.
type blob struct {
	ctx      context.Context // of the whole reading, as io.Reader has no place for one
	from     *repository
	d        ocispec.Descriptor
	body     io.ReadCloser // nil when cut
	closed   bool
	at       int64 // bytes delivered
	complete int64 // length that the registry tells; -1 if it does not
	retries  int   // left
}

func (b *blob) doing() string { return "reading " + string(b.d.Digest) }

// connect requests what was not delivered yet.
func (b *blob) connect() error {
	var header http.Header
	if b.at > 0 {
		header = http.Header{"Range": {fmt.Sprintf("bytes=%d-", b.at)}}
	}
	resp, err := b.from.get(b.ctx, "blobs", string(b.d.Digest), header)
	if err != nil {
		return err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		_ = resp.Body.Close()
		return b.from.explain(b.doing(), &pageError{})
	}
	b.complete, b.body = resp.ContentLength, resp.Body
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.at)) {
			b.cut()
			return artifact.Outsidef("%s: the registry sent another part of the layer than asked for", b.doing())
		}
		if b.complete >= 0 {
			b.complete += b.at
		}
	case b.at > 0: // all of it again
		if _, err := io.CopyN(io.Discard, b.body, b.at); err != nil {
			b.cut() // and Read tries again
		}
	}
	return nil
}

// Read implements io.Reader.
func (b *blob) Read(p []byte) (int, error) {
	if b.closed {
		return 0, fs.ErrClosed
	}
	for {
		n, err := 0, io.ErrUnexpectedEOF
		if b.body != nil {
			n, err = b.body.Read(p)
		}
		b.at += int64(n)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			continue
		case err == io.EOF && (b.at >= b.d.Size || b.at == b.complete):
			return 0, io.EOF
		}
		if err := b.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume connects again after cause, if that is allowed once more.
func (b *blob) resume(cause error) error {
	b.cut()
	var stall *stallError
	if b.retries <= 0 || b.ctx.Err() != nil || errors.As(cause, &stall) {
		return b.from.explain(b.doing(), cause)
	}
	b.retries--
	if err := b.from.carrier.wait(b.ctx, b.from.r.Retries-b.retries, ""); err != nil {
		return b.from.explain(b.doing(), err)
	}
	return b.connect()
}

// cut lets go of the connection.
func (b *blob) cut() {
	if b.body != nil {
		_ = b.body.Close() // nothing more is read from it
		b.body = nil
	}
}

// Close implements io.Closer.
func (b *blob) Close() error {
	b.cut()
	b.closed = true
	return nil
}
