package gate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/record"
)

// simulation is one Simulate on its way. Evidence is what is dear: everything that
// is to be judged on one piece of it is collected first, and then each piece is
// read once, by one goroutine, and let go.
type simulation struct {
	*Door
	trial   Trial
	book    *Book
	rules   *touchstone.Rules   // of the trial
	waivers []touchstone.Waiver // of the trial
	custom  bool                // conditions may look at anything
	survey  *survey

	by       map[touchstone.Digest]*tried // by evidence
	subjects []*subject
	past     []*pastDecision
}

// tried is everything that is judged on one piece of evidence.
type tried struct {
	images []triedImage
	past   []*pastDecision
}

// triedImage is one image with the evidence, and the subjects that run it.
type triedImage struct {
	artifact touchstone.Artifact
	of       *[]*subject // shared by the platforms of an index
}

// subject is an artifact in a place with its settings. Containers that no rule can
// tell apart are one.
type subject struct {
	place    touchstone.Place
	settings touchstone.Settings
	workload touchstone.Workload // of the first container
	runs     []*Observed

	mu       sync.Mutex // platforms are judged at the same time
	from, to answer
}

// pastDecision is a decision that was taken.
type pastDecision struct {
	*Kept
	lost     bool
	from, to answer
}

// answer is a verdict and the rules that keep it from being allowed.
type answer struct {
	verdict touchstone.Verdict // empty while nothing was judged
	stops   []string
}

// worsen takes the harder answer: of the platforms of an index the worst holds.
func (a *answer) worsen(b answer) {
	if a.verdict == "" || b.verdict.Worse(a.verdict) {
		*a = b
	}
}

// collect finds what runs and what was decided, by evidence.
func (s *simulation) collect(ctx context.Context) error {
	byArtifact := map[string]map[[sha256.Size]byte]*subject{}
	for _, o := range s.running() {
		if o.Repository == "" || !o.Digest.Valid() {
			continue
		}
		key := o.artifact()
		if byArtifact[key] == nil {
			byArtifact[key] = map[[sha256.Size]byte]*subject{}
		}
		q := o.question(touchstone.OccasionAdmit)
		name, err := s.alike(&q)
		if err != nil {
			return err
		}
		one := byArtifact[key][name]
		if one == nil {
			one = &subject{place: q.Place, settings: q.Settings, workload: q.Workload}
			byArtifact[key][name] = one
		}
		one.runs = append(one.runs, o)
	}
	for _, key := range slices.Sorted(maps.Keys(byArtifact)) {
		seen, err := s.look(ctx, key)
		if err != nil {
			return err
		}
		if seen == nil {
			continue
		}
		own := slices.Collect(maps.Values(byArtifact[key]))
		s.subjects = append(s.subjects, own...)
		n := named{repository: seen.Repository, digest: seen.Digest}
		for i := range seen.Platforms {
			p := &seen.Platforms[i]
			s.on(p.Evidence).images = append(s.on(p.Evidence).images, triedImage{seen.artifact(n, p), &own})
		}
	}
	return s.collectPast(ctx)
}

// running returns what runs, in the order of its keys. What is taken in is never
// changed but replaced, so that nothing is copied.
func (s *simulation) running() []*Observed {
	s.observed.mu.RLock()
	defer s.observed.mu.RUnlock()
	out := make([]*Observed, 0, len(s.observed.all))
	for _, key := range slices.Sorted(maps.Keys(s.observed.all)) {
		out = append(out, s.observed.all[key])
	}
	return out
}

func (s *simulation) on(evidence touchstone.Digest) *tried {
	if s.by[evidence] == nil {
		s.by[evidence] = &tried{}
	}
	return s.by[evidence]
}

// alike names everything of a question that rules can tell it by. Measures look at
// the settings, and of the place at what the rows are chosen by.
func (s *simulation) alike(q *touchstone.Question) ([sha256.Size]byte, error) {
	of := []any{q.Settings, q.Place.Environment, q.Place.Class, q.Place.Sensitivity, q.Place.Exposure, q.Place.Impact, s.mapped(&q.Place).Environment}
	if s.custom {
		of = []any{q.Settings, q.Place, q.Workload}
	}
	name, err := json.Marshal(of)
	return sha256.Sum256(name), err
}

// mapped is the place as the trial's rows map it.
func (s *simulation) mapped(p *touchstone.Place) touchstone.Place {
	was := s.book.Rules.PlaceOf(p.Cluster, p.Namespace, p.Node, nil)
	if s.trial.Rules == nil || p.Cluster == "" && p.Namespace == "" || !samePlace(&was, p) {
		return *p
	}
	return s.rules.PlaceOf(p.Cluster, p.Namespace, p.Node, nil)
}

func samePlace(a, b *touchstone.Place) bool {
	return a.Environment == b.Environment && a.Class == b.Class && a.Sensitivity == b.Sensitivity && a.Exposure == b.Exposure && a.Impact == b.Impact
}

func (s *simulation) collectPast(ctx context.Context) error {
	if s.trial.Last <= 0 {
		return nil
	}
	q := record.FactQuery{Kind: factDecision, Descending: true, Limit: min(s.trial.Last, mostLast)}
	for f, err := range s.c.Store.Facts(ctx, q) {
		if err != nil {
			return fmt.Errorf("listing the last decisions: %w", err)
		}
		k, err := s.Decision(ctx, f.Key)
		if errors.Is(err, record.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		one := &pastDecision{Kept: k}
		s.past = append(s.past, one)
		on := s.on(k.Decision.Inputs.Evidence)
		on.past = append(on.past, one)
	}
	return nil
}

// run judges everything, on all processors.
func (s *simulation) run(ctx context.Context) error {
	ids := slices.Sorted(maps.Keys(s.by))
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(ids) {
					return nil
				}
				if err := s.try(ctx, ids[i], s.by[ids[i]]); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// try judges what stands on one piece of evidence, which is none where a past
// decision had none.
func (s *simulation) try(ctx context.Context, id touchstone.Digest, all *tried) error {
	know := &knowing{survey: s.survey}
	if id != "" {
		e, err := s.c.Gate.Inspector.Evidence(id)
		if errors.Is(err, blob.ErrAbsent) {
			for _, p := range all.past {
				p.lost = true
			}
			return nil
		}
		if err != nil {
			return err
		}
		know.evidence = e
	}
	for i := range all.images {
		if err := s.tryImage(ctx, know, &all.images[i]); err != nil {
			return err
		}
	}
	for _, p := range all.past {
		if err := s.tryPast(ctx, know, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *simulation) tryImage(ctx context.Context, know *knowing, im *triedImage) error {
	known, err := know.of(ctx, im.artifact)
	if err != nil {
		return err
	}
	for _, one := range *im.of {
		c := touchstone.Case{
			Artifact: im.artifact, Evidence: know.evidence, Knowledge: *known, Waivers: s.book.Waivers, WaiversDigest: s.book.WaiversDigest, Now: s.trial.At,
			Question: touchstone.Question{Occasion: touchstone.OccasionAdmit, Place: one.place, Workload: one.workload, Settings: one.settings},
		}
		var from answer
		if s.trial.Advisories {
			from = lastJudged(one.runs[0])
		} else {
			from = answerOf(touchstone.Decide(s.book.Rules, &c), true)
		}
		c.Waivers, c.Question.Place = s.waivers, s.mapped(&one.place)
		to := answerOf(touchstone.Decide(s.rules, &c), true)
		one.mu.Lock()
		one.from.worsen(from)
		one.to.worsen(to)
		one.mu.Unlock()
	}
	return nil
}

// lastJudged is the answer that stands with what runs; allowed where there is none
// yet, so that everything found is told.
func lastJudged(o *Observed) answer {
	a := answer{verdict: cmp.Or(o.Verdict, touchstone.Allowed)}
	for _, thing := range o.Failing {
		rule, _, _ := strings.Cut(thing, " ")
		if !ofTheRoad(rule) && !slices.Contains(a.stops, rule) {
			a.stops = append(a.stops, rule)
		}
	}
	if a.verdict == touchstone.Refused && len(a.stops) == 0 {
		a.verdict = touchstone.Allowed // the road alone was in its way
	}
	return a
}

func (s *simulation) tryPast(ctx context.Context, know *knowing, p *pastDecision) error {
	c, missing, err := s.restoreCase(ctx, p.Kept, know.evidence)
	if err != nil {
		return err
	}
	if p.lost = len(missing) > 0; p.lost {
		return nil
	}
	c.Now = s.trial.At
	if s.trial.Advisories {
		p.from = answerOf(p.Kept.Decision, false)
		if know.evidence != nil {
			known, err := know.of(ctx, c.Artifact)
			if err != nil {
				return err
			}
			c.Knowledge = *known
		}
	} else {
		c.Waivers = s.book.Waivers
		p.from = answerOf(touchstone.Decide(s.book.Rules, c), false)
	}
	c.Waivers, c.Question.Place = s.waivers, s.mapped(&c.Question.Place)
	p.to = answerOf(touchstone.Decide(s.rules, c), false)
	return nil
}

// answerOf is the verdict of a decision, by the artifact and its settings alone
// where it is there already.
func answerOf(d touchstone.Decision, there bool) answer {
	a := answer{verdict: touchstone.Allowed}
	for i := range d.Reasons {
		why := &d.Reasons[i]
		if there && ofTheRoad(why.Rule) {
			continue
		}
		switch {
		case why.Refuses():
			a.verdict = touchstone.Refused
		case !why.Stalls():
			continue
		case a.verdict == touchstone.Allowed:
			a.verdict = touchstone.Undecided
		}
		a.stops = append(a.stops, why.Rule)
	}
	return a
}

// ofTheRoad reports whether the rule is about how an artifact comes to a place.
func ofTheRoad(rule string) bool {
	return slices.Contains([]string{"promoted", "soak", "approvals", "frozen"}, rule)
}
