package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"touchstone.dev/touchstone"
)

// past gathers what happened before, as far as a decision looks at it.
func (a *asking) past(ctx context.Context) (touchstone.History, error) {
	h := a.r.History
	h.Kept = true
	h.Freezes = slices.Concat(a.g.book.Freezes, h.Freezes)
	if a.key == "" {
		return h, nil
	}
	q := &a.r.Question
	var err error
	if h.Promotions, err = a.c.Road.Promotions(ctx, a.n.repository, a.digest); err != nil {
		return h, fmt.Errorf("reading the promotions of %s: %w", a.key, err)
	}
	h.Findings = a.observed.open(q.Place.Cluster, q.Place.Namespace, a.key)
	if !atDoor(q.Occasion) || q.Workload.Name == "" {
		return h, nil
	}
	if a.before, err = a.arrived(ctx, &q.Place, q.Workload, &q.Settings, a.key); err != nil {
		return h, err
	}
	if h.LetIn = a.before.letIn(); h.LetIn != nil {
		return h, nil
	}
	if h.Runs, err = a.runsNow(ctx); err != nil || h.Runs == nil {
		return h, err
	}
	asker, given, err := a.c.Road.Improvement(ctx, q.Workload, q.Place, a.digest)
	if err != nil {
		return h, fmt.Errorf("reading who approved of %s: %w", a.key, err)
	}
	if h.Asker == "" {
		h.Asker = asker
	}
	h.Approvals = slices.Concat(h.Approvals, given)
	return h, nil
}

// runsNow tells what runs in the workload and what would refuse it, so that the
// new artifact can be compared; nil when nothing else runs there, or it was never
// seen.
func (a *asking) runsNow(ctx context.Context) (*touchstone.Runs, error) {
	q := &a.r.Question
	repository, digest := a.n.repository, a.r.Runs
	for _, o := range a.observed.of(q.Place.Cluster, q.Place.Namespace, q.Workload) {
		if o.Digest.Valid() && (digest == "" || digest == o.Digest) {
			repository, digest = o.Repository, o.Digest
			break
		}
	}
	if !digest.Valid() || digest == a.digest {
		return nil, nil
	}
	key := artifactKey(repository, digest)
	asked := *q
	asked.Occasion = touchstone.OccasionAdmit
	failing, ok, err := a.failing(ctx, a.g, key, asked)
	if err != nil || !ok {
		return nil, err
	}
	return &touchstone.Runs{Digest: digest, Failing: failing}, nil
}

// failing returns what would refuse an artifact that was seen, were it new there;
// ok is false when it was not seen, or that is undecided.
func (d *Door) failing(ctx context.Context, g *ground, key string, q touchstone.Question) (failing []string, ok bool, err error) {
	dec, err := d.asNew(ctx, g, key, q)
	if err != nil || dec == nil || dec.Verdict == touchstone.Undecided {
		return nil, false, err
	}
	return append([]string{}, dec.Refusing()...), true, nil
}

// asNew decides about an artifact that was seen as if it were new there. The
// decision is nil when it was not seen.
func (d *Door) asNew(ctx context.Context, g *ground, key string, q touchstone.Question) (*touchstone.Decision, error) {
	s, err := d.look(ctx, key)
	if err != nil || s == nil {
		return nil, err
	}
	repository, digest := cutKey(key)
	promotions, err := d.c.Road.Promotions(ctx, repository, digest)
	if err != nil {
		return nil, fmt.Errorf("reading the promotions of %s: %w", key, err)
	}
	all, err := d.inspected(s, named{repository: repository, digest: digest})
	if errors.Is(err, errLost) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	h := touchstone.History{Kept: true, Promotions: promotions, Freezes: g.book.Freezes}
	_, dec, err := d.worst(ctx, g, all, redacted(q), h)
	return dec, err
}
