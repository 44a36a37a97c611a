package build

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/osv"
	"touchstone.dev/touchstone/internal/advisory/version"
)

// statement is what a record says of a package, with its versions still texts.
type statement struct {
	index.Statement
	said
}

// packageOf puts the versions of a package in order and makes ranks of them.
func packageOf(family, name string, list []statement) *index.Package {
	p := &index.Package{Family: family, Name: name, Ordered: true}
	o := &order{family: family, rank: map[string]int{}}
	for i := range list {
		for _, r := range list[i].ranges {
			for _, e := range r.Events {
				o.add(text(e))
			}
		}
	}
	o.sort()
	// Most databases list every vulnerable version beside the ranges. Only what
	// the ranges do not say is kept.
	listed := map[string]placed{}
	for i := range list {
		list[i].versions = o.unsaid(&list[i], listed)
	}
	for i := range list {
		for _, v := range list[i].versions {
			o.add(v)
		}
	}
	o.sort()
	p.Versions, p.Comparable, p.Ordered = o.texts, o.comparable, o.total()
	for i := range list {
		s := &list[i]
		s.NotAffected, s.WontFix = s.notAffected, s.wontFix
		for _, r := range s.ranges {
			s.Ranges = append(s.Ranges, o.ranked(r))
		}
		for _, v := range s.versions {
			s.Exact = append(s.Exact, uint32(o.rank[v]))
		}
		slices.Sort(s.Exact)
		s.Exact = slices.Compact(s.Exact)
		for _, im := range s.imports {
			s.Imports = append(s.Imports, index.Import(im))
		}
		p.Statements = append(p.Statements, s.Statement)
	}
	return p
}

// text returns the version of an event; "" when it stands before all.
func text(e osv.Event) string {
	switch {
	case e.Introduced == "0":
		return ""
	case e.Introduced != "":
		return e.Introduced
	case e.Fixed != "":
		return e.Fixed
	case e.LastAffected != "":
		return e.LastAffected
	}
	return e.Limit
}

// order is the versions of one package.
type order struct {
	family     string
	all        []string // every text, as it came
	texts      []string // the comparable ones in order, then the others
	parsed     []version.Version
	comparable int
	rank       map[string]int
}

func (o *order) add(v string) {
	if v == "" {
		return
	}
	if _, ok := o.rank[v]; !ok {
		o.rank[v] = 0
		o.all = append(o.all, v)
	}
}

// sort puts the texts in order and numbers them. Texts of one version ("1.0" and
// "1.0.0" of PyPI) share a rank.
func (o *order) sort() {
	type pair struct {
		text   string
		parsed version.Version
	}
	var good []pair
	var bad []string
	for _, t := range o.all {
		v, err := version.Parse(o.family, t)
		if err != nil {
			bad = append(bad, t)
			continue
		}
		good = append(good, pair{t, v})
	}
	slices.SortFunc(good, func(a, b pair) int {
		c, err := a.parsed.Compare(b.parsed)
		if err != nil || c == 0 {
			return strings.Compare(a.text, b.text) // so that the same texts give the same order
		}
		return c
	})
	slices.Sort(bad)
	o.texts, o.parsed = o.texts[:0], o.parsed[:0]
	for _, p := range good {
		if n := len(o.parsed); n > 0 {
			if c, err := o.parsed[n-1].Compare(p.parsed); err == nil && c == 0 {
				o.rank[p.text] = n - 1
				continue
			}
		}
		o.rank[p.text] = len(o.texts)
		o.texts = append(o.texts, p.text)
		o.parsed = append(o.parsed, p.parsed)
	}
	o.comparable = len(o.texts)
	for _, t := range bad {
		o.rank[t] = len(o.texts)
		o.texts = append(o.texts, t)
	}
}

// total reports whether the order holds over these versions: neighbours, and
// versions far apart. Where it does not, no binary search is made.
func (o *order) total() bool {
	for step := 1; step < o.comparable; step *= 2 {
		for i := step; i < o.comparable; i++ {
			if c, err := o.parsed[i-step].Compare(o.parsed[i]); err != nil || c > 0 {
				return false
			}
		}
	}
	return true
}

// ranked makes ranks of a range, its events in the order of their versions,
// because that is how a range is read (OSV schema, "Evaluation").
func (o *order) ranked(r osv.Range) index.Range {
	events := make(index.Range, 0, len(r.Events))
	for _, e := range r.Events {
		var kind index.EventKind
		switch {
		case e.Introduced != "":
			kind = index.Introduced
		case e.Fixed != "":
			kind = index.Fixed
		case e.LastAffected != "":
			kind = index.LastAffected
		case e.Limit == "*":
			continue // no limit
		default:
			kind = index.Limit
		}
		rank := index.Beginning
		if t := text(e); t != "" {
			rank = o.rank[t]
		}
		events = append(events, index.Event{Kind: kind, Rank: rank})
	}
	slices.SortStableFunc(events, func(a, b index.Event) int { return a.Rank - b.Rank })
	return events
}

// placed is where a listed version lies among the versions of the ranges.
type placed struct {
	place index.Place
	ok    bool
}

// unsaid returns the listed versions that the statement's ranges do not hold.
func (o *order) unsaid(s *statement, known map[string]placed) []string {
	if len(s.ranges) == 0 || len(s.versions) == 0 {
		return s.versions
	}
	ranges := make([]index.Range, 0, len(s.ranges))
	for _, r := range s.ranges {
		ranges = append(ranges, o.ranked(r))
	}
	var left []string
	for _, text := range s.versions {
		at, ok := known[text]
		if !ok {
			v, err := version.Parse(o.family, text)
			if err == nil {
				at.place, err = index.Find(o.comparable, func(i int) (int, error) { return v.Compare(o.parsed[i]) })
			}
			at.ok = err == nil
			known[text] = at
		}
		if !at.ok || index.Holds(ranges, at.place) != index.Yes {
			left = append(left, text)
		}
	}
	return left
}
