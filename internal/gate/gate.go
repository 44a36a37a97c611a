// Package gate gathers everything that a Case holds, asks Decide, and puts the
// answer together. Every gate does the same, the command line (Gate) and a server
// at a cluster's door (Door); none of them decides.
//
//	reference ─ Open ─► sources ─ inspect ─► evidence ─┐
//	advisories ─ Match ─► knowledge ────────────────────┼─► Case ─ Decide ─► Check
//	golden bases ─ Trace ─► lineage ─ rules, waivers ──┘
//
// A Door remembers besides: what was seen, what was let in, what runs, and every
// decision with all that it was taken on.
//
//	Request ─ resolve ─► name@digest ─ seen? ─► evidence ─┐
//	                          └ no ─► queue ─► scan       ├─► Case ─ Decide ─► record ─► Answer
//	rules, waivers, promotions (Road) ─ what ran before ──┘
//
// A Door also takes in what the guards of nodes have seen (Sight), and keeps it as
// findings on what runs.
//
//	RuntimeEvent ─ bounded, redacted, placed ─ join with the door's logins ─► record, findings
//
// What lies outside the artifact and fails (a registry, the index, the disk)
// becomes part of the Case, so that the decision says "undecided" and why; only
// wrong usage is an error.
package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/reference"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/gosym"
	"touchstone.dev/touchstone/internal/inspect"
)

// Config is what a Gate needs. Every field but the waivers is required.
type Config struct {
	Inspector  *inspect.Inspector
	Advisories *advisory.Folder
	Golden     *golden.Bases
	Rules      *touchstone.Rules
	Waivers    []touchstone.Waiver
	// WaiversDigest names the file that Waivers came from.
	WaiversDigest touchstone.Digest
	// VEX returns what trusted authors say of the holes of an artifact; nil
	// means that nobody says anything.
	VEX func(touchstone.Artifact) advisory.Statements
	// Tool names the program in its answers: "touchstone 1.2".
	Tool string
	// Now is the clock.
	Now func() time.Time
}

// Gate answers questions about artifacts. It may be used from many goroutines.
type Gate struct{ Config }

// New returns a Gate.
func New(c Config) *Gate { return &Gate{c} }

// Inspected is one artifact of one platform with its evidence.
type Inspected struct {
	Artifact touchstone.Artifact
	Evidence *touchstone.Evidence // nil when Problem or False say why
	Problem  string               // what failed outside the artifact
	False    string               // how the artifact contradicts itself
}

// Inspect opens the reference and inspects every platform of it that Open
// chose. An error is wrong usage: there is no such thing, or none that can be
// opened. What is wrong with the artifact, or with the way to it, is in the
// answer.
func (g *Gate) Inspect(ctx context.Context, ref string, o reference.Options) ([]Inspected, error) {
	named := touchstone.Artifact{Name: ref, Kind: touchstone.KindImage, Platform: o.Platform}
	sources, err := reference.Open(ctx, ref, o)
	if err != nil {
		if one, ok := fault(named, err); ok && ctx.Err() == nil {
			return []Inspected{one}, nil
		}
		return nil, err
	}
	defer func() {
		for _, s := range sources {
			_ = s.Close() // read to the end or failed already; nothing is lost
		}
	}()
	out := make([]Inspected, 0, len(sources))
	for _, s := range sources {
		e, a, err := g.Inspector.Inspect(ctx, s)
		if err != nil {
			one, ok := fault(s.Artifact(), err)
			if !ok || ctx.Err() != nil {
				return nil, fmt.Errorf("inspecting %s: %w", s.Artifact().Label(), err)
			}
			out = append(out, one)
			continue
		}
		out = append(out, Inspected{Artifact: a, Evidence: e})
	}
	return out, nil
}

// fault turns an error that decides a verdict into the answer that says so.
func fault(a touchstone.Artifact, err error) (Inspected, bool) {
	switch {
	case errors.Is(err, artifact.ErrFalse):
		return Inspected{Artifact: a, False: err.Error()}, true
	case errors.Is(err, artifact.ErrOutside):
		return Inspected{Artifact: a, Problem: err.Error()}, true
	default:
		return Inspected{}, false
	}
}

// Gather puts together what a decision about the artifact may look at. The
// question is the caller's to fill in.
func (g *Gate) Gather(ctx context.Context, in Inspected) *touchstone.Case {
	c := &touchstone.Case{
		Artifact: in.Artifact, Evidence: in.Evidence, Problem: in.Problem, False: in.False,
		Waivers: g.Waivers, WaiversDigest: g.WaiversDigest, Now: g.Now(),
	}
	if in.Evidence == nil {
		return c
	}
	c.Knowledge = g.know(ctx, in, c.Now)
	return c
}

// know asks the index and the golden bases about the artifact, as of the moment
// of the case.
func (g *Gate) know(ctx context.Context, in Inspected, now time.Time) touchstone.Knowledge {
	k, err := g.match(ctx, in, now)
	if err != nil {
		k = advisory.Unknown(err, in.Evidence.Packages)
	}
	k.Lineage = g.lineage(in.Evidence)
	attribute(&k, in.Evidence)
	return k
}

func (g *Gate) match(ctx context.Context, in Inspected, now time.Time) (touchstone.Knowledge, error) {
	index, err := g.Advisories.Index()
	if err != nil {
		return touchstone.Knowledge{}, err
	}
	defer func() { _ = index.Close() }() // it was only read
	o := advisory.MatchOptions{Symbols: g.symbols, Platform: in.Artifact.Platform, Now: now}
	if g.VEX != nil {
		o.Statements = g.VEX(in.Artifact)
	}
	return index.Match(ctx, in.Evidence.Packages, o)
}

// symbols reads the functions of a Go binary from its blob.
func (g *Gate) symbols(d touchstone.Digest) (advisory.Symbols, error) {
	data, err := g.Inspector.Symbols(d)
	if err != nil {
		return nil, err
	}
	return gosym.Decode(data)
}

func (g *Gate) lineage(e *touchstone.Evidence) touchstone.Lineage {
	bases, err := g.Golden.List()
	if err != nil {
		return touchstone.Lineage{Problem: err.Error()}
	}
	return golden.Trace(bases, e.Layers)
}

// attribute says of each match and upgrade whether the base or the application
// brought the package in.
func attribute(k *touchstone.Knowledge, e *touchstone.Evidence) {
	type proof struct{ purl, path string }
	layer := make(map[proof]int, len(e.Packages))
	for i := range e.Packages {
		layer[proof{e.Packages[i].PURL, e.Packages[i].Path}] = e.Packages[i].Layer
	}
	origin := func(purl, path string) touchstone.Origin {
		n, ok := layer[proof{purl, path}]
		if !ok {
			return touchstone.OriginUnknown
		}
		return golden.Origin(&k.Lineage, n)
	}
	for i := range k.Matches {
		m := &k.Matches[i]
		m.Origin = origin(m.Package.PURL, m.Package.Path)
	}
	for i := range k.Upgrades {
		u := &k.Upgrades[i]
		u.Origin = origin(u.PURL, u.Path)
	}
}
