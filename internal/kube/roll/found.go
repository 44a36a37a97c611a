package roll

import (
	"context"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// found is what is found on what runs, looked up now and then.
type found struct {
	mu    sync.Mutex
	at    time.Time
	all   map[rehydrate.Identity]finding
	built map[string]time.Time // by repository@digest: an image does not change
}

// finding is what is found on one workload.
type finding struct {
	drifted, overdue time.Time
	what             string
	base             string
	built            time.Time
}

// lookEvery is how often what is found is looked up.
const lookEvery = time.Minute

// look returns what is found on each workload.
func (f *found) look(ctx context.Context, from Found, cluster string, now time.Time) (map[rehydrate.Identity]finding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from == nil || f.all != nil && now.Sub(f.at) < lookEvery && !now.Before(f.at) {
		return f.all, nil
	}
	if f.built == nil {
		f.built = map[string]time.Time{}
	}
	all := map[rehydrate.Identity]finding{}
	const page = 1 << 20 // each page is put together from everything
	running, _, err := from.RunningNow(ctx, gate.RunningQuery{Cluster: cluster, Limit: page})
	if err != nil {
		return nil, err
	}
	for i := range running {
		o := &running[i]
		id := rehydrate.Identity{Cluster: o.Place.Cluster, Namespace: o.Place.Namespace, Kind: o.Workload.Kind, Name: o.Workload.Name}
		one := all[id]
		one.take(o.Findings, now)
		if built := f.age(ctx, from, o); !built.IsZero() && (one.built.IsZero() || built.Before(one.built)) {
			one.built = built
		}
		all[id] = one
	}
	f.all, f.at = all, now
	return all, nil
}

// age returns when the image of what runs was built; zero where nobody can tell yet.
func (f *found) age(ctx context.Context, from Found, o *gate.Observed) time.Time {
	if o.Repository == "" || !o.Seen {
		return time.Time{}
	}
	key := o.Repository + "@" + string(o.Digest)
	if built, ok := f.built[key]; ok {
		return built
	}
	built, err := from.Built(ctx, o.Repository, o.Digest)
	if err != nil {
		return time.Time{}
	}
	f.built[key] = built
	return built
}

// take adds findings. What a guard has seen to differ is drift: a restart mends it.
func (f *finding) take(all []touchstone.Finding, now time.Time) {
	earlier := func(t *time.Time, by time.Time) bool {
		if t.IsZero() || by.Before(*t) {
			*t = by
			return true
		}
		return false
	}
	for i := range all {
		one := &all[i]
		switch {
		case one.Rule == touchstone.RuleChange || one.Rule == touchstone.RuleRunUnknown:
			earlier(&f.drifted, one.Since)
		case one.Rule == "old-base":
			f.base = one.Thing
			if f.base == "" {
				f.base = "a newer one is approved"
			}
		case !one.Deadline.IsZero() && now.After(one.Deadline):
			if earlier(&f.overdue, one.Deadline) {
				f.what = one.Rule + " " + one.Thing
			}
		}
	}
}
