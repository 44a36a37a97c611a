package gate

import (
	"context"
	"fmt"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/version"
	"touchstone.dev/touchstone/internal/manifest"
)

// Diff tells what changed between two inspected artifacts, holes included where
// the advisories could be asked about both.
func (g *Gate) Diff(ctx context.Context, from, to Inspected) (*touchstone.Diff, error) {
	d := touchstone.Compare(from.Evidence, to.Evidence, versionOrder)
	d.Tool, d.From, d.To = g.Tool, from.Artifact, to.Artifact
	if err := g.diffFiles(&d, from.Evidence, to.Evidence); err != nil {
		return nil, err
	}
	before, after := g.Gather(ctx, from), g.Gather(ctx, to)
	if before.Knowledge.Index.Problem == "" && after.Knowledge.Index.Problem == "" {
		d.Matches = touchstone.CompareMatches(before.Knowledge.Matches, after.Knowledge.Matches)
	}
	return &d, nil
}

func (g *Gate) diffFiles(d *touchstone.Diff, from, to *touchstone.Evidence) error {
	before, closeBefore, err := g.manifest(from)
	if err != nil {
		return err
	}
	defer closeBefore()
	after, closeAfter, err := g.manifest(to)
	if err != nil {
		return err
	}
	defer closeAfter()
	d.Files.Known = true
	for c, err := range manifest.Diff(before, after) {
		if err != nil {
			return fmt.Errorf("comparing the manifests: %w", err)
		}
		d.Files.Note(c.Before, c.After)
	}
	return nil
}

// manifest opens the list of every file of the artifact.
func (g *Gate) manifest(e *touchstone.Evidence) (*manifest.Reader, func(), error) {
	mapped, err := g.Inspector.Manifest(e)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the manifest %s: %w", e.Manifest.Blob.Short(), err)
	}
	r, err := manifest.Open(mapped.Bytes())
	if err != nil {
		mapped.Close()
		return nil, nil, fmt.Errorf("reading the manifest %s: %w", e.Manifest.Blob.Short(), err)
	}
	return r, mapped.Close, nil
}

// versionOrder compares versions where the ecosystem's order is known.
func versionOrder(ecosystem, a, b string) (int, bool) {
	order, err := version.Compare(ecosystem, a, b)
	return order, err == nil
}
