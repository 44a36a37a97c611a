package gate

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/oci"
)

// errDied marks a scan that did not come to an end by itself.
var errDied = errors.New("it did not end")

// inspectFor inspects within the time that a scan has; a crash of the inspection
// is a death of the scan and not of the server.
func (d *Door) inspectFor(ctx context.Context, s *Scan) (all []Inspected, err error) {
	timed, cancel := context.WithTimeout(ctx, d.c.ScanTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			d.c.Log.Error("a scan has crashed", "artifact", s.key(), "panic", p, "stack", string(debug.Stack()))
			all, err = nil, fmt.Errorf("%w: it crashed", errDied)
		}
	}()
	all, err = d.inspect(timed, s)
	if err != nil && ctx.Err() == nil && timed.Err() != nil {
		err = fmt.Errorf("%w within %s", errDied, d.c.ScanTime)
	}
	return all, err
}

// inspect reads every image of the artifact that a place can run, or all where it
// can run none.
func (d *Door) inspect(ctx context.Context, s *Scan) ([]Inspected, error) {
	r, missing := registries(ctx, &d.c, s.Credential)
	sources, err := oci.OpenRegistry(ctx, s.key(), r, oci.Options{Now: d.c.Now})
	if err != nil {
		if missing != nil && errors.Is(err, artifact.ErrOutside) {
			err = artifact.Outsidef("%s", noted(err, missing))
		}
		return nil, err
	}
	defer func() {
		for _, src := range sources {
			_ = src.Close() // read to the end or failed already; nothing is lost
		}
	}()
	var out []Inspected
	for _, src := range chosen(sources, d.c.Platforms) {
		e, a, err := d.c.Gate.Inspector.Inspect(ctx, src)
		if err != nil {
			return nil, err
		}
		out = append(out, Inspected{Artifact: a, Evidence: e})
	}
	return out, nil
}

// unread is what is known of an artifact that cannot be scanned: one gap.
func unread(s *Scan) Inspected {
	gap := touchstone.Gap{Kind: touchstone.GapFailed, Layer: -1, Reader: "scan", Reason: s.Problem}
	return Inspected{
		Artifact: touchstone.Artifact{Kind: touchstone.KindImage, Digest: s.Digest},
		Evidence: &touchstone.Evidence{
			Schema: touchstone.SchemaEvidence, ID: touchstone.DigestOf([]byte("unread\n" + s.key() + "\n" + s.Problem)), Kind: touchstone.KindImage,
			Layers: []touchstone.Layer{}, Packages: []touchstone.Package{}, Secrets: []touchstone.Secret{}, Pins: []touchstone.Pin{}, Gaps: []touchstone.Gap{gap},
		},
	}
}
