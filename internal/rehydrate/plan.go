package rehydrate

import (
	"cmp"
	"slices"
	"time"
)

// Due says of one workload when it is to be replaced, why, and what is done now.
type Due struct {
	Workload *Workload
	// At is when it is due, zero for never; Hard is its deadline, zero for none.
	At, Hard time.Time
	Why      Why
	// Do is what is done now. Where it is nothing and At has come, Hold says what it
	// waits for, until when that lasts (zero where nothing says), and More about it.
	Do    Deed
	Hold  Hold
	Until time.Time
	More  string
	// Forced is true where the deadline is past and was announced in time.
	Forced bool
	// Announce is true where its owner is to be told that the deadline nears.
	Announce bool
	// Rebuild is true where its image is too old, whatever its own age.
	Rebuild bool
}

// Hold is what a workload waits for, or what is in the way.
type Hold string

// The holds, in the order in which they are looked at.
const (
	HoldNone     Hold = ""
	HoldStep     Hold = "under way"
	HoldRest     Hold = "just replaced"
	HoldUnknown  Hold = "unknown age"
	HoldStuck    Hold = "cannot be replaced"
	HoldBare     Hold = "bare pod"
	HoldFreeze   Hold = "freeze"
	HoldWindow   Hold = "window"
	HoldJob      Hold = "job"
	HoldFailed   Hold = "failed before"
	HoldUnready  Hold = "not ready"
	HoldSingle   Hold = "single replica"
	HoldStrategy Hold = "strategy" // takes more at once than the budget of a workload
	HoldGuard    Hold = "disruption budget"
	HoldGate     Hold = "the gate itself"
	HoldService  Hold = "service"
	HoldBudget   Hold = "budget"
	HoldRebuild  Hold = "rebuild first"
	HoldNotAsked Hold = "gate not asked"
)

// Plan says of each workload what is due and what is done now, in the order of the
// fleet. It does nothing, and says the same whenever it is asked the same.
//
// Two rules stand above all: nothing is taken away that the gate would not let
// follow, and of a service one workload is replaced at a time.
func Plan(now time.Time, f *Fleet, memory map[Identity]*Memory, l Limits) []Due {
	p := planning{
		now: now, limits: l.withDefaults(), sizes: f.sizes(), memory: memory, left: f.Allowed,
		used: map[string]int{}, busy: map[string]Identity{}, going: map[Scope]int{}, hours: map[*Hours]shut{},
	}
	for i, m := range memory {
		if m.Step != nil {
			p.begin(i, m.Step.Services, m.Step.Guards, m.Step.Takes)
		}
	}
	out := make([]Due, len(f.Workloads))
	var due []*Due
	for i := range f.Workloads {
		d := &out[i]
		p.look(d, &f.Workloads[i])
		if d.Hold == HoldNone && !d.At.IsZero() && !d.At.After(now) {
			due = append(due, d)
		}
	}
	slices.SortFunc(due, first)
	for _, d := range due {
		p.decide(d)
	}
	return out
}

// planning is one plan on its way.
type planning struct {
	now    time.Time
	limits Limits
	sizes  map[Scope]int
	memory map[Identity]*Memory
	left   map[string]int      // what disruption budgets allow
	used   map[string]int      // of that
	busy   map[string]Identity // services, and who of them is replaced
	going  map[Scope]int       // pods under way
	hours  map[*Hours]shut
}

// shut is what Hours say of the moment.
type shut struct {
	shut, frozen bool
	until, thaws time.Time
}

// look says when and why a workload is due, whatever else goes on.
func (p *planning) look(d *Due, w *Workload) {
	m := p.memory[w.Identity]
	d.Workload = w
	d.At, d.Why = w.due(p.now)
	d.Hard = w.hard(p.now)
	d.Rebuild = w.Policy.Rebuild > 0 && !w.Built.IsZero() && p.now.Sub(w.Built) > w.Policy.Rebuild
	if !d.Hard.IsZero() {
		p.deadline(d, m)
	}
	switch {
	case m != nil && m.Step != nil:
		d.Hold = HoldStep
	case m != nil && !m.Rested.IsZero() && p.now.Sub(m.Rested) < rest && !m.Rested.After(p.now):
		d.Hold, d.Until = HoldRest, m.Rested.Add(rest)
	case w.Started.IsZero():
		d.Hold = HoldUnknown
	}
}

// rest is how long after a replacement has ended none is begun of the same.
const rest = time.Minute

// margin is how much earlier than it must a deadline is announced, so that the
// announcement is old enough when it comes.
const margin = time.Hour

// deadline says whether it is past, and whether it is to be announced. What was not
// announced in time waits until it was.
func (p *planning) deadline(d *Due, m *Memory) {
	ahead := d.Workload.Policy.announce()
	if p.now.Before(d.Hard.Add(-ahead - margin)) {
		return
	}
	if m == nil || !m.Deadline.Equal(d.Hard) || m.Announced.After(p.now) {
		d.Announce = true
		return
	}
	if p.now.Before(d.Hard) || p.now.Sub(m.Announced) < ahead {
		return
	}
	d.Forced = true
	if d.Why.anew() || d.At.IsZero() || d.At.After(p.now) {
		d.At, d.Why = d.Hard, ForDeadline
	}
}

// begin counts what is under way.
func (p *planning) begin(i Identity, services, guards []string, takes int) {
	for _, s := range services {
		p.busy[s] = i
	}
	for _, g := range guards {
		p.used[g] += takes
	}
	for _, s := range i.scopes() {
		p.going[s] += weight(takes)
	}
}

// weight is how many pods of a budget a replacement takes: those that are away, or
// the one that comes before them.
func weight(takes int) int { return max(takes, 1) }

// first orders what is due: the gate last, what is past its deadline first, and of
// the rest the oldest first.
func first(a, b *Due) int {
	rank := func(d *Due) int {
		switch {
		case d.Workload.Gate:
			return 2
		case d.Forced:
			return 0
		default:
			return 1
		}
	}
	if c := cmp.Or(cmp.Compare(rank(a), rank(b)), a.Workload.Started.Compare(b.Workload.Started)); c != 0 {
		return c
	}
	return cmp.Compare(a.Workload.Key(), b.Workload.Key())
}
