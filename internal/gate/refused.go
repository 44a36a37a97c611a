package gate

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// A workload that was refused would not ask again for minutes. Those refused lately
// are asked about again when people have put something right (a promotion, an
// approval, a waiver, other rules); and now and then those about whom nothing could
// be decided, because registries and secrets are put right elsewhere.
const (
	mostRefused  = 1024
	refusedFor   = time.Hour
	lookForDone  = 3 * time.Second
	lookForCause = 30 * time.Second
)

// puttingRight are the kinds of entry after which what was refused may be let in.
func puttingRight() []string {
	return []string{"promotion", "approval", "waiver", "thaw", "rules", "mode"}
}

// refusals are the requests that were refused lately, in memory alone: after a
// restart owners ask again by themselves.
type refusals struct {
	mu  sync.Mutex
	all map[string]refusal // by what asks
}

type refusal struct {
	request   Request
	undecided bool
	at        time.Time
}

// put remembers a request that was refused. Beyond the bound the oldest is
// forgotten.
func (f *refusals) put(r *Request, undecided bool, now time.Time) {
	q := &r.Question
	key, err := json.Marshal([]any{q.Place.Cluster, q.Place.Namespace, q.Workload, r.Owner})
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]refusal{}
	}
	f.all[string(key)] = refusal{*r, undecided, now}
	if len(f.all) <= mostRefused {
		return
	}
	oldest := ""
	for k, one := range f.all {
		if oldest == "" || one.at.Before(f.all[oldest].at) {
			oldest = k
		}
	}
	delete(f.all, oldest)
}

// lately returns those that are not too old, the first refused first, and forgets
// the others.
func (f *refusals) lately(now time.Time) map[string]refusal {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]refusal, len(f.all))
	for key, one := range f.all {
		if now.Sub(one.at) > refusedFor {
			delete(f.all, key)
			continue
		}
		out[key] = one
	}
	return out
}

func (f *refusals) forget(key string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one, ok := f.all[key]; ok && one.at.Equal(at) {
		delete(f.all, key)
	}
}

// watchPeople asks again what was refused lately whenever people have done
// something that may let it in.
func (d *Door) watchPeople(ctx context.Context) {
	var last uint64
	for e, err := range d.c.Store.Entries(ctx, record.EntryQuery{Descending: true, Limit: 1}) {
		if err == nil {
			last = e.Seq
		}
	}
	for n := 1; pause(ctx, nil, lookForDone); n++ {
		done := false
		for e, err := range d.c.Store.Entries(ctx, record.EntryQuery{After: last, Kinds: puttingRight()}) {
			if err != nil {
				break // it is looked at again
			}
			last, done = e.Seq, true
		}
		switch {
		case done:
			d.tellRefused(ctx, func(refusal) bool { return true })
		case n%int(lookForCause/lookForDone) == 0:
			d.tellRefused(ctx, func(r refusal) bool { return r.undecided })
		}
	}
}

// tellRefused tells those who would now be let in, and those about whom something
// can be decided again: when they ask, a scan begins.
func (d *Door) tellRefused(ctx context.Context, which func(refusal) bool) {
	d.telling.Lock()
	listeners := slices.Clone(d.allowed)
	d.telling.Unlock()
	for key, one := range d.refused.lately(d.c.Now()) {
		if !which(one) {
			continue
		}
		r := one.request
		r.DryRun = true
		a, err := d.Ask(ctx, r)
		if err != nil || !a.Admit() && !(one.undecided && a.Decision.Verdict != touchstone.Undecided) {
			continue
		}
		r.DryRun = false
		for _, f := range listeners {
			f(r)
		}
		d.refused.forget(key, one.at)
	}
}
