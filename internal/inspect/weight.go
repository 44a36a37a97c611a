package inspect

import (
	"touchstone.dev/touchstone"
)

// What the layers yield is held in memory until they are merged, and a stranger
// decides how much that is: each layer may prove packages and own files by the
// hundred thousand. So it is weighed, by about the bytes that it takes until the
// evidence is written.

const (
	packageWeight = 1200 // besides its words: it is copied, matched and written
	factsWeight   = 1000
	secretWeight  = 500
	pathWeight    = 32
)

func packagesWeight(list []touchstone.Package) (w int64) {
	for i := range list {
		p := &list[i]
		w += packageWeight + 2*int64(len(p.Name)+len(p.Version)+len(p.PURL)+len(p.Path)+len(p.Source))
		for _, l := range p.Licences {
			w += int64(len(l))
		}
	}
	return w
}

func pathsWeight(list []string) (w int64) {
	for _, p := range list {
		w += pathWeight + int64(len(p))
	}
	return w
}

func (f *finding) weight() int64 {
	w := packagesWeight(f.result.Packages) + pathsWeight(f.result.Owned) + pathsWeight(f.result.Disowned) +
		secretWeight*int64(len(f.secrets)+len(f.result.Gaps))
	if !f.facts.IsZero() {
		w += factsWeight + pathsWeight(f.facts.Needed) + pathsWeight(f.facts.Mentions) + pathsWeight(f.facts.Lines)
	}
	return w
}

func (r *record) weight() int64 {
	w := packagesWeight(r.Packages) + secretWeight*int64(len(r.Secrets)+len(r.Gaps))
	for _, list := range r.Owned {
		w += pathsWeight(list)
	}
	for _, list := range r.Disowned {
		w += pathsWeight(list)
	}
	for _, f := range r.Facts {
		w += factsWeight + pathsWeight(f.Needed) + pathsWeight(f.Mentions) + pathsWeight(f.Lines)
	}
	for _, content := range r.Kept {
		w += int64(len(content))
	}
	return w
}

// weigh lets go of what a layer has yielded where that is too much together with
// the others. The layer by itself is kept, for it may be part of a smaller
// artifact.
func (run *inspection) weigh(l *layer) {
	if run.weight.Add(l.record.weight()) <= run.config.Limits.Findings {
		return
	}
	l.record = record{Manifest: l.record.Manifest, OpaqueRoot: l.record.OpaqueRoot}
	l.gap(touchstone.GapLimit, "what the layers hold takes more than %d bytes to tell", run.config.Limits.Findings)
}

// outweighs reports whether a finding is too much for one layer, with a gap for
// the first. c.mu is held.
func (c *collector) outweighs(f *finding) bool {
	limit, before := c.in.config.Limits.Findings, c.weight
	c.weight += f.weight()
	if c.weight > limit && before <= limit {
		c.addf(touchstone.GapLimit, "", "inspect", "what the layer holds takes more than %d bytes to tell", limit)
	}
	return c.weight > limit
}
