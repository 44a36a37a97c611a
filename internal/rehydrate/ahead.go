package rehydrate

import (
	"time"
)

// Ahead plays the time to come on a copy of the fleet: what would be replaced when,
// if nothing else changed, the gate let follow what it has not refused yet, and
// each replacement took as long.
type Ahead struct {
	// Tick is how often a plan is made; ten minutes when zero.
	Tick time.Duration
	// Lasts is how long one replacement takes; five minutes when zero.
	Lasts time.Duration
	// Replaced is told of each replacement as it begins; nil for nobody.
	Replaced func(at time.Time, d *Due)
	// Planned is told of each plan, with what is under way besides; nil for nobody.
	Planned func(at time.Time, all []Due, memory map[Identity]*Memory)
}

// Day is what one day brings.
type Day struct {
	Date     string        `json:"date"` // in UTC: 2026-12-01
	Replaced int           `json:"replaced"`
	Forced   int           `json:"forced"`         // of those, past their deadline
	Held     map[Hold]int  `json:"held,omitempty"` // due at the end of the day, by what they wait for
	Oldest   time.Duration `json:"oldest"`         // age of the oldest at the end of the day
}

// Play plays from one moment until another, and returns the days.
func (a Ahead) Play(from, until time.Time, f *Fleet, memory map[Identity]*Memory, l Limits) []Day {
	if a.Tick <= 0 {
		a.Tick = 10 * time.Minute
	}
	if a.Lasts <= 0 {
		a.Lasts = 5 * time.Minute
	}
	p := play{Ahead: a, limits: l, sizes: f.sizes(), allowed: f.Allowed, all: append([]Workload(nil), f.Workloads...), memory: map[Identity]*Memory{}}
	p.next, p.index = make([]time.Time, len(p.all)), make(map[Identity]int, len(p.all))
	for i := range p.all {
		p.index[p.all[i].Identity] = i
		if m := memory[p.all[i].Identity]; m != nil {
			c := *m
			p.memory[p.all[i].Identity] = &c
			if c.Step != nil {
				p.ends = append(p.ends, ending{from.Add(a.Lasts), i})
			}
		}
		p.next[i] = p.interesting(i, from)
	}
	for t := from; t.Before(until); t = t.Add(a.Tick) {
		p.tick(t)
	}
	return p.days
}

// play is one Play on its way.
type play struct {
	Ahead
	limits  Limits
	sizes   map[Scope]int
	allowed map[string]int
	all     []Workload
	index   map[Identity]int
	memory  map[Identity]*Memory
	next    []time.Time // when each is next worth a look
	ends    []ending    // of what is under way, in order
	days    []Day
}

type ending struct {
	at time.Time
	of int
}

// interesting returns when a workload is next worth a look; zero for never.
func (p *play) interesting(i int, now time.Time) time.Time {
	w := &p.all[i]
	at, _ := w.due(now)
	if hard := w.hard(now); !hard.IsZero() {
		if tell := hard.Add(-w.Policy.announce() - margin); at.IsZero() || tell.Before(at) {
			at = tell
		}
	}
	return at
}

func (p *play) tick(t time.Time) {
	for len(p.ends) > 0 && !p.ends[0].at.After(t) {
		p.end(p.ends[0])
		p.ends = p.ends[1:]
	}
	f := Fleet{Allowed: p.allowed, Sizes: p.sizes}
	for i := range p.all {
		if !p.next[i].IsZero() && !p.next[i].After(t) {
			f.Workloads = append(f.Workloads, p.all[i])
		}
	}
	all := Plan(t, &f, p.memory, p.limits)
	for p.answer(t, &f, all) {
		all = Plan(t, &f, p.memory, p.limits)
	}
	if p.Planned != nil {
		p.Planned(t, all, p.memory)
	}
	for i := range all {
		p.do(t, &all[i])
	}
	p.count(t, all)
}

// answer answers for the gate, and reports whether anything was asked. What it has
// refused stays refused.
func (p *play) answer(t time.Time, f *Fleet, all []Due) (asked bool) {
	for i := range all {
		w := &f.Workloads[i]
		if all[i].Do != Ask {
			continue
		}
		asked = true
		if w.Follower.Answer == "" {
			w.Follower.Answer = Allowed
		}
		w.Follower.At = t
		p.all[p.index[w.Identity]].Follower = w.Follower
	}
	return asked
}

func (p *play) do(t time.Time, d *Due) {
	w := d.Workload
	m := p.memory[w.Identity]
	if m == nil {
		m = &Memory{}
	}
	switch {
	case d.Do == Replace:
		i := p.index[w.Identity]
		m.Step = &Step{Of: w.Identity, Takes: w.Takes, Services: w.Services, Guards: w.Guards, Forced: d.Forced}
		p.ends = append(p.ends, ending{t.Add(p.Lasts), i})
		if p.Replaced != nil {
			p.Replaced(t, d)
		}
	case d.Announce:
		m.Announced, m.Deadline = t, d.Hard
	default:
		return
	}
	p.memory[w.Identity] = m
}

func (p *play) end(e ending) {
	w := &p.all[e.of]
	w.Started, w.Drifted, w.Waiting, w.Overdue, w.Base = e.at, time.Time{}, time.Time{}, time.Time{}, ""
	w.Follower.New = false
	delete(p.memory, w.Identity)
	p.next[e.of] = p.interesting(e.of, e.at)
}

// count adds a tick to its day.
func (p *play) count(t time.Time, all []Due) {
	date := t.UTC().Format(time.DateOnly)
	if len(p.days) == 0 || p.days[len(p.days)-1].Date != date {
		p.days = append(p.days, Day{Date: date})
	}
	day := &p.days[len(p.days)-1]
	day.Held, day.Oldest = map[Hold]int{}, 0
	for i := range all {
		d := &all[i]
		switch {
		case d.Do == Replace && d.Forced:
			day.Forced++
			fallthrough
		case d.Do == Replace:
			day.Replaced++
		case d.Hold != HoldNone && d.Hold != HoldStep && !d.At.After(t):
			day.Held[d.Hold]++
		}
		if !d.Workload.Started.IsZero() {
			day.Oldest = max(day.Oldest, t.Sub(d.Workload.Started))
		}
	}
}
