package build

import (
	"context"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/source"
)

// Input is one source.
type Input struct {
	Name string // for people
	Path string
	Kind source.Kind // Zip, KEV or EPSS
}

// Options steer a build.
type Options struct {
	Dir      string // where temporary files may lie
	Workers  int    // goroutines that read; at least 1
	Now      time.Time
	Progress func(what string, done int64) // may be nil; called from several goroutines
}

// Found is what one source held.
type Found struct {
	Records   int // OSV records, withdrawn ones included
	CVEs      int // CVE records
	Rows      int // entries of CISA's list, or EPSS scores
	Withdrawn int
	Ignored   int // files of an archive that are no records
	Malformed int
	First     []Malformed // the first of them
	// Ecosystems counts the records that say something of each ecosystem and
	// release; Alone those that concern one family of ecosystems and no other,
	// which tells what the source is about from what it merely mentions.
	Ecosystems map[string]int
	Alone      map[string]int
	Newest     time.Time // when the youngest record was modified
	Written    time.Time // the youngest date of a file inside the archive
}

// Malformed is a record that could not be read.
type Malformed struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// keepMalformed is how many malformed records of a source are named.
const keepMalformed = 20

// Result is what a build came to.
type Result struct {
	Revision touchstone.Digest
	Meta     index.Meta
	Found    []Found // one for each input
}

type builder struct {
	inputs   []Input
	dir      string
	workers  int
	now      time.Time
	progress func(string, int64)
}

// Build writes the index of the inputs to out, an empty file. A later input
// stands above an earlier one where both have the same record.
func Build(ctx context.Context, inputs []Input, out index.File, opt Options) (*Result, error) {
	b := &builder{inputs: inputs, dir: opt.Dir, workers: min(max(opt.Workers, 1), 64), now: opt.Now, progress: opt.Progress}
	if b.progress == nil {
		b.progress = func(string, int64) {}
	}
	res := &Result{Found: make([]Found, len(inputs))}
	for i := range res.Found {
		res.Found[i].Ecosystems, res.Found[i].Alone = map[string]int{}, map[string]int{}
	}
	g, err := b.gather(ctx, res.Found)
	defer g.close()
	if err != nil {
		return nil, err
	}
	b.progress("merging", int64(len(g.records)))
	m, err := merge(ctx, g)
	if err != nil {
		return nil, err
	}
	if err := b.enrich(m, res.Found); err != nil {
		return nil, err
	}
	b.progress("writing", int64(len(m.holes)))
	if err := b.write(ctx, g, m, out, res); err != nil {
		return nil, err
	}
	return res, nil
}

// enrich reads CISA's list and the EPSS scores.
func (b *builder) enrich(m *merged, found []Found) error {
	for i, in := range b.inputs {
		switch in.Kind {
		case source.KEV:
			c, err := source.ReadKEV(in.Path)
			if err != nil {
				return err
			}
			for _, v := range c.Vulnerabilities {
				if h := m.named(Canonical(v.ID)); h != nil {
					h.KnownExploited = true
				}
			}
			found[i].Rows, found[i].Newest = len(c.Vulnerabilities), c.Released.Time
		case source.EPSS:
			if err := readEPSS(in.Path, m, &found[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) write(ctx context.Context, g *gathered, m *merged, out index.File, res *Result) error {
	w, err := index.NewWriter(out)
	if err != nil {
		return err
	}
	if err := m.writeNames(w); err != nil {
		return err
	}
	if err := b.writePackages(ctx, g, m, w, &res.Meta); err != nil {
		return err
	}
	for i := range m.holes {
		h := &m.holes[i]
		if err := w.AddHole(&h.Hole, h.refs); err != nil {
			return err
		}
	}
	res.Meta.Records, res.Meta.Holes = len(g.records), len(m.holes)
	if res.Revision, err = w.Finish(&res.Meta, b.now); err != nil {
		return fmt.Errorf("build the index: %w", err)
	}
	return nil
}
