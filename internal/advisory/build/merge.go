package build

import (
	"context"
	"slices"
	"strings"

	"touchstone.dev/touchstone/internal/advisory/cve"
	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/score"
	"touchstone.dev/touchstone/internal/advisory/source"
)

// hole is a group of names while it is being merged.
type hole struct {
	index.Hole
	score     score.Score
	summaryOf int    // how good the source of the summary is; 0 is none
	whole     string // the bulletin whose score stands in for the hole's own
	refs      []uint32
	names     []uint32 // numbers in groups; the best-known first once complete
}

// merged is every hole that something is said about.
type merged struct {
	groups *groups
	holes  []hole
	of     map[uint32]uint32 // root of a group → number of the hole
	tied   []tied            // one for each record
	refs   []uint32          // of names, in the index
}

// tied is how a record is tied to holes.
type tied struct {
	name     uint32
	holes    []uint32 // numbers of the holes that it tells of
	bulletin bool     // it tells of several, and its words are about all at once
}

// named returns the hole that has the name, or nil.
func (m *merged) named(name string) *hole {
	n, ok := m.groups.number[name]
	if !ok {
		return nil
	}
	if h, ok := m.of[m.groups.root(n)]; ok {
		return &m.holes[h]
	}
	return nil
}

// merge makes holes of records.
func merge(ctx context.Context, g *gathered) (*merged, error) {
	m := &merged{groups: newGroups(), of: map[uint32]uint32{}, tied: make([]tied, len(g.records))}
	several := make(map[int][]uint32)
	mentions := map[int][]uint32{}
	affects := make([]bool, len(g.records))
	for i := range g.records {
		r, err := g.read(&g.records[i])
		if err != nil {
			return nil, err
		}
		c := readLinks(r)
		if r.Err() != nil {
			return nil, r.Err()
		}
		affects[i] = c.affects
		self := m.groups.of(c.id)
		m.tied[i].name = self
		l := linksOf(c.id, c.aliases, c.upstream, c.related)
		for _, n := range l.same {
			m.groups.join(self, m.groups.of(n))
		}
		for _, n := range l.mentions {
			mentions[i] = append(mentions[i], m.groups.of(n))
		}
		for _, n := range l.holes {
			if !g.revoked[cveIn(n)] {
				several[i] = append(several[i], m.groups.of(n))
			}
		}
		m.tied[i].bulletin = len(l.holes) > 0
		if i%10_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for i := range m.tied {
		m.tie(i, several[i], affects[i])
	}
	m.collectNames(several, mentions)
	for i := range g.records {
		if err := m.absorb(g, i); err != nil {
			return nil, err
		}
	}
	if err := m.absorbCVEs(g); err != nil {
		return nil, err
	}
	for i := range m.holes {
		m.holes[i].finish(m.groups, g.revoked)
	}
	return m, nil
}

// tie finds the holes of a record, which it makes when the record says something
// of a package.
func (m *merged) tie(i int, several []uint32, affects bool) {
	t := &m.tied[i]
	roots := several
	if !t.bulletin {
		roots = []uint32{t.name}
	}
	for _, n := range roots {
		root := m.groups.root(n)
		h, ok := m.of[root]
		if !ok {
			if !affects {
				continue
			}
			h = uint32(len(m.holes))
			m.of[root] = h
			m.holes = append(m.holes, hole{})
		}
		if !slices.Contains(t.holes, h) {
			t.holes = append(t.holes, h)
		}
	}
	slices.Sort(t.holes)
}

// collectNames gives every hole its group's names, and those of the bulletins
// that tell of it.
func (m *merged) collectNames(several, mentions map[int][]uint32) {
	for n := range m.groups.names {
		if h, ok := m.of[m.groups.root(uint32(n))]; ok {
			m.holes[h].names = append(m.holes[h].names, uint32(n))
		}
	}
	for i := range m.tied {
		t := &m.tied[i]
		extra := mentions[i]
		if _, ok := several[i]; ok || t.bulletin {
			extra = append(extra, t.name)
		}
		for _, h := range t.holes {
			for _, n := range extra {
				if !slices.Contains(m.holes[h].names, n) {
					m.holes[h].names = append(m.holes[h].names, n)
				}
			}
		}
	}
}

// absorb merges what record i says of its holes.
func (m *merged) absorb(g *gathered, i int) error {
	r, err := g.read(&g.records[i])
	if err != nil {
		return err
	}
	c := readCondensed(r)
	if r.Err() != nil {
		return r.Err()
	}
	for _, n := range m.tied[i].holes {
		h := &m.holes[n]
		if m.tied[i].bulletin {
			h.fallBack(c)
			continue
		}
		if c.score.Better(h.score) || h.whole != "" && c.score.Grade >= score.V2 {
			h.score, h.whole = c.score, ""
		}
		h.dates(&cve.Enrichment{Published: c.published, Modified: c.modified})
		h.summarise(c.summary, summaryRank(c.id))
	}
	return nil
}

// fallBack takes from a bulletin about several holes what nobody says of the
// hole itself. Its score is that of the worst of them.
func (h *hole) fallBack(c *condensed) {
	if h.score.Grade < score.V2 && c.score.Better(h.score) {
		h.score, h.whole = c.score, c.id
	}
	h.summarise(c.summary, 1)
	if h.Modified.Before(c.modified) {
		h.Modified = c.modified
	}
}

func (m *merged) absorbCVEs(g *gathered) error {
	for n, name := range m.groups.names {
		at, ok := g.cves[name]
		if !ok || at.gone {
			continue
		}
		number, ok := m.of[m.groups.root(uint32(n))]
		if !ok {
			continue
		}
		r, err := g.read(&at)
		if err != nil {
			return err
		}
		e := readEnrichment(r)
		if r.Err() != nil {
			return r.Err()
		}
		h := &m.holes[number]
		if e.Score.Better(h.score) || h.whole != "" && e.Score.Grade >= score.V2 {
			h.score, h.whole = e.Score, ""
		}
		h.dates(e)
		h.summarise(e.Summary, 3)
		h.KnownExploited = h.KnownExploited || e.KnownExploited
		if e.SSVC.Source != "" {
			h.SSVC = e.SSVC
		}
	}
	return nil
}

func (h *hole) dates(e *cve.Enrichment) {
	if !e.Published.IsZero() && (h.Published.IsZero() || e.Published.Before(h.Published)) {
		h.Published = e.Published
	}
	if h.Modified.Before(e.Modified) {
		h.Modified = e.Modified
	}
}

func (h *hole) summarise(text string, rank int) {
	if text != "" && rank > h.summaryOf {
		h.Summary, h.summaryOf = text, rank
	}
}

// summaryRank prefers the databases whose summaries people write.
func summaryRank(id string) int {
	for _, prefix := range []string{"GHSA-", "GO-", "RUSTSEC-", "PYSEC-"} {
		if strings.HasPrefix(id, prefix) {
			return 4
		}
	}
	return 2
}

// finish settles what depends on all sources.
func (h *hole) finish(g *groups, revoked map[string]bool) {
	rank := func(n uint32) int {
		switch name := g.names[n]; {
		case strings.HasPrefix(name, "CVE-") && !revoked[name]:
			return 0
		case strings.HasPrefix(name, "GHSA-"):
			return 1
		case Bulletin(name):
			return 3
		}
		return 2
	}
	slices.SortFunc(h.names, func(a, b uint32) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(g.names[a], g.names[b])
	})
	if h.score.Grade != score.None {
		h.Scored, h.Score, h.Vector, h.ScoreSource = true, h.score.Value, h.score.Vector, h.score.Source
		if h.whole != "" {
			h.ScoreSource += ", of the whole bulletin"
		}
	}
}

// writeNames writes every name of every hole.
func (m *merged) writeNames(w *index.Writer) error {
	holes := make([][]uint32, len(m.groups.names))
	for h := range m.holes {
		for _, n := range m.holes[h].names {
			holes[n] = append(holes[n], uint32(h))
		}
	}
	var names []index.Name
	number := make([]int, len(holes))
	for n, list := range holes {
		if len(list) > 0 {
			number[n] = len(names)
			names = append(names, index.Name{Text: m.groups.names[n], Holes: list})
		}
	}
	written, err := w.Names(names)
	if err != nil {
		return err
	}
	m.refs = make([]uint32, len(holes))
	for n, list := range holes {
		if len(list) > 0 {
			m.refs[n] = written[number[n]]
		}
	}
	for h := range m.holes {
		for _, n := range m.holes[h].names {
			m.holes[h].refs = append(m.holes[h].refs, m.refs[n])
		}
	}
	return nil
}

func readEPSS(path string, m *merged, found *Found) error {
	r, err := source.OpenEPSS(path)
	if err != nil {
		return err
	}
	defer r.Close()
	found.Newest, found.Malformed, err = cve.ReadEPSS(r, func(id string, p float64) {
		found.Rows++
		if h := m.named(id); h != nil && p > h.EPSS {
			h.EPSS = p
		}
	})
	return err
}
