package gate

import (
	"context"
	"errors"
	"fmt"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/record"
)

// Files returns the evidence of the image with this config, whose layers, bottom
// first, have these diff IDs, and the list of its files, to be closed. The error is
// record.ErrNotFound where it was never inspected, or what was found is not there any
// more.
func (d *Door) Files(config touchstone.Digest, layers []touchstone.Digest) (*touchstone.Evidence, *blob.Mapping, error) {
	id := inspect.EvidenceID(config, layers)
	e, err := d.c.Gate.Inspector.Evidence(id)
	var files *blob.Mapping
	if err == nil {
		files, err = d.c.Gate.Inspector.Manifest(e)
	}
	if errors.Is(err, blob.ErrAbsent) {
		err = fmt.Errorf("the image with the config %s: %w", config.Short(), record.ErrNotFound)
	}
	return e, files, err
}

// ScanFor has what a container of a pod runs scanned again, although nobody waits for
// it, and reports whether a scan of it waits now: its digest may not be known yet.
func (d *Door) ScanFor(ctx context.Context, p *Pod, container string) (bool, error) {
	c := p.find(container)
	if c == nil {
		return false, nil
	}
	if err := d.load(ctx); err != nil {
		return false, err
	}
	g, err := d.ground(ctx)
	if err != nil {
		return false, err
	}
	n, err := parse(c.Image)
	if err != nil {
		return false, nil //nolint:nilerr // a node runs it all the same, by a name that no registry has
	}
	o := &Observed{Running: Running{Place: p.Place, Reference: c.Image, Digest: c.Digest, Credential: p.Credential}, Repository: n.repository}
	if n.digest != "" {
		o.Digest = n.digest
	}
	s := &snapshot{Door: d, g: g, cluster: p.Place.Cluster}
	s.scanLater(o)
	if err := s.commit(ctx); err != nil {
		return false, err
	}
	_, _, waits := d.queue.find(o.artifact())
	return waits, nil
}

// Pulls says why an image cannot be pulled just now; empty where its registry has it.
// The answer may be a minute old.
func (d *Door) Pulls(ctx context.Context, reference string, by Credential) string {
	n, err := parse(reference)
	if err != nil {
		return err.Error()
	}
	if n.digest != "" {
		n.tag = ""
	}
	_, problem := d.resolver.resolve(ctx, n, by)
	return problem
}
