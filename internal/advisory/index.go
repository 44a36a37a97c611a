package advisory

import (
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/build"
	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/source"
)

// Index is one revision of the advisories, open for asking. Many may ask at
// once, also while another process makes the next revision.
type Index struct {
	reader     *index.Reader
	ecosystems []string // as the index numbers them
	sources    []Source
}

// State says which advisories these are.
func (ix *Index) State() touchstone.IndexState {
	s := touchstone.IndexState{Revision: ix.reader.Revision(), Built: ix.reader.Built()}
	for i := range ix.sources {
		switch ix.sources[i].Kind {
		case source.KEV:
			s.KEV = ix.sources[i].Confirmed
		case source.EPSS:
			s.EPSS = ix.sources[i].Confirmed
		}
	}
	return s
}

// Close releases the index. Nothing may be asked of it afterwards.
func (ix *Index) Close() error { return ix.reader.Close() }

// Advisory is one hole and every package that it is known in.
type Advisory struct {
	ID             string          `json:"id"`
	Aliases        []string        `json:"aliases"`
	Summary        string          `json:"summary,omitempty"`
	Score          float64         `json:"score,omitempty"`
	Scored         bool            `json:"scored"`
	ScoreSource    string          `json:"scoreSource,omitempty"`
	Severity       string          `json:"severity"`
	KnownExploited bool            `json:"knownExploited"`
	EPSS           float64         `json:"epss,omitempty"`
	SSVC           touchstone.SSVC `json:"ssvc,omitzero"`
	Published      time.Time       `json:"published,omitzero"`
	Modified       time.Time       `json:"modified,omitzero"`
	Affected       []Affected      `json:"affected"`
}

// Affected is what one source says of one package.
type Affected struct {
	Package     string   `json:"package"`
	Ecosystems  []string `json:"ecosystems"` // with releases
	Source      string   `json:"source"`     // the id of the record
	Ranges      []string `json:"ranges"`     // ">= 1.2.0, < 1.2.5"; versions that are listed one by one as "= 1.0"
	NotAffected bool     `json:"notAffected,omitempty"`
	WontFix     bool     `json:"wontFix,omitempty"`
}

// Find returns the holes that a name stands for: one for an identifier or an
// alias, all of a bulletin's, none when nobody has published it.
func (ix *Index) Find(name string) ([]Advisory, error) {
	numbers, err := ix.reader.Named(build.Canonical(name))
	if err != nil {
		return nil, err
	}
	var list []Advisory
	for _, n := range numbers {
		h, err := ix.reader.Hole(n)
		if err != nil {
			return nil, err
		}
		m := matchOf(h)
		a := Advisory{
			ID: m.ID, Aliases: m.Aliases, Summary: m.Summary, Score: m.Score, Scored: m.Scored, ScoreSource: m.ScoreSource, Severity: m.Severity,
			KnownExploited: m.KnownExploited, EPSS: m.EPSS, SSVC: m.SSVC, Published: m.Published, Modified: m.Modified, Affected: []Affected{},
		}
		for _, ref := range h.Packages {
			p, err := ix.reader.PackageAt(ref)
			if err != nil {
				return nil, err
			}
			if a.Affected, err = ix.affected(a.Affected, p, n); err != nil {
				return nil, err
			}
		}
		list = append(list, a)
	}
	return list, nil
}

// affected appends what is said of one package about one hole.
func (ix *Index) affected(list []Affected, p *index.Package, hole uint32) ([]Affected, error) {
	for i := range p.Statements {
		s := &p.Statements[i]
		if !contains(s.Holes, hole) {
			continue
		}
		who, err := ix.reader.Name(s.Source)
		if err != nil {
			return nil, err
		}
		a := Affected{Package: p.Name, Source: who, NotAffected: s.NotAffected, WontFix: s.WontFix, Ecosystems: []string{}, Ranges: []string{}}
		for _, e := range s.Ecosystems {
			if int(e) < len(ix.ecosystems) {
				a.Ecosystems = append(a.Ecosystems, ix.ecosystems[e])
			}
		}
		for _, r := range s.Ranges {
			a.Ranges = append(a.Ranges, r.Describe(p.Versions)...)
		}
		for _, v := range s.Exact {
			a.Ranges = append(a.Ranges, "= "+p.Versions[v])
		}
		list = append(list, a)
	}
	return list, nil
}

func contains(list []uint32, n uint32) bool {
	for _, v := range list {
		if v == n {
			return true
		}
	}
	return false
}
