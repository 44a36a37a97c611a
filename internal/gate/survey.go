package gate

import (
	"context"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/golden"
)

// survey asks the advisories and the golden bases about many artifacts at one
// moment: both are opened once, and what artifacts share is looked up once. It may
// be used from many goroutines.
type survey struct {
	gate    *Gate
	now     time.Time
	index   *advisory.Index // nil when problem says why
	batch   *advisory.Batch
	problem error
	bases   []touchstone.Base
	noBases error
}

// survey must be closed after use. It never fails: what cannot be asked is unknown
// in what it knows.
func (g *Gate) survey(now time.Time) *survey {
	s := &survey{gate: g, now: now}
	if s.index, s.problem = g.Advisories.Index(); s.problem == nil {
		s.batch = s.index.Batch()
	}
	s.bases, s.noBases = g.Golden.List()
	return s
}

func (s *survey) close() {
	if s.index != nil {
		_ = s.index.Close() // it was only read
	}
}

// know is Gate.know.
func (s *survey) know(ctx context.Context, in Inspected) (touchstone.Knowledge, error) {
	var k touchstone.Knowledge
	err := s.problem
	if err == nil {
		o := advisory.MatchOptions{Symbols: s.gate.symbols, Platform: in.Artifact.Platform, Now: s.now}
		if s.gate.VEX != nil {
			o.Statements = s.gate.VEX(in.Artifact)
		}
		k, err = s.batch.Match(ctx, in.Evidence.Packages, o)
	}
	if ctx.Err() != nil {
		return k, ctx.Err()
	}
	if err != nil {
		k = advisory.Unknown(err, in.Evidence.Packages)
	}
	if s.noBases != nil {
		k.Lineage = touchstone.Lineage{Problem: s.noBases.Error()}
	} else {
		k.Lineage = golden.Trace(s.bases, in.Evidence.Layers)
	}
	attribute(&k, in.Evidence)
	return k, nil
}

// knowing is what a survey knows of one piece of evidence under each name that it
// goes by. Names matter only to VEX.
type knowing struct {
	*survey
	evidence *touchstone.Evidence
	known    *touchstone.Knowledge
}

// of returns what is known of the evidence as the artifact. It is for one
// goroutine.
func (k *knowing) of(ctx context.Context, a touchstone.Artifact) (*touchstone.Knowledge, error) {
	if k.known != nil && k.gate.VEX == nil {
		return k.known, nil
	}
	known, err := k.know(ctx, Inspected{Artifact: a, Evidence: k.evidence})
	if err != nil {
		return nil, fmt.Errorf("asking the advisories about %s: %w", a.Label(), err)
	}
	k.known = &known
	return k.known, nil
}
