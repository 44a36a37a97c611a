package gate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// modes says where the rules are enforced. It holds every fact "mode"; the one
// with an empty namespace says since when the gate knows the cluster.
type modes struct {
	mu      sync.RWMutex
	enforce bool // where nobody has said anything
	all     map[string]Mode
	changed atomic.Uint64 // how often any was set
}

func newModes(enforce bool) *modes { return &modes{enforce: enforce, all: map[string]Mode{}} }

func modeKey(cluster, namespace string) string { return cluster + "/" + namespace }

func (m *modes) of(cluster, namespace string) Mode {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if mode, ok := m.all[modeKey(cluster, namespace)]; ok && namespace != "" {
		return mode
	}
	return Mode{Cluster: cluster, Namespace: namespace, Enforced: m.enforce}
}

// installed is since when the gate knows the cluster; zero for never.
func (m *modes) installed(cluster string) time.Time {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.all[modeKey(cluster, "")].Since
}

func (m *modes) set(mode Mode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[modeKey(mode.Cluster, mode.Namespace)] = mode
	m.changed.Add(1)
}

func (d *Door) loadModes(ctx context.Context) error {
	for m, err := range record.List[Mode](ctx, d.c.Store, record.FactQuery{Kind: factMode}) {
		if err != nil {
			return err
		}
		d.modes.set(m.Content)
	}
	return nil
}

// Mode says whether the rules are enforced in a namespace.
func (d *Door) Mode(ctx context.Context, cluster, namespace string) (Mode, error) {
	if err := d.load(ctx); err != nil {
		return Mode{}, err
	}
	return d.modes.of(cluster, namespace), nil
}

// ModeChanges counts how often the mode of any namespace was set: while it stays, so
// do the modes.
func (d *Door) ModeChanges() uint64 { return d.modes.changed.Load() }

// Modes lists the namespaces that somebody has set or in which something runs, in
// the order of their names; those of every cluster when none is named.
func (d *Door) Modes(ctx context.Context, cluster string) ([]Mode, error) {
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	found := map[string]Mode{}
	for _, o := range d.observed.list() {
		found[modeKey(o.Place.Cluster, o.Place.Namespace)] = d.modes.of(o.Place.Cluster, o.Place.Namespace)
	}
	d.modes.mu.RLock()
	for key, m := range d.modes.all {
		if m.Namespace != "" {
			found[key] = m
		}
	}
	d.modes.mu.RUnlock()
	var out []Mode
	for _, m := range found {
		if cluster == "" || m.Cluster == cluster {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b Mode) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace))
	})
	return out, nil
}

// Switch asks for a namespace's rules to be enforced, or only reported.
type Switch struct {
	Actor     string
	Cluster   string
	Namespace string
	Enforce   bool
	Anyway    bool // although something there is unscanned or undecided
	Reason    string
}

// SetMode switches a namespace. It does not begin to enforce while anything that
// runs there is unscanned or undecided, unless that is wanted anyway: then
// nothing is switched, and inTheWay lists what it is. What runs at the switch from
// reporting is taken in: it may start again, and has findings with deadlines.
func (d *Door) SetMode(ctx context.Context, s Switch) (mode Mode, inTheWay []Observed, err error) {
	if s.Namespace == "" {
		return mode, nil, fmt.Errorf("no namespace named\nhint: each namespace is switched by itself")
	}
	if err := d.load(ctx); err != nil {
		return mode, nil, err
	}
	g, err := d.ground(ctx)
	if err != nil {
		return mode, nil, err
	}
	mode = Mode{Cluster: s.Cluster, Namespace: s.Namespace, Enforced: s.Enforce, Since: g.now, By: s.Actor, Reason: s.Reason}
	was := d.modes.of(s.Cluster, s.Namespace)
	if s.Enforce && was.Enforced {
		// Nothing is switched, so nothing is taken in that came past the gate or by a
		// break-glass: neither now nor when it is next observed.
		mode.Since = was.Since
	}
	var facts []record.Fact
	if s.Enforce {
		if facts, inTheWay, err = d.ready(ctx, g, was); err != nil {
			return mode, nil, err
		}
		if len(inTheWay) > 0 && !s.Anyway {
			return was, inTheWay, nil
		}
	}
	fact, err := record.Put(factMode, modeKey(s.Cluster, s.Namespace), mode)
	if err != nil {
		return mode, nil, err
	}
	unready := make([]string, 0, len(inTheWay))
	for _, o := range inTheWay {
		unready = append(unready, workloadKey("", "", o.Workload)+" "+artifactKey(o.Repository, o.Digest))
	}
	body, err := json.Marshal(struct {
		Mode
		Anyway []string `json:"anyway,omitempty"` // what was unscanned or undecided
	}{mode, unready})
	if err != nil {
		return mode, nil, err
	}
	change := record.Change{
		ID: record.NewID(g.now), Kind: "mode", Actor: s.Actor, About: modeKey(s.Cluster, s.Namespace), Body: body, Facts: append(facts, fact),
	}
	if _, err := d.c.Store.Commit(ctx, change); err != nil {
		return mode, nil, fmt.Errorf("switching the namespace %s: %w", s.Namespace, err)
	}
	d.remember(change.Facts)
	d.modes.set(mode)
	return mode, inTheWay, nil
}

// ready lists what of a namespace is unscanned or undecided, and the facts by which
// what runs there is taken in once it is no longer only reported on.
func (d *Door) ready(ctx context.Context, g *ground, was Mode) (facts []record.Fact, inTheWay []Observed, err error) {
	for _, o := range d.observed.in(was.Cluster, was.Namespace) {
		if err := d.judgeNow(ctx, g, &o); err != nil {
			return nil, nil, err
		}
		if !o.Seen || o.Verdict == touchstone.Undecided {
			inTheWay = append(inTheWay, o)
		}
		if was.Enforced {
			continue
		}
		taken, err := d.takeIn(ctx, &o)
		if err != nil {
			return nil, nil, err
		}
		facts = append(facts, taken...)
	}
	return facts, inTheWay, nil
}

// takeIn returns the fact that what runs may start again; none where that is known.
func (d *Door) takeIn(ctx context.Context, o *Observed) ([]record.Fact, error) {
	if !o.Digest.Valid() || o.Repository == "" {
		return nil, nil
	}
	before, err := d.arrived(ctx, &o.Place, o.Workload, &o.Settings, o.artifact())
	if err != nil || before.letIn() != nil && !before.otherwise {
		return nil, err
	}
	f, err := record.Put(factRan, before.key, ran{At: o.Since, Taken: true, Command: before.command})
	return []record.Fact{f}, err
}

// remember puts facts "ran" that were written where they are looked for.
func (d *Door) remember(facts []record.Fact) {
	for _, f := range facts {
		now := &ran{}
		if f.Kind == factRan && json.Unmarshal(f.Value, now) == nil {
			d.ran.put(f.Key, now, int64(200+len(f.Key)))
		}
	}
}
