package build

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone/internal/advisory/release"
	"touchstone.dev/touchstone/internal/advisory/source"
	"touchstone.dev/touchstone/internal/advisory/wire"
)

// entry is where a condensed record lies.
type entry struct {
	id       string
	order    uint64 // source and place in it
	modified int64
	at       int64
	size     uint32
	worker   uint8
	gone     bool // withdrawn or rejected
}

// gathered is everything that the archives hold, spilled.
type gathered struct {
	spills  []*spill
	records []entry // of OSV, one for each name, by order
	cves    map[string]entry
	revoked map[string]bool // CVE identifiers that were rejected
}

func (g *gathered) close() {
	for _, s := range g.spills {
		s.close()
	}
}

func (g *gathered) read(e *entry) (*wire.Reader, error) {
	b, err := g.spills[e.worker].read(e.at, int(e.size))
	return wire.NewReader(b), err
}

// tally is one worker's count of one source.
type tally struct {
	entries, cves        []entry
	ecosystems           map[string]int
	alone                map[string]int
	newest               time.Time
	malformed, withdrawn int
	first                []Malformed
	order                []int // of first
}

// gather reads the archives.
func (b *builder) gather(ctx context.Context, found []Found) (*gathered, error) {
	g := &gathered{cves: map[string]entry{}, revoked: map[string]bool{}}
	for range b.workers {
		s, err := newSpill(b.dir, 1<<18)
		if err != nil {
			return g, err
		}
		g.spills = append(g.spills, s)
	}
	var records, cves []entry
	for i := range b.inputs {
		if b.inputs[i].Kind != source.Zip {
			continue
		}
		tallies := make([]tally, b.workers)
		for w := range tallies {
			tallies[w].ecosystems, tallies[w].alone = map[string]int{}, map[string]int{}
		}
		var done atomic.Int64
		info, err := source.ReadZip(ctx, b.inputs[i].Path, b.workers, func(e *source.Entry) error {
			if n := done.Add(1); n%1000 == 0 {
				b.progress("reading "+b.inputs[i].Name, n)
			}
			return tallies[e.Worker].take(e, uint64(i)<<32|uint64(e.Index), g.spills[e.Worker], b.now)
		})
		if err != nil {
			return g, fmt.Errorf("read %s: %w", b.inputs[i].Name, err)
		}
		found[i].add(tallies, info)
		for w := range tallies {
			records = append(records, tallies[w].entries...)
			cves = append(cves, tallies[w].cves...)
		}
	}
	for _, s := range g.spills {
		if err := s.flush(); err != nil {
			return g, err
		}
	}
	for _, e := range newest(cves) {
		g.cves[e.id] = e
		if e.gone {
			g.revoked[e.id] = true
		}
	}
	for _, e := range newest(records) {
		if c := cveIn(e.id); !e.gone && !(c != "" && g.revoked[c]) {
			g.records = append(g.records, e)
		}
	}
	slices.SortFunc(g.records, func(a, b entry) int {
		if a.order < b.order {
			return -1
		}
		return 1
	})
	return g, nil
}

// newest keeps one entry of each name: the one modified last, else the one read
// last, so that a later import stands above an earlier one.
func newest(entries []entry) []entry {
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.id != b.id:
			return strings.Compare(a.id, b.id)
		case a.modified != b.modified:
			if a.modified > b.modified {
				return -1
			}
			return 1
		case a.order > b.order:
			return -1
		case a.order < b.order:
			return 1
		}
		return 0
	})
	return slices.CompactFunc(entries, func(a, b entry) bool { return a.id == b.id })
}

// take condenses and spills one record.
func (t *tally) take(e *source.Entry, order uint64, to *spill, now time.Time) error {
	at := entry{order: order, worker: uint8(e.Worker)}
	var encoded []byte
	var modified time.Time
	switch {
	case e.Err != nil:
		t.refuse(e.Name, e.Err.Error(), e.Index)
		return nil
	case e.Record.CVE != nil:
		c := e.Record.CVE
		at.id, at.gone, modified = Canonical(c.ID), c.Rejected, c.Modified
		encoded = appendEnrichment(to.buf[:0], c)
	default:
		r := e.Record.OSV
		c := condense(r)
		at.id, at.gone, modified = c.id, r.Withdrawn != "", c.modified
		if at.gone {
			t.withdrawn++
		}
		t.count(c)
		encoded = c.append(to.buf[:0])
	}
	// A date in the future is an error of the source, not news.
	if !modified.After(now) {
		at.modified = unix(modified)
		if modified.After(t.newest) {
			t.newest = modified
		}
	}
	var err error
	at.size = uint32(len(encoded))
	if at.at, err = to.add(encoded); err != nil {
		return err
	}
	to.buf = encoded
	if e.Record.CVE != nil {
		t.cves = append(t.cves, at)
	} else {
		t.entries = append(t.entries, at)
	}
	return nil
}

// count notes which ecosystems a record is about.
func (t *tally) count(c *condensed) {
	family, several := "", false
	seen := map[string]bool{}
	for i := range c.said {
		for _, e := range c.said[i].ecosystems {
			if !seen[e] {
				seen[e] = true
				t.ecosystems[e]++
			}
			f := release.Family(e)
			several = several || family != "" && f != family
			family = f
		}
	}
	if family != "" && !several {
		t.alone[family]++
	}
}

func (t *tally) refuse(name, reason string, order int) {
	t.malformed++
	if len(t.first) < keepMalformed {
		t.first = append(t.first, Malformed{Name: name, Reason: reason})
		t.order = append(t.order, order)
	}
}

// add sums up what the workers counted.
func (f *Found) add(tallies []tally, info source.Info) {
	f.Ignored += info.Ignored
	f.Written = info.Newest
	type placed struct {
		Malformed
		order int
	}
	var first []placed
	for i := range tallies {
		t := &tallies[i]
		f.Records += len(t.entries)
		f.CVEs += len(t.cves)
		f.Withdrawn += t.withdrawn
		f.Malformed += t.malformed
		for k, n := range t.ecosystems {
			f.Ecosystems[k] += n
		}
		for k, n := range t.alone {
			f.Alone[k] += n
		}
		if t.newest.After(f.Newest) {
			f.Newest = t.newest
		}
		for j := range t.first {
			first = append(first, placed{t.first[j], t.order[j]})
		}
	}
	slices.SortFunc(first, func(a, b placed) int { return a.order - b.order })
	for i := range first[:min(len(first), keepMalformed)] {
		f.First = append(f.First, first[i].Malformed)
	}
}
