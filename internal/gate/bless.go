package gate

import (
	"context"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
)

// Bless judges a base by the golden rules.
func (g *Gate) Bless(ctx context.Context, one Inspected) *touchstone.Check {
	c := g.Gather(ctx, one)
	doc := Document(c, g.Tool)
	golden := g.Rules.Golden
	d := Decide(golden, c, golden.PlaceIn(golden.Environments[0]), "")
	doc.Decision = &d
	return doc
}

// Base is the inspected artifact as an approved base.
func Base(one Inspected, owner string, added, expires time.Time) (touchstone.Base, error) {
	b := touchstone.Base{
		Name: one.Artifact.Label(), Digest: one.Artifact.Digest, Owner: owner,
		Created: one.Evidence.Created, Added: added, Expires: expires,
	}
	for _, l := range one.Evidence.Layers {
		if l.DiffID == "" {
			return b, fmt.Errorf("%s is a folder in place: it has no layers that an image could stand on", b.Name)
		}
		b.Chain = append(b.Chain, l.DiffID)
	}
	return b, nil
}
