package advisory

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/release"
	"touchstone.dev/touchstone/internal/advisory/score"
)

// MatchOptions say what is known beside the packages.
type MatchOptions struct {
	// Symbols returns the functions of a Go binary by the blob that holds them
	// (touchstone.Package.Symbols); nil means that none can be had, and then
	// nothing is proved by their absence.
	Symbols func(touchstone.Digest) (Symbols, error)
	// Platform is "os/architecture", for holes that are in one system's code.
	Platform string
	// Statements are what trusted authors say of holes in this artifact; nil
	// means nothing.
	Statements Statements
	// Now tells which releases are out of support.
	Now time.Time
}

// Statements judges holes by VEX documents.
type Statements interface {
	// Judge returns the proof that the hole does not apply, naming author and
	// document; ok is false when nobody says so.
	Judge(m *touchstone.Match) (proof string, ok bool)
}

// Match returns what is known about packages: the matches, the upgrades that
// clear them, and what is covered. Origins are unknown: whoever knows the golden
// bases fills them in. An error means that nothing is known, see Unknown.
func (ix *Index) Match(ctx context.Context, packages []touchstone.Package, opt MatchOptions) (touchstone.Knowledge, error) {
	return ix.match(ctx, nil, packages, opt)
}

// match is Match; b keeps what was looked up beyond it, and may be nil.
func (ix *Index) match(ctx context.Context, b *Batch, packages []touchstone.Package, opt MatchOptions) (touchstone.Knowledge, error) {
	q := &query{ix: ix, batch: b, opt: opt, tiers: map[string][]int8{}, looked: map[asked]*found{}, holes: map[uint32]*index.Hole{}, symbols: map[touchstone.Digest]Symbols{}}
	q.goos, q.goarch, _ = strings.Cut(opt.Platform, "/")
	q.goarch, _, _ = strings.Cut(q.goarch, "/")
	k := touchstone.Knowledge{Index: ix.State(), Matches: []touchstone.Match{}, Coverage: ix.coverage(packages, opt.Now)}
	if b == nil {
		if err := q.lookAll(ctx, packages); err != nil {
			return touchstone.Knowledge{}, err
		}
	}
	for i := range packages {
		if err := q.match(&packages[i]); err != nil {
			return touchstone.Knowledge{}, fmt.Errorf("look up %s: %w", packages[i].Name, err)
		}
	}
	if len(q.versionless) > 0 {
		k.Coverage = append(k.Coverage, coverVersionless(q.versionless))
	}
	q.judge()
	slices.SortStableFunc(q.out, func(a, b *candidate) int { return compareMatches(&a.match, &b.match) })
	for _, c := range q.out {
		k.Matches = append(k.Matches, c.match)
	}
	k.Upgrades = q.upgrades()
	return k, nil
}

// query is one call of Match: what it has looked up already.
type query struct {
	ix           *Index
	batch        *Batch
	opt          MatchOptions
	goos, goarch string
	tiers        map[string][]int8
	looked       map[asked]*found
	holes        map[uint32]*index.Hole
	symbols      map[touchstone.Digest]Symbols
	out          []*candidate
	versionless  []string // names of packages that do not tell their version
}

// candidate is a match and where it comes from.
type candidate struct {
	match touchstone.Match
	pkg   *touchstone.Package
	asked asked
	found *found
	hit   *hit
}

// concerns reports whether advisories are to be looked for at all.
func concerns(p *touchstone.Package) bool {
	return p.Ecosystem != "" && !(release.Versioned(release.Family(p.Ecosystem)) && kernelHeaders(p.Name))
}

// lookAll asks the index about every package, each once, on all processors.
func (q *query) lookAll(ctx context.Context, packages []touchstone.Package) error {
	type job struct {
		asked asked
		tiers []int8
		found *found
	}
	jobs := make([]job, 0, len(packages))
	for i := range packages {
		if !concerns(&packages[i]) {
			continue
		}
		for _, a := range names(&packages[i]) {
			if _, ok := q.looked[a]; !ok {
				q.looked[a] = nil
				jobs = append(jobs, job{asked: a, tiers: q.tiersOf(a)})
			}
		}
	}
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), len(jobs)/64+1) {
		group.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return nil
				}
				j := &jobs[i]
				var err error
				if j.found, err = q.ix.look(j.asked, j.tiers); err != nil {
					return fmt.Errorf("look up %s: %w", j.asked.name, err)
				}
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range jobs {
		q.looked[jobs[i].asked] = jobs[i].found
	}
	return nil
}

func (q *query) match(p *touchstone.Package) error {
	if !concerns(p) {
		return nil
	}
	first := len(q.out)
	for _, a := range names(p) {
		f, err := q.find(a)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if versionless(p) && len(f.hits) > 0 {
			q.versionless = append(q.versionless, p.Name)
			return nil
		}
		for i := range f.hits {
			h := &f.hits[i]
			if slices.ContainsFunc(q.out[first:], func(c *candidate) bool { return c.hit.hole == h.hole }) {
				continue
			}
			m, err := q.matchOf(p, f, h)
			if err != nil {
				return err
			}
			q.out = append(q.out, &candidate{m, p, a, f, h})
		}
	}
	return nil
}

// find returns what was looked up of a package.
func (q *query) find(a asked) (*found, error) {
	if q.batch != nil {
		return q.batch.look(a, q.tiersOf)
	}
	return q.looked[a], nil
}

// tiersOf numbers the index's ecosystems by how much they count for a package:
// 1 is the first tier, 0 none.
func (q *query) tiersOf(a asked) []int8 {
	key := a.ecosystem
	if strings.Contains(a.version, "esm") {
		key += " esm"
	}
	tiers, ok := q.tiers[key]
	if !ok {
		tiers = make([]int8, len(q.ix.ecosystems))
		for n, tier := range release.Tiers(a.ecosystem, a.version, q.ix.ecosystems) {
			for _, e := range tier {
				tiers[e] = int8(min(n+1, 100))
			}
		}
		q.tiers[key] = tiers
	}
	return tiers
}

func (q *query) matchOf(p *touchstone.Package, f *found, h *hit) (touchstone.Match, error) {
	m, err := q.holeOf(h.hole)
	if err != nil {
		return touchstone.Match{}, err
	}
	m.Package = touchstone.PackageRef{Name: p.Name, Version: p.Version, PURL: p.PURL, Ecosystem: p.Ecosystem, Path: p.Path}
	m.FixedVersions = f.versions(f.fixes(h))
	m.WontFix = len(m.FixedVersions) == 0 && slices.ContainsFunc(h.affecting, func(s *index.Statement) bool { return s.WontFix })
	switch {
	case h.denied != nil:
		m.Applies = false
		who, err := q.ix.reader.Name(h.denied.Source)
		if err != nil {
			return touchstone.Match{}, err
		}
		m.Why = fmt.Sprintf("%s says that %s is not affected (%s)", release.Family(p.Ecosystem), f.pkg.Name, who)
	case h.answer == index.Maybe:
		m.Why = fmt.Sprintf("version %q could not be compared with those of the advisory, so that it counts as vulnerable", f.text)
	}
	if m.Applies && p.Symbols != "" && q.opt.Symbols != nil {
		if proof := absent(h.affecting, q.symbolsOf(p.Symbols), q.goos, q.goarch); proof != "" {
			m.Applies, m.Why = false, proof
		}
	}
	return m, nil
}

// holeOf is the match that a hole makes, but for the package.
func (q *query) holeOf(n uint32) (touchstone.Match, error) {
	if q.batch != nil {
		return q.batch.hole(n)
	}
	hole, ok := q.holes[n]
	if !ok {
		var err error
		if hole, err = q.ix.reader.Hole(n); err != nil {
			return touchstone.Match{}, err
		}
		q.holes[n] = hole
	}
	return matchOf(hole), nil
}

// symbolsOf returns the functions of a binary, or a set that holds all when they
// cannot be read: then nothing is proved.
func (q *query) symbolsOf(d touchstone.Digest) Symbols {
	s, ok := q.symbols[d]
	if !ok {
		var err error
		if s, err = q.opt.Symbols(d); err != nil || s == nil {
			s = everything{}
		}
		q.symbols[d] = s
	}
	return s
}

type everything struct{}

func (everything) Has(string, string) bool { return true }
func (everything) HasPackage(string) bool  { return true }

// judge lets trusted authors speak.
func (q *query) judge() {
	if q.opt.Statements == nil {
		return
	}
	for i := range q.out {
		m := &q.out[i].match
		if !m.Applies {
			continue
		}
		if proof, ok := q.opt.Statements.Judge(m); ok {
			m.Applies, m.Why = false, proof
		}
	}
}

// matchOf fills in what belongs to the hole alone.
func matchOf(h *index.Hole) touchstone.Match {
	m := touchstone.Match{
		ID: h.Names[0], Aliases: slices.Sorted(slices.Values(h.Names[1:])), Summary: h.Summary,
		Score: h.Score, Scored: h.Scored, ScoreSource: h.ScoreSource, Vector: h.Vector, Severity: "unknown",
		KnownExploited: h.KnownExploited, EPSS: h.EPSS, Published: h.Published, Modified: h.Modified,
		FixedVersions: []string{}, Origin: touchstone.OriginUnknown, Applies: true, SSVC: h.SSVC,
	}
	if m.Aliases == nil {
		m.Aliases = []string{}
	}
	if h.Scored {
		m.Severity = score.Severity(h.Score)
	}
	return m
}

// compareMatches puts what is worst first: what applies, known exploited, by
// score, then by name.
func compareMatches(a, b *touchstone.Match) int {
	switch {
	case a.Applies != b.Applies:
		return boolOrder(a.Applies)
	case a.KnownExploited != b.KnownExploited:
		return boolOrder(a.KnownExploited)
	case a.Score != b.Score:
		return boolOrder(a.Score > b.Score)
	case a.ID != b.ID:
		return strings.Compare(a.ID, b.ID)
	case a.Package.Name != b.Package.Name:
		return strings.Compare(a.Package.Name, b.Package.Name)
	case a.Package.Path != b.Package.Path:
		return strings.Compare(a.Package.Path, b.Package.Path)
	}
	return strings.Compare(a.Package.Version, b.Package.Version)
}

func boolOrder(first bool) int {
	if first {
		return -1
	}
	return 1
}
