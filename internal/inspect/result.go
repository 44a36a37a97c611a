package inspect

import (
	"cmp"
	"slices"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/surface"
	"touchstone.dev/touchstone/internal/manifest"
)

// result returns the record of the layer, but for its manifest, once all jobs
// are done and the manifest is written. What was found in an entry that a later one of the same name
// replaced is left out.
func (c *collector) result() record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := record{
		Owned: map[string][]string{}, Disowned: map[string][]string{}, Facts: map[string]surface.Facts{},
		Capabilities: c.caps, Kept: map[string][]byte{}, OpaqueRoot: c.opaqueRoot,
	}
	slices.SortFunc(c.found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.number, b.number))
	})
	for i := range c.found {
		f := &c.found[i]
		if c.latest[f.path] != f.number {
			continue
		}
		r.Packages = append(r.Packages, f.result.Packages...)
		if len(f.result.Owned) > 0 {
			r.Owned[f.path] = f.result.Owned
		}
		if len(f.result.Disowned) > 0 {
			r.Disowned[f.path] = f.result.Disowned
		}
		for _, g := range f.result.Gaps {
			c.gaps.add(g)
		}
		r.Secrets = append(r.Secrets, f.secrets...)
		if !f.facts.IsZero() {
			r.Facts[f.path] = f.facts
		}
	}
	for p, f := range c.kept.files {
		if keptForMerge(p) {
			r.Kept[p] = f.content
		}
	}
	c.found = nil
	r.Gaps = c.gaps.all()
	return r
}

// settle notes how each executable that counts is executed.
func (c *collector) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.execs = map[string]surface.Facts{}
	for i := range c.found {
		if f := &c.found[i]; c.latest[f.path] == f.number && !f.facts.IsZero() {
			c.execs[f.path] = f.facts
		}
	}
}

// writeTo writes the layer's manifest. How an ELF file is executed is known only
// after its reader has looked at it, so that it is filled in here.
func (c *collector) writeTo(w *manifest.Writer) error {
	c.sorter.Amend = func(e *manifest.Entry) {
		if f, ok := c.execs[string(e.Path)]; ok && e.Kind == manifest.Regular {
			e.Exec = manifest.ExecOf(f.Exec)
		}
	}
	return c.sorter.WriteTo(w)
}

func sortGaps(gaps []touchstone.Gap) {
	slices.SortStableFunc(gaps, func(a, b touchstone.Gap) int {
		return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Reader, b.Reader), cmp.Compare(a.Reason, b.Reason))
	})
}
