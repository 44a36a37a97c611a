package rehydrate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// world is a fleet that lives: what is replaced becomes young, or fails; the gate
// changes its mind, clocks jump, and whoever plans starts anew with what the record
// holds.
type world struct {
	t       *rapid.T
	now     time.Time
	fleet   Fleet
	memory  map[Identity]*Memory
	limits  Limits
	ends    map[Identity]time.Time
	gate    map[Identity]Answer
	windows map[*Policy][]touchstone.Freeze
	freezes map[*Policy][]touchstone.Freeze
}

func weekly(t *rapid.T, what string) touchstone.Freeze {
	w := &touchstone.Weekly{
		Days:  rapid.SliceOfNDistinct(rapid.SampledFrom([]time.Weekday{0, 1, 2, 3, 4, 5, 6}), 1, 4, rapid.ID).Draw(t, what+" days"),
		Start: rapid.IntRange(0, 23).Draw(t, what+" start") * 60, End: rapid.IntRange(1, 24).Draw(t, what+" end") * 60,
		Zone: rapid.SampledFrom([]string{"", "Europe/Berlin", "America/New_York"}).Draw(t, what+" zone"),
	}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	return touchstone.Freeze{ID: what, Weekly: w, Environments: []string{"prod"}}
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, now: noon(), memory: map[Identity]*Memory{}, ends: map[Identity]time.Time{}, gate: map[Identity]Answer{},
		windows: map[*Policy][]touchstone.Freeze{}, freezes: map[*Policy][]touchstone.Freeze{},
		limits: Limits{
			Workload:  rapid.SampledFrom([]touchstone.Share{{}, {Count: 1}, {Count: 2}, {Percent: 25}, {Percent: 70}}).Draw(t, "of a workload"),
			Namespace: touchstone.Share{Count: rapid.IntRange(0, 4).Draw(t, "namespace"), Percent: rapid.SampledFrom([]int{0, 20, 50}).Draw(t, "namespace %")},
			Cluster:   touchstone.Share{Count: rapid.IntRange(0, 6).Draw(t, "cluster")},
		},
	}
	var policies []*Policy
	for range rapid.IntRange(1, 3).Draw(t, "policies") {
		p := &Policy{
			After: time.Duration(rapid.IntRange(1, 14).Draw(t, "after")) * day, Stop: rapid.Bool().Draw(t, "stop"),
			ThroughFreezes: rapid.Bool().Draw(t, "through"), Rebuild: 30 * day,
		}
		if rapid.Bool().Draw(t, "has a deadline") {
			p.Deadline = p.After + time.Duration(rapid.IntRange(1, 10).Draw(t, "deadline"))*day
		}
		if rapid.IntRange(0, 2).Draw(t, "has windows") == 0 {
			w.windows[p] = []touchstone.Freeze{weekly(t, "window")}
		}
		if rapid.IntRange(0, 2).Draw(t, "has freezes") == 0 {
			w.freezes[p] = []touchstone.Freeze{weekly(t, "freeze"), {ID: "once", From: noon().Add(10 * day), Until: noon().Add(13 * day)}}
		}
		p.Hours = NewHours(w.windows[p], w.freezes[p])
		policies = append(policies, p)
	}
	w.fleet.Allowed = map[string]int{"a/pdb": rapid.IntRange(0, 2).Draw(t, "pdb"), "b/pdb": rapid.IntRange(0, 2).Draw(t, "other pdb")}
	for i := range rapid.IntRange(1, 16).Draw(t, "workloads") {
		w.fleet.Workloads = append(w.fleet.Workloads, w.workload(i, policies))
	}
	return w
}

func (w *world) workload(i int, policies []*Policy) Workload {
	t := w.t
	ns := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "in")
	one := Workload{
		Identity: Identity{"c", ns, "Deployment", fmt.Sprintf("w%d", i)}, UID: fmt.Sprint(i), Policy: rapid.SampledFrom(policies).Draw(t, "policy"),
		Means:   rapid.SampledFrom([]Means{Rollout, Rollout, Rollout, Rollout, Evict, Job, Bare}).Draw(t, "means"),
		Started: w.now.Add(-time.Duration(rapid.IntRange(0, 40*24).Draw(t, "age")) * hour), Wanted: rapid.IntRange(1, 3).Draw(t, "wanted"),
		Takes: rapid.IntRange(0, 2).Draw(t, "takes"), Built: w.now.Add(-20 * day), Gate: i == 0,
	}
	one.Ready, one.Pods = one.Wanted, one.Wanted
	if rapid.Bool().Draw(t, "guarded") {
		one.Guards = []string{ns + "/pdb"}
	}
	if rapid.IntRange(0, 2).Draw(t, "serves") == 0 {
		one.Services = []string{ns + "/" + rapid.SampledFrom([]string{"cart", "pay"}).Draw(t, "service")}
	}
	switch rapid.IntRange(0, 9).Draw(t, "special") {
	case 0:
		one.Drifted = w.now.Add(-hour)
	case 1:
		one.Overdue, one.Finding = w.now.Add(-hour), "cvss CVE-1"
	case 2:
		one.Waiting = w.now.Add(-hour)
	case 3:
		one.Base = "debian"
	case 4:
		one.Stuck = "it is paused"
	case 5:
		one.Started = time.Time{}
	}
	return one
}

func (w *world) plan() []Due { return Plan(w.now, &w.fleet, w.memory, w.limits) }

// tick plans, checks, and does what the plan says.
func (w *world) tick() {
	all := w.plan()
	for w.answer(all) {
		all = w.plan()
	}
	if diff := cmp.Diff(lines(all, w.now), lines(w.plan(), w.now)); diff != "" {
		w.t.Fatalf("the same plan twice (-first +second)\n%s", diff)
	}
	w.check(all)
	for i := range all {
		w.do(&all[i])
	}
	w.live()
}

func lines(all []Due, now time.Time) []string {
	var out []string
	for i := range all {
		out = append(out, all[i].Line(now, func(t time.Time) string { return t.UTC().Format(time.RFC3339) }))
	}
	slices.Sort(out)
	return out
}

func (w *world) answer(all []Due) (asked bool) {
	for i := range all {
		one := &w.fleet.Workloads[i]
		if all[i].Do != Ask {
			continue
		}
		asked = true
		if w.gate[one.Identity] == "" || rapid.IntRange(0, 9).Draw(w.t, "the gate changes its mind") == 0 {
			w.gate[one.Identity] = rapid.SampledFrom([]Answer{Allowed, Allowed, Allowed, Refused, Undecided, Unpullable}).Draw(w.t, "gate")
		}
		one.Follower = Follower{Answer: w.gate[one.Identity], At: w.now, New: !one.Waiting.IsZero(), Why: "because", Since: w.now}
	}
	return asked
}

func (w *world) do(d *Due) {
	one := d.Workload
	m := w.memory[one.Identity]
	if m == nil {
		m = &Memory{}
		w.memory[one.Identity] = m
	}
	if d.Announce {
		m.Announced, m.Deadline = w.now, d.Hard
	}
	switch d.Do {
	case Replace:
		m.Step = &Step{Of: one.Identity, Takes: one.Takes, Services: one.Services, Guards: one.Guards, Forced: d.Forced}
		w.ends[one.Identity] = w.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(w.t, "lasts")) * time.Minute)
	case Stop:
		m.Stopped = w.now
	}
}

// live lets time go on, and mostly forward.
func (w *world) live() {
	w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{10, 30, 60, 240}).Draw(w.t, "minutes")) * time.Minute)
	switch rapid.IntRange(0, 60).Draw(w.t, "clock") {
	case 0:
		w.now = w.now.Add(-time.Duration(rapid.IntRange(1, 100).Draw(w.t, "back")) * hour)
	case 1:
		w.now = w.now.Add(time.Duration(rapid.IntRange(1, 300).Draw(w.t, "ahead")) * hour)
	}
	for i := range w.fleet.Workloads {
		one := &w.fleet.Workloads[i]
		m := w.memory[one.Identity]
		if m == nil || m.Step == nil || w.ends[one.Identity].After(w.now) {
			continue
		}
		if m.Step = nil; rapid.IntRange(0, 4).Draw(w.t, "fails") == 0 {
			m.Failed, m.FailedAt, m.Problem = m.Failed+1, w.now, "not ready"
			continue
		}
		one.Started, one.Drifted, one.Waiting, one.Overdue, one.Base = w.now, time.Time{}, time.Time{}, time.Time{}, ""
		delete(w.memory, one.Identity)
	}
	for key := range w.fleet.Allowed {
		if rapid.IntRange(0, 9).Draw(w.t, "a budget changes") == 0 {
			w.fleet.Allowed[key] = rapid.IntRange(0, 2).Draw(w.t, "allowed")
		}
	}
	if one := rapid.SampledFrom(w.fleet.Workloads).Draw(w.t, "who"); rapid.IntRange(0, 9).Draw(w.t, "health") == 0 {
		for i := range w.fleet.Workloads {
			if w.fleet.Workloads[i].Identity == one.Identity {
				w.fleet.Workloads[i].Ready = rapid.IntRange(0, one.Wanted).Draw(w.t, "ready")
			}
		}
	}
}

func TestThePlanKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(r)
		for range rapid.IntRange(20, 120).Draw(r, "ticks") {
			w.tick()
		}
	})
}
