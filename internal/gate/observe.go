package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// mostFacts is how many facts one commit of a snapshot holds, so that nobody at
// the door waits for a long one.
const mostFacts = 200

// Observe takes in everything that runs in a cluster, as of one moment: what is
// new is scanned and judged, what is gone is forgotten.
//
// What ran before the gate knew the cluster, or runs while its namespace is only
// reported on, is taken in: it may start again. What runs and was never asked
// about is a finding of the rule admission.
func (d *Door) Observe(ctx context.Context, cluster string, all []Running) error {
	if err := d.load(ctx); err != nil {
		return err
	}
	// Then only what a change of the advisories affects is judged anew below.
	if _, err := d.Reconsider(ctx); err != nil {
		d.c.Log.Error("what a change of the advisories affects cannot be told, so that everything is judged anew", "error", err)
	}
	d.observed.observing.Lock()
	defer d.observed.observing.Unlock()
	g, err := d.ground(ctx)
	if err != nil {
		return err
	}
	s := &snapshot{Door: d, g: g, cluster: cluster}
	if err := s.installed(); err != nil {
		return err
	}
	if err := s.clear(ctx, all); err != nil {
		return err
	}
	now := together(cluster, all)
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if err := s.take(ctx, now[key]); err != nil {
			return fmt.Errorf("taking in %s: %w", key, err)
		}
		if len(s.facts) >= mostFacts {
			if err := s.commit(ctx); err != nil {
				return err
			}
		}
	}
	for _, o := range d.observed.list() {
		if _, runs := now[o.key()]; !runs && o.Place.Cluster == cluster {
			s.facts = append(s.facts, record.Fact{Kind: factRunning, Key: o.key()})
			s.gone++
			s.after = append(s.after, func() { d.observed.remove(o.key()) })
		}
	}
	if err := s.age(now); err != nil {
		return err
	}
	return s.commit(ctx)
}

// snapshot is one Observe on its way.
type snapshot struct {
	*Door
	g       *ground
	cluster string
	facts   []record.Fact
	after   []func()  // what to remember once the facts are written
	queued  []*queued // scans whose facts are among them
	ended   []*taint  // whose facts are taken away
	came    int
	gone    int
}

// installed notes since when the gate knows the cluster.
func (s *snapshot) installed() error {
	if !s.modes.installed(s.cluster).IsZero() {
		return nil
	}
	m := Mode{Cluster: s.cluster, Enforced: s.c.Enforce, Since: s.g.now, By: self, Reason: "first sight of the cluster"}
	f, err := record.Put(factMode, modeKey(s.cluster, ""), m)
	s.facts = append(s.facts, f)
	s.modes.set(m) // what runs now is taken in by it; were it not written it would be set anew
	return err
}

// together makes one of the pods that run the same in the same workload: the one
// that came first stands for them.
func together(cluster string, all []Running) map[string]*Observed {
	out := make(map[string]*Observed, len(all))
	for _, r := range all {
		r.Place.Cluster, r.Place.Node = cluster, ""
		o := &Observed{Running: r}
		if n, err := parse(r.Reference); err == nil {
			o.Repository = n.repository
			if o.Digest == "" {
				o.Digest = n.digest
			}
		}
		old, ok := out[o.key()]
		if !ok || o.Since.Before(old.Since) || o.Since.Equal(old.Since) && o.Pod < old.Pod {
			out[o.key()] = o
		}
	}
	return out
}

// take takes in one container.
func (s *snapshot) take(ctx context.Context, o *Observed) error {
	s.observed.mu.RLock()
	old, was := s.observed.all[o.key()], s.observed.judged[o.key()]
	s.observed.mu.RUnlock()
	findings := s.observed.on(o)
	if o.Repository != "" && o.Digest.Valid() {
		past, err := s.admitted(ctx, o)
		if err != nil {
			return err
		}
		seen, err := s.look(ctx, o.artifact())
		if err != nil {
			return err
		}
		switch {
		case seen == nil:
			s.scanLater(o)
		case old != nil && was.ground == s.g.id() && was.seq == seen.seq && (was.until.IsZero() || s.g.now.Before(was.until)):
			o.Verdict, o.Failing = old.Verdict, old.Failing
		default:
			findings, err = s.judge(ctx, o, seen)
			if errors.Is(err, errLost) {
				s.scanLater(o)
			} else if err != nil {
				return err
			}
		}
		findings = append(findings, past...)
	}
	if err := s.find(o, findings); err != nil {
		return err
	}
	if old != nil && same(old, o) {
		return nil
	}
	if old == nil {
		s.came++
	}
	f, err := record.Put(factRunning, o.key(), o, "ns:"+o.Place.Namespace, "artifact:"+o.artifact(), "owner:"+o.Place.Owner)
	s.facts = append(s.facts, f)
	s.after = append(s.after, func() { s.observed.put(o) })
	return err
}

// same reports whether what runs is as it was written down.
func same(a, b *Observed) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(one, other)
}

// scanLater has something scanned when nobody waits. What finds no room is met
// again with the next snapshot.
func (s *snapshot) scanLater(o *Observed) {
	if o.Repository == "" || !o.Digest.Valid() {
		return
	}
	if _, _, waits := s.queue.find(o.artifact()); waits {
		return
	}
	scan := Scan{
		Repository: o.Repository, Digest: o.Digest, Reference: o.artifact(), State: ScanWaiting, Queued: s.g.now,
		Credential: o.Credential, By: o.Place.Namespace, Background: true,
	}
	e, fresh, ok := s.queue.reserve(scan)
	if !ok || !fresh {
		return
	}
	f, err := scan.fact()
	if err != nil {
		s.queue.settle(e, false)
		return
	}
	s.facts = append(s.facts, f)
	s.queued = append(s.queued, e)
}

// admitted looks how the digest came into the workload: let in, taken in now, or
// past the gate, which is a finding.
func (s *snapshot) admitted(ctx context.Context, o *Observed) ([]touchstone.Finding, error) {
	mode := s.modes.of(s.cluster, o.Place.Namespace)
	before, err := s.arrived(ctx, &o.Place, o.Workload, &o.Settings, o.artifact())
	if err != nil || before.letIn() != nil && !before.otherwise {
		return nil, err
	}
	if !mode.Enforced || s.before(o, s.modes.installed(s.cluster)) || s.before(o, mode.Since) {
		facts, err := s.takeIn(ctx, o)
		s.facts = append(s.facts, facts...)
		s.after = append(s.after, func() { s.remember(facts) })
		return nil, err
	}
	if before.ran != nil {
		return nil, nil
	}
	thing := "it was never asked about"
	if o.Static {
		thing = "it is a static pod, which no API server admits"
	}
	return []touchstone.Finding{{Rule: RuleAdmission, Thing: thing, Since: s.g.now}}, nil
}

// dayOne is how long after the gate came to a cluster, or to enforce a namespace,
// something is found that ran there before. Later that is somebody's word: whoever
// may write the status of an old pod can have it run any digest.
const dayOne = 24 * time.Hour

// before reports whether it ran before the gate came, and is found in time.
//
// Kubernetes tells the second at which something was started, cut off: what came in the
// same second as the gate may have come after it.
func (s *snapshot) before(o *Observed, came time.Time) bool {
	return o.Since.Before(came.Truncate(time.Second)) && s.g.now.Sub(came) < dayOne
}

// find notes what fails.
func (s *snapshot) find(o *Observed, list []touchstone.Finding) error {
	f, changed, err := s.observed.finding(&o.Place, o.Workload, o.artifact(), list)
	if err != nil || !changed {
		return err
	}
	s.facts = append(s.facts, f)
	s.after = append(s.after, func() { s.observed.found(&o.Place, o.Workload, o.artifact(), list) })
	return nil
}

// judge asks what something new would get there, and returns what fails on what
// runs.
func (s *snapshot) judge(ctx context.Context, o *Observed, seen *Seen) ([]touchstone.Finding, error) {
	before, err := s.arrived(ctx, &o.Place, o.Workload, &o.Settings, o.artifact())
	if err != nil {
		return nil, err
	}
	all, err := s.inspected(seen, named{repository: o.Repository, digest: o.Digest})
	if err != nil {
		return nil, err
	}
	promotions, err := s.c.Road.Promotions(ctx, o.Repository, o.Digest)
	if err != nil {
		return nil, fmt.Errorf("reading the promotions of %s: %w", o.artifact(), err)
	}
	h := touchstone.History{Kept: true, Promotions: promotions, Freezes: s.g.book.Freezes}
	_, asNew, err := s.worst(ctx, s.g, all, o.question(touchstone.OccasionAdmit), h)
	if err != nil {
		return nil, err
	}
	h.LetIn, h.Findings = before.letIn(), s.observed.open(s.cluster, o.Place.Namespace, o.artifact())
	_, runs, err := s.worst(ctx, s.g, all, o.question(touchstone.OccasionRunning), h)
	if err != nil {
		return nil, err
	}
	o.Verdict, o.Failing = asNew.Verdict, asNew.Refusing()
	until := asNew.Until
	if until.IsZero() || !runs.Until.IsZero() && runs.Until.Before(until) {
		until = runs.Until
	}
	key, ground := o.key(), judgement{s.g.id(), seen.seq, until}
	s.after = append(s.after, func() {
		s.observed.mu.Lock()
		s.observed.judged[key] = ground
		s.observed.mu.Unlock()
	})
	return slices.Clone(runs.Findings), nil
}

func (o *Observed) question(why touchstone.Occasion) touchstone.Question {
	return redacted(touchstone.Question{Occasion: why, Place: o.Place, Workload: o.Workload, Settings: o.Settings})
}

// age notes since when things with findings no longer run, and forgets those that
// have been gone for long.
func (s *snapshot) age(now map[string]*Observed) error {
	s.observed.mu.RLock()
	findings := maps.Clone(s.observed.findings)
	s.observed.mu.RUnlock()
	for _, key := range slices.Sorted(maps.Keys(findings)) {
		f := *findings[key]
		if _, runs := now[key]; runs || f.Cluster != s.cluster {
			continue
		}
		switch {
		case f.Gone.IsZero():
			f.Gone = s.g.now
		case s.g.now.Sub(f.Gone) > forgetAfter:
			f.Findings = nil
		default:
			continue
		}
		fact := record.Fact{Kind: factFinding, Key: key}
		if len(f.Findings) > 0 {
			var err error
			if fact, err = record.Put(factFinding, key, f); err != nil {
				return err
			}
		}
		s.facts = append(s.facts, fact)
		s.after = append(s.after, func() { s.observed.putFound(key, &f) })
	}
	return nil
}

// commit writes down what was collected, and then remembers it.
func (s *snapshot) commit(ctx context.Context) error {
	var err error
	if len(s.facts) > 0 {
		var body []byte
		body, err = json.Marshal(map[string]any{"cluster": s.cluster, "came": s.came, "gone": s.gone, "queued": len(s.queued)})
		if err == nil {
			_, err = s.c.Store.Commit(ctx, record.Change{
				ID: record.NewID(s.g.now), Kind: "observed", Actor: self, About: s.cluster, Body: body, Facts: s.facts,
			})
		}
	}
	for _, e := range s.queued {
		s.queue.settle(e, err == nil)
	}
	if err != nil {
		for _, t := range s.ended {
			s.observed.taint(t)
		}
		s.ended = nil
		return fmt.Errorf("writing down what runs: %w", err)
	}
	for _, f := range s.after {
		f()
	}
	s.facts, s.after, s.queued, s.ended, s.came, s.gone = nil, nil, nil, nil, 0, 0
	return nil
}
