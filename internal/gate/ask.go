package gate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// Ask answers a request. A reference that cannot be one is ErrReference; what fails
// on the way is part of the decision. An error lets nothing in.
func (d *Door) Ask(ctx context.Context, r Request) (*Answer, error) {
	n, err := parse(r.Reference)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	for range 3 {
		a := &asking{Door: d, r: &r, n: n}
		answer, err := a.answer(ctx)
		if !errors.Is(err, record.ErrConflict) {
			return answer, err
		}
		// Another pod of the owner got its digest first: this one gets the same.
	}
	return nil, fmt.Errorf("asking about %s: %w", n.name(), record.ErrConflict)
}

// asking is one request on its way to an answer.
type asking struct {
	*Door
	r       *Request
	n       named
	g       *ground
	digest  touchstone.Digest
	key     string // repository@digest
	pinned  bool   // the owner's pods have the digest already
	seen    *Seen  // nil while it was not seen
	scan    *queued
	fresh   atomic.Pointer[queued] // the scan, while it is to be written down with the answer
	problem string
	lie     string  // how the artifact contradicts itself
	before  arrival // of this digest into this workload
	history touchstone.History
	mode    Mode
}

func (a *asking) answer(ctx context.Context) (*Answer, error) {
	var err error
	if a.g, err = a.ground(ctx); err != nil {
		return nil, err
	}
	a.mode = Mode{Enforced: true}
	if atDoor(a.r.Question.Occasion) {
		a.mode = a.modes.of(a.r.Question.Place.Cluster, a.r.Question.Place.Namespace)
	}
	if err := a.settle(ctx); err != nil {
		return nil, err
	}
	if err := a.find(ctx); err != nil {
		return nil, err
	}
	if a.history, err = a.past(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if e := a.fresh.Swap(nil); e != nil {
			a.queue.settle(e, false) // whoever waits for it writes it down instead
		}
	}()
	one, led, err := a.decided(ctx)
	if errors.Is(err, errLost) {
		if err := a.enqueue(ctx); err != nil {
			return nil, err
		}
		one, led, err = a.decided(ctx)
	}
	if err == nil && !led {
		err = a.write(ctx, a.admission(one))
	}
	switch {
	case err != nil && (errors.Is(err, record.ErrConflict) || ctx.Err() != nil):
		return nil, err
	case err != nil:
		a.c.Log.Error("a decision cannot be written down", "artifact", a.key, "error", err)
		one = a.unwritten(err)
	default:
		a.settled(one)
	}
	return a.told(one), nil
}

// atDoor reports whether the occasion is one at a cluster's door, where a
// namespace may be in report mode.
func atDoor(o touchstone.Occasion) bool {
	return o == touchstone.OccasionAdmit || o == touchstone.OccasionRestart || o == touchstone.OccasionLogin
}

// settle finds the digest that is asked about: the one that is given, the one
// that the owner's pods have, what the tag stands for, or what runs.
func (a *asking) settle(ctx context.Context) error {
	a.digest = a.n.digest
	if a.digest == "" && a.r.Owner != "" {
		pin, err := a.pin(ctx)
		if err != nil {
			return err
		}
		a.digest, a.pinned = pin, pin != ""
	}
	if a.digest == "" {
		digest, problem := a.resolver.resolve(ctx, a.n, a.r.Credential)
		if problem != "" {
			digest = a.standsFor()
		}
		if a.digest = digest; digest == "" {
			a.problem = "the tag cannot be resolved: " + problem
			return nil
		}
	}
	a.key = artifactKey(a.n.repository, a.digest)
	return nil
}

// standsFor returns the digest at which the workload runs under this very tag:
// what runs as 1.3 never stands for 1.4.
func (a *asking) standsFor() touchstone.Digest {
	place := &a.r.Question.Place
	for _, o := range a.observed.of(place.Cluster, place.Namespace, a.r.Question.Workload) {
		n, err := parse(o.Reference)
		same := err == nil && n.repository == a.n.repository && n.tag == a.n.tag
		switch {
		case same && o.Digest.Valid():
			return o.Digest
		case !same && o.Digest == a.r.Runs:
			return ""
		}
	}
	if a.r.Runs.Valid() {
		return a.r.Runs
	}
	return ""
}

func (a *asking) pinKey() string { return a.r.Owner + "\n" + a.n.name() }

func (a *asking) pin(ctx context.Context) (touchstone.Digest, error) {
	if p, ok := a.pins.get(a.pinKey()); ok {
		return p, nil
	}
	p, _, err := record.Get[touchstone.Digest](ctx, a.c.Store, factPin, a.pinKey())
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return "", fmt.Errorf("looking what the owner of the pod runs: %w", err)
	}
	if p != "" {
		a.pins.put(a.pinKey(), p, int64(200+len(a.pinKey())))
	}
	return p, nil
}

// find looks whether the artifact was seen, and has it scanned where it was not.
func (a *asking) find(ctx context.Context) error {
	if a.problem != "" {
		return nil
	}
	var err error
	if a.seen, err = a.look(ctx, a.key); err != nil || a.seen != nil {
		return err
	}
	return a.enqueue(ctx)
}

// enqueue has the artifact scanned, and says what is known of that meanwhile. No
// scan is waited for.
func (a *asking) enqueue(ctx context.Context) error {
	lost := a.seen != nil
	a.seen = nil
	if a.r.DryRun {
		if s, e, ok := a.queue.find(a.key); ok {
			a.scan = e
			a.meanwhile(&s)
		}
		return nil
	}
	s := Scan{
		Repository: a.n.repository, Digest: a.digest, Reference: a.n.pinned(a.digest), State: ScanWaiting, Queued: a.g.now,
		Credential: a.r.Credential, By: a.r.Question.Place.Namespace,
	}
	if s.By == "" {
		s.By = a.r.Actor
	}
	for {
		e, fresh, ok := a.queue.reserve(s)
		switch {
		case !ok:
			a.problem = "it was not seen before, and too many others wait to be inspected already\nhint: try again in a minute"
			return nil
		case !fresh:
			written, err := a.queue.await(ctx, e)
			if err != nil {
				return err
			}
			if !written {
				continue
			}
			a.queue.want(e, s.Credential, a.g.now)
			now, _, ok := a.queue.find(a.key)
			if !ok {
				continue // it ended just now
			}
			a.scan = e
			a.meanwhile(&now)
			return nil
		}
		if !lost { // a scan may have ended since the look
			seen, err := a.look(ctx, a.key)
			if err != nil || seen != nil {
				a.seen = seen
				a.queue.settle(e, false)
				return err
			}
		}
		a.scan = e
		a.fresh.Store(e)
		return nil
	}
}

// meanwhile says what a scan that has not ended has found out.
func (a *asking) meanwhile(s *Scan) {
	switch {
	case s.Problem == "":
	case s.False:
		a.lie = s.Problem
	default:
		a.problem = "it cannot be pulled: " + s.Problem
	}
}

// artifact is what is asked about, as far as it is known.
func (a *asking) artifact() touchstone.Artifact {
	name := a.n.name()
	if a.seen != nil && len(a.seen.Platforms) > 0 {
		return a.seen.artifact(a.n, &a.seen.Platforms[0])
	}
	return touchstone.Artifact{Name: name, Kind: touchstone.KindImage, Digest: a.digest}
}

// told is the answer.
func (a *asking) told(one *decided) *Answer {
	pinned := a.r.Reference
	if a.digest != "" {
		pinned = a.n.pinned(a.digest)
	}
	return &Answer{
		ID: one.ID, Artifact: one.artifact, Pinned: pinned, Scanning: a.scan != nil && a.problem == "",
		Decision: one.decision, Enforced: a.mode.Enforced,
	}
}

// settled does what follows from an answer that is written down.
func (a *asking) settled(one *decided) {
	a.figures.count(one.Verdict)
	if a.r.DryRun || !waits(a.r) {
		return
	}
	if a.scan == nil {
		if a.mode.Enforced && one.Verdict != touchstone.Allowed {
			a.refused.put(a.r, one.Verdict == touchstone.Undecided, a.g.now)
		}
		return
	}
	if _, _, waiting := a.queue.find(a.key); !waiting { // it ended while this was written down
		a.tellSoon(a.key)
	}
}
