package gate

import (
	"context"
	"fmt"
	"slices"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// usual is how many a page has when nobody says.
const usual = 100

func pageSize(n int) int {
	if n <= 0 {
		return usual
	}
	return n
}

// DecisionQuery selects decisions. Empty fields select all.
type DecisionQuery struct {
	Artifact    string // "repository", "sha256:…" or "repository@sha256:…"
	Environment string
	Namespace   string
	Verdict     touchstone.Verdict
	Workload    string // "Deployment cart"
	After       string // what a page before has returned as next
	Limit       int    // 100 when zero
}

// Decisions lists decisions, the newest first. next goes on after this page, and
// is empty on the last.
func (d *Door) Decisions(ctx context.Context, q DecisionQuery) (page []Decided, next string, err error) {
	f := record.FactQuery{Kind: factDecision, After: q.After, Descending: true, Limit: pageSize(q.Limit) + 1}
	for _, tag := range [][2]string{
		{"artifact:", q.Artifact}, {"env:", q.Environment}, {"ns:", q.Namespace}, {"verdict:", string(q.Verdict)}, {"workload:", q.Workload},
	} {
		if tag[1] != "" {
			f.Tags = append(f.Tags, tag[0]+tag[1])
		}
	}
	return paged[Decided](ctx, d.c.Store, f)
}

// SeenArtifacts lists what was seen, in the order of repository and digest; those
// of the repositories whose name begins so. Each image of an index is one of its
// own.
func (d *Door) SeenArtifacts(ctx context.Context, prefix, after string, limit int) (page []Seen, next string, err error) {
	return paged[Seen](ctx, d.c.Store, record.FactQuery{Kind: factSeen, Prefix: prefix, After: after, Limit: pageSize(limit) + 1})
}

// Scans lists what waits to be scanned, is scanned, or has failed, in the order of
// repository and digest.
func (d *Door) Scans(ctx context.Context, after string, limit int) (page []Scan, next string, err error) {
	return paged[Scan](ctx, d.c.Store, record.FactQuery{Kind: factScan, After: after, Limit: pageSize(limit) + 1})
}

// paged reads a page, and one more to know whether there is a next.
func paged[T any](ctx context.Context, s record.Store, q record.FactQuery) (page []T, next string, err error) {
	last := ""
	for f, err := range record.List[T](ctx, s, q) {
		if err != nil {
			return nil, "", err
		}
		if len(page) == q.Limit-1 {
			return page, last, nil
		}
		page, last = append(page, f.Content), f.Key
	}
	return page, "", nil
}

// RunningQuery selects what runs. Empty fields select all.
type RunningQuery struct {
	Cluster   string
	Namespace string
	Owner     string // of the place
	After     string // what a page before has returned as next
	Limit     int    // 100 when zero
}

// RunningNow lists what runs and what is found on it, in the order of cluster,
// namespace, kind, name and container.
func (d *Door) RunningNow(ctx context.Context, q RunningQuery) (page []Observed, next string, err error) {
	if err := d.load(ctx); err != nil {
		return nil, "", err
	}
	for _, o := range d.observed.list() {
		key := o.key()
		if key <= q.After || q.Cluster != "" && o.Place.Cluster != q.Cluster || q.Namespace != "" && o.Place.Namespace != q.Namespace ||
			q.Owner != "" && o.Place.Owner != q.Owner {
			continue
		}
		if len(page) == pageSize(q.Limit) {
			return page, page[len(page)-1].key(), nil
		}
		if err := d.fill(ctx, &o); err != nil {
			return nil, "", err
		}
		page = append(page, o)
	}
	return page, "", nil
}

// fill adds what is known beside what was observed.
func (d *Door) fill(ctx context.Context, o *Observed) error {
	o.Findings = d.observed.on(o)
	if o.Repository == "" || !o.Digest.Valid() {
		o.Problem = "nobody knows yet which digest it runs"
		return nil
	}
	seen, err := d.look(ctx, o.artifact())
	if err != nil {
		return err
	}
	o.Seen = seen != nil
	if s, _, ok := d.queue.find(o.artifact()); ok && !o.Seen {
		o.Problem = s.Problem
	}
	before, err := d.arrived(ctx, &o.Place, o.Workload, &o.Settings, o.artifact())
	if before.ran != nil {
		o.Decision, o.Taken = before.ran.Decision, before.ran.Taken
	}
	return err
}

// judgeNow fills in what is known, and what something new would get there now.
func (d *Door) judgeNow(ctx context.Context, g *ground, o *Observed) error {
	if err := d.fill(ctx, o); err != nil || !o.Seen {
		return err
	}
	dec, err := d.asNew(ctx, g, o.artifact(), o.question(touchstone.OccasionAdmit))
	if err != nil {
		return fmt.Errorf("judging what runs in %s: %w", o.Place.Namespace, err)
	}
	if o.Seen = dec != nil; o.Seen {
		o.Verdict, o.Failing = dec.Verdict, slices.Clone(dec.Refusing())
	}
	return nil
}
