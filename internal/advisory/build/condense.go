package build

import (
	"math"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone/internal/advisory/cve"
	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/osv"
	"touchstone.dev/touchstone/internal/advisory/release"
	"touchstone.dev/touchstone/internal/advisory/score"
	"touchstone.dev/touchstone/internal/advisory/wire"
)

// condensed is what is kept of an OSV record between reading and merging.
type condensed struct {
	id                         string
	aliases, upstream, related []string
	affects                    bool // it says something of a package
	published, modified        time.Time
	summary                    string
	score                      score.Score
	said                       []said
}

// said is what a record says of one package in some releases of one family.
type said struct {
	family, name         string
	ecosystems           []string
	notAffected, wontFix bool
	ranges               []osv.Range
	versions             []string
	imports              []osv.Import
}

// condense keeps what matters of a record.
func condense(r *osv.Record) *condensed {
	c := &condensed{
		id: Canonical(r.ID), aliases: r.Aliases, upstream: r.Upstream,
		published: r.Published.Time, modified: r.Modified.Time, summary: r.ShortSummary(),
	}
	if Bulletin(c.id) {
		c.related = r.Related
	}
	c.grade(r.Severity)
	c.word(r.Specific.Severity)
	for i := range r.Affected {
		a := &r.Affected[i]
		c.grade(a.Severity)
		c.word(a.Ecosystem.Severity)
		c.word(a.Ecosystem.Urgency)
		c.word(a.Database.Severity)
		if a.Package.Name != "" && a.Package.Ecosystem != "" {
			c.say(sayingOf(a), a.Package.Ecosystem)
		}
	}
	c.affects = len(c.said) > 0
	return c
}

func (c *condensed) grade(list []osv.Severity) {
	for _, s := range list {
		var got score.Score
		var ok bool
		if strings.HasPrefix(s.Type, "CVSS_") {
			got, ok = score.Vector(s.Score, c.id)
		} else {
			got, ok = score.OfWord(s.Score, c.id)
		}
		if ok && got.Better(c.score) {
			c.score = got
		}
	}
}

func (c *condensed) word(word string) {
	if got, ok := score.OfWord(word, c.id); word != "" && ok && got.Better(c.score) {
		c.score = got
	}
}

// say adds what is said of a package; releases of which the same is said share
// one entry.
func (c *condensed) say(s said, ecosystem string) {
	for i := range c.said {
		if t := &c.said[i]; t.family == s.family && t.name == s.name && t.agrees(&s) {
			if !slices.Contains(t.ecosystems, ecosystem) {
				t.ecosystems = append(t.ecosystems, ecosystem)
			}
			return
		}
		if i == 64 { // a record of thousands of packages is not worth the comparing
			break
		}
	}
	s.ecosystems = []string{ecosystem}
	c.said = append(c.said, s)
}

func (s *said) agrees(t *said) bool {
	return s.notAffected == t.notAffected && s.wontFix == t.wontFix && slices.Equal(s.versions, t.versions) &&
		slices.EqualFunc(s.ranges, t.ranges, func(a, b osv.Range) bool { return slices.Equal(a.Events, b.Events) }) &&
		slices.EqualFunc(s.imports, t.imports, func(a, b osv.Import) bool {
			return a.Path == b.Path && slices.Equal(a.Symbols, b.Symbols) && slices.Equal(a.GOOS, b.GOOS) && slices.Equal(a.GOARCH, b.GOARCH)
		})
}

func sayingOf(a *osv.Affected) said {
	family := release.Family(a.Package.Ecosystem)
	s := said{family: family, name: index.Key(family, a.Package.Name), versions: a.Versions}
	for _, status := range []string{a.Ecosystem.Status, a.Database.Status, a.Ecosystem.Urgency} {
		switch strings.ReplaceAll(strings.ToLower(status), "_", "-") {
		case "wont-fix", "won't fix", "will not fix", "end-of-life", "ignored":
			s.wontFix = true
		case "not-affected", "not affected", "unaffected":
			s.notAffected = true
		}
	}
	for _, r := range a.Ranges {
		if r.Type == "GIT" {
			continue // commits; the versions that they stand for are listed
		}
		var events []osv.Event
		for _, e := range r.Events {
			switch e.Fixed {
			case "<not-affected>":
				s.notAffected = true
				continue
			case "<unfixed>", "<undetermined>", "<no-dsa>", "<postponed>":
				continue
			case "<end-of-life>", "<ignored>":
				s.wontFix = true
				continue
			case "0":
				// The trackers of Alpine and Debian write so what never was
				// vulnerable.
				s.notAffected = s.notAffected || len(a.Versions) == 0
			}
			if e != (osv.Event{}) {
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			s.ranges = append(s.ranges, osv.Range{Events: events})
		}
	}
	if family == "Go" {
		s.imports = a.Ecosystem.Imports
	}
	if s.notAffected {
		s.ranges, s.versions = nil, nil
	}
	return s
}

func (c *condensed) append(b []byte) []byte {
	b = wire.String(b, c.id)
	b = wire.Strings(b, c.aliases)
	b = wire.Strings(b, c.upstream)
	b = wire.Strings(b, c.related)
	b = appendBool(b, c.affects)
	b = wire.Int(b, unix(c.published))
	b = wire.Int(b, unix(c.modified))
	b = wire.String(b, c.summary)
	b = appendScore(b, c.score)
	b = wire.Uint(b, uint64(len(c.said)))
	for i := range c.said {
		s := &c.said[i]
		b = wire.String(b, s.family)
		b = wire.String(b, s.name)
		b = wire.Strings(b, s.ecosystems)
		b = s.appendBody(b)
	}
	return b
}

// readLinks reads the beginning of a condensed record: what ties it to others.
func readLinks(r *wire.Reader) *condensed {
	return &condensed{id: r.String(), aliases: r.Strings(), upstream: r.Strings(), related: r.Strings(), affects: r.Byte() == 1}
}

func readCondensed(r *wire.Reader) *condensed {
	c := readLinks(r)
	c.published, c.modified = fromUnix(r.Int()), fromUnix(r.Int())
	c.summary = r.String()
	c.score = readScore(r)
	n := r.Count(8)
	c.said = make([]said, 0, n)
	for range n {
		s := said{family: r.String(), name: r.String(), ecosystems: r.Strings()}
		s.readBody(r)
		c.said = append(c.said, s)
	}
	return c
}

func (s *said) appendBody(b []byte) []byte {
	b = appendBool(b, s.notAffected)
	b = appendBool(b, s.wontFix)
	b = wire.Uint(b, uint64(len(s.ranges)))
	for _, r := range s.ranges {
		b = wire.Uint(b, uint64(len(r.Events)))
		for _, e := range r.Events {
			b = wire.String(b, e.Introduced)
			b = wire.String(b, e.Fixed)
			b = wire.String(b, e.LastAffected)
			b = wire.String(b, e.Limit)
		}
	}
	b = wire.Strings(b, s.versions)
	b = wire.Uint(b, uint64(len(s.imports)))
	for _, im := range s.imports {
		b = wire.String(b, im.Path)
		b = wire.Strings(b, im.Symbols)
		b = wire.Strings(b, im.GOOS)
		b = wire.Strings(b, im.GOARCH)
	}
	return b
}

func (s *said) readBody(r *wire.Reader) {
	s.notAffected, s.wontFix = r.Byte() == 1, r.Byte() == 1
	for range r.Count(1) {
		n := r.Count(4)
		events := make([]osv.Event, 0, n)
		for range n {
			events = append(events, osv.Event{Introduced: r.String(), Fixed: r.String(), LastAffected: r.String(), Limit: r.String()})
		}
		s.ranges = append(s.ranges, osv.Range{Events: events})
	}
	s.versions = r.Strings()
	for range r.Count(4) {
		s.imports = append(s.imports, osv.Import{Path: r.String(), Symbols: r.Strings(), GOOS: r.Strings(), GOARCH: r.Strings()})
	}
}

func appendEnrichment(b []byte, e *cve.Enrichment) []byte {
	b = wire.String(b, e.ID)
	b = appendBool(b, e.Rejected)
	b = appendScore(b, e.Score)
	b = wire.Strings(b, []string{e.SSVC.Exploitation, e.SSVC.Automatable, e.SSVC.TechnicalImpact, e.SSVC.Source})
	b = appendBool(b, e.KnownExploited)
	b = wire.String(b, e.Summary)
	b = wire.Int(b, unix(e.Published))
	return wire.Int(b, unix(e.Modified))
}

func readEnrichment(r *wire.Reader) *cve.Enrichment {
	e := &cve.Enrichment{ID: r.String(), Rejected: r.Byte() == 1, Score: readScore(r)}
	if s := r.Strings(); len(s) == 4 {
		e.SSVC.Exploitation, e.SSVC.Automatable, e.SSVC.TechnicalImpact, e.SSVC.Source = s[0], s[1], s[2], s[3]
	}
	e.KnownExploited = r.Byte() == 1
	e.Summary = r.String()
	e.Published, e.Modified = fromUnix(r.Int()), fromUnix(r.Int())
	return e
}

func appendScore(b []byte, s score.Score) []byte {
	b = append(b, byte(s.Grade), byte(math.Round(s.Value*10)))
	if s.Grade != score.None {
		b = wire.String(b, s.Vector)
		b = wire.String(b, s.Source)
	}
	return b
}

func readScore(r *wire.Reader) score.Score {
	s := score.Score{Grade: score.Grade(r.Byte()), Value: float64(r.Byte()) / 10}
	if s.Grade != score.None {
		s.Vector, s.Source = r.String(), r.String()
	}
	return s
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}
