package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// ran says how a digest came into a workload.
type ran struct {
	Decision string    `json:"decision,omitempty"` // id
	At       time.Time `json:"at"`
	Taken    bool      `json:"taken,omitempty"`   // it ran before the gate was there
	Glass    bool      `json:"glass,omitempty"`   // by a person's break-glass: no later start is a restart
	Against  bool      `json:"against,omitempty"` // in report mode, although it was refused: likewise
}

// letIn is what the history of a decision says of it.
func (r *ran) letIn() *touchstone.LetIn {
	if r == nil || r.Glass || r.Against {
		return nil
	}
	return &touchstone.LetIn{Decision: r.Decision, At: r.At, Taken: r.Taken}
}

// workloadKey names a container of a workload.
func workloadKey(cluster, namespace string, w touchstone.Workload) string {
	return strings.Join([]string{cluster, namespace, w.Kind, w.Name, w.Container}, "/")
}

// ranKey names a digest in a workload. What the workload sets of power is part of
// it: an image that was let in is another thing once it is to be privileged.
func ranKey(p *touchstone.Place, w touchstone.Workload, s *touchstone.Settings, artifact string) string {
	key := workloadKey(p.Cluster, p.Namespace, w)
	if s.User != "" || s.Privileged || len(s.Capabilities)+len(s.Host) > 0 {
		powers := fmt.Sprint(s.User, s.Privileged, slices.Sorted(slices.Values(s.Capabilities)), slices.Sorted(slices.Values(s.Host)))
		key += "/" + digestOf([]byte(powers)).Short()
	}
	return key + " " + artifact
}

func (a *asking) ranKey() string {
	q := &a.r.Question
	return ranKey(&q.Place, q.Workload, &q.Settings, a.key)
}

// ranBefore returns what is known of a digest in a workload, or nil.
func (d *Door) ranBefore(ctx context.Context, key string) (*ran, error) {
	if r, ok := d.ran.get(key); ok {
		return r, nil
	}
	r, _, err := record.Get[ran](ctx, d.c.Store, factRan, key)
	switch {
	case errors.Is(err, record.ErrNotFound):
		d.ran.put(key, nil, int64(150+len(key)))
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking what was let in before: %w", err)
	}
	d.ran.put(key, &r, int64(200+len(key)))
	return &r, nil
}

// entered is what is to be remembered of a digest that comes into a workload; nil
// when that is known already.
func (a *asking) entered(one *decided, admit bool) *ran {
	if !admit || a.key == "" || a.r.Question.Workload.Name == "" || a.history.LetIn != nil {
		return nil
	}
	now := &ran{Decision: one.ID, At: a.g.now, Glass: a.r.History.Glass != nil, Against: one.Verdict != touchstone.Allowed}
	if b := a.before; b != nil && b.Glass == now.Glass && b.Against == now.Against {
		return nil
	}
	return now
}

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
	if a.before, err = a.ranBefore(ctx, a.ranKey()); err != nil {
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
