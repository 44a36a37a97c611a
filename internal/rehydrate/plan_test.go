package rehydrate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

// one is a workload that is due, and that nothing keeps from being replaced.
func one(name string, change func(*Workload)) Workload {
	w := Workload{
		Identity: Identity{"c", "shop", "Deployment", name}, Started: noon().Add(-30 * day), Wanted: 2, Ready: 2, Pods: 2,
		Policy:   &Policy{After: 7 * day, Deadline: 60 * day},
		Follower: Follower{Answer: Allowed, At: noon()},
	}
	if change != nil {
		change(&w)
	}
	return w
}

func TestWhatIsInTheWay(t *testing.T) {
	announced := func(hard time.Time) *Memory { return &Memory{Announced: hard.Add(-73 * hour), Deadline: hard} }
	late := func(w *Workload) { w.Policy = &Policy{After: 7 * day, Deadline: 29 * day} }
	hard := noon().Add(-day)
	quarter := Limits{Workload: touchstone.Share{Percent: 25}}
	for _, test := range []struct {
		name   string
		w      Workload
		memory *Memory
		do     Deed
		hold   Hold
		line   string
	}{
		{"nothing", one("a", nil), nil, Replace, HoldNone, "is replaced now"},
		{"a bare pod", one("a", func(w *Workload) { w.Means = Bare }), nil, Wait, HoldBare, "bare pod"},
		{"a bare pod past the deadline", one("a", func(w *Workload) { late(w); w.Means = Bare }), announced(hard), Wait, HoldBare, "bare pod"},
		{"a bare pod where the rules say stop", one("a", func(w *Workload) { late(w); w.Policy.Stop, w.Means = true, Bare }), announced(hard), Stop, HoldNone, "made to end"},
		{"a single replica", one("a", func(w *Workload) { w.Wanted, w.Ready, w.Takes = 1, 1, 1 }), nil, Wait, HoldSingle, "single replica"},
		{"a single replica that surges", one("a", func(w *Workload) { w.Wanted, w.Ready = 1, 1 }), nil, Replace, HoldNone, ""},
		{"a single replica past the deadline", one("a", func(w *Workload) { late(w); w.Wanted, w.Ready, w.Takes = 1, 1, 1 }), announced(hard), Replace, HoldNone, "past its deadline"},
		{"a quarter at once", one("a", func(w *Workload) { w.Wanted, w.Ready, w.Takes = 10, 10, 2 }), nil, Replace, HoldNone, ""},
		{"more than a quarter at once", one("a", func(w *Workload) { w.Wanted, w.Ready, w.Takes = 10, 10, 3 }), nil, Wait, HoldStrategy, "in the way: its strategy: it takes 3 of 10 away at once, and the budget of a workload is 25% until 2026-12-23T12:00:00Z"},
		{"one of three, which is more than a quarter", one("a", func(w *Workload) { w.Wanted, w.Ready, w.Takes = 3, 3, 1 }), nil, Replace, HoldNone, ""},
		{"more than a quarter, past the deadline", one("a", func(w *Workload) { late(w); w.Wanted, w.Ready, w.Takes = 10, 10, 3 }), announced(hard), Replace, HoldNone, ""},
		{"a budget that allows nothing", one("a", func(w *Workload) { w.Takes, w.Guards = 1, []string{"shop/none"} }), nil, Wait, HoldGuard, "shop/none allows nothing"},
		{"a budget that nobody takes from", one("a", func(w *Workload) { w.Guards = []string{"shop/none"} }), nil, Replace, HoldNone, ""},
		{"a budget past the deadline", one("a", func(w *Workload) { late(w); w.Takes, w.Guards = 1, []string{"shop/none"} }), announced(hard), Replace, HoldNone, ""},
		{"the deadline was not announced", one("a", func(w *Workload) { late(w); w.Takes, w.Guards = 1, []string{"shop/none"} }), nil, Wait, HoldGuard, ""},
		{"it was announced for the one before", one("a", func(w *Workload) { late(w); w.Takes, w.Guards = 1, []string{"shop/none"} }), announced(hard.Add(-day)), Wait, HoldGuard, ""},
		{"the gate refuses", one("a", func(w *Workload) { w.Follower.Answer, w.Follower.Why = Refused, "cvss: 9.8" }), nil, Wait, HoldRebuild, "rebuild first: refused: cvss: 9.8"},
		{"the gate refuses past the deadline", one("a", func(w *Workload) { late(w); w.Follower.Answer = Refused }), announced(hard), Wait, HoldRebuild, "rebuild first"},
		{"it refuses, and the rules say stop", one("a", func(w *Workload) { late(w); w.Policy.Stop = true; w.Follower.Answer = Refused }), announced(hard), Stop, HoldNone, "made to end"},
		{"it is undecided, and the rules say stop", one("a", func(w *Workload) {
			late(w)
			w.Policy.Stop = true
			w.Follower.Answer, w.Follower.Since = Undecided, noon().Add(-23*hour)
		}), announced(hard), Wait, HoldRebuild, "undecided"},
		{"nobody could be asked", one("a", func(w *Workload) { w.Follower = Follower{Answer: Undecided, Failed: true, Why: "it hangs", At: noon()} }), nil, Wait, HoldNotAsked, "waits for the gate: it hangs"},
		{"nobody could be asked, a while ago", one("a", func(w *Workload) {
			w.Follower = Follower{Answer: Undecided, Failed: true, At: noon().Add(-2 * time.Minute)}
		}), nil, Ask, HoldNone, ""},
		{"the gate was asked long ago", one("a", func(w *Workload) { w.Follower.At = noon().Add(-2 * time.Minute) }), nil, Ask, HoldNone, ""},
		{"it is undecided for a day, and they say stop", one("a", func(w *Workload) {
			late(w)
			w.Policy.Stop = true
			w.Follower.Answer, w.Follower.Since = Undecided, hard
		}), announced(hard), Stop, HoldNone, "made to end"},
		{"a Job", one("a", func(w *Workload) { w.Means = Job }), nil, Wait, HoldJob, "Job to end"},
		{"a Job past the deadline", one("a", func(w *Workload) { late(w); w.Means = Job }), announced(hard), Replace, HoldNone, ""},
		{"the gate itself, alone", one("a", func(w *Workload) { late(w); w.Gate, w.Wanted, w.Ready = true, 1, 1 }), announced(hard), Wait, HoldGate, "no other of it would answer"},
		{"a finding that the same image has too", one("a", func(w *Workload) { w.Policy = &Policy{}; w.Overdue, w.Finding = noon().Add(-hour), "cvss CVE-1" }), nil, Wait, HoldRebuild, "the same image would come again"},
		{"a finding, and a rebuilt image waits", one("a", func(w *Workload) { w.Policy = &Policy{}; w.Overdue = noon().Add(-hour); w.Follower.New = true }), nil, Replace, HoldNone, ""},
		{"drift", one("a", func(w *Workload) { w.Policy = &Policy{}; w.Drifted = noon().Add(-hour) }), nil, Replace, HoldNone, "drift"},
		{"it failed just now", one("a", nil), &Memory{Failed: 3, FailedAt: noon().Add(-3 * hour), Problem: "crashes"}, Wait, HoldFailed, "in vain, waits until 2026-11-23T13:00:00Z: crashes"},
		{"it failed in a moment, by a clock that was put back", one("a", nil), &Memory{Failed: 1, FailedAt: noon().Add(time.Millisecond), Problem: "crashes"}, Wait, HoldFailed, "in vain"},
		{"it failed next month, by a clock that was wrong", one("a", nil), &Memory{Failed: 1, FailedAt: noon().Add(30 * day), Problem: "crashes"}, Replace, HoldNone, ""},
		{"an old image", one("a", func(w *Workload) { w.Policy.Rebuild, w.Built = 30*day, noon().Add(-90*day) }), nil, Replace, HoldNone, "its image was built 90d ago: rebuild, then redeploy"},
		{"a waiver", one("a", func(w *Workload) { w.Policy = &Policy{Waived: "W1"} }), nil, Wait, HoldNone, "waiver W1"},
		{"nobody knows its age", one("a", func(w *Workload) { w.Started = time.Time{} }), nil, Wait, HoldUnknown, "nobody knows"},
	} {
		t.Run(test.name, func(t *testing.T) {
			memory := map[Identity]*Memory{}
			if test.memory != nil {
				memory[test.w.Identity] = test.memory
			}
			d := Plan(noon(), &Fleet{Workloads: []Workload{test.w}}, memory, quarter)[0]
			line := d.Line(noon(), func(t time.Time) string { return t.UTC().Format(time.RFC3339) })
			if d.Do != test.do || d.Hold != test.hold || !strings.Contains(line, test.line) || strings.Contains(line, "\n") {
				t.Errorf("%q %q, want %q %q\n%s", d.Do, d.Hold, test.do, test.hold, line)
			}
		})
	}
}

// Two workloads may stand under one disruption budget.
func TestADisruptionBudgetIsSharedOut(t *testing.T) {
	guarded := func(w *Workload) { w.Takes, w.Guards = 1, []string{"shop/all"} }
	f := &Fleet{Workloads: []Workload{one("a", guarded), one("b", guarded), one("c", guarded)}, Allowed: map[string]int{"shop/all": 2}}
	going := &Memory{Step: &Step{Takes: 1, Guards: []string{"shop/all"}}}
	for _, test := range []struct {
		memory map[Identity]*Memory
		want   int
	}{{nil, 2}, {map[Identity]*Memory{f.Workloads[0].Identity: going}, 1}, {map[Identity]*Memory{{Name: "gone"}: going}, 1}} {
		got := 0
		for _, d := range Plan(noon(), f, test.memory, Limits{}) {
			if d.Do == Replace {
				got++
			}
		}
		if got != test.want {
			t.Errorf("%d go at once, want %d", got, test.want)
		}
	}
}

// What is past its deadline goes before what is older and is not.
func TestWhatIsLateGoesFirst(t *testing.T) {
	old := one("old", func(w *Workload) { w.Started = noon().Add(-50 * day) })
	late := one("late", func(w *Workload) { w.Policy = &Policy{After: 7 * day, Deadline: 20 * day} })
	memory := map[Identity]*Memory{late.Identity: {Announced: noon().Add(-14 * day), Deadline: noon().Add(-10 * day)}}
	f := &Fleet{Workloads: []Workload{old, late}}
	for name, want := range map[string]Deed{"old": Wait, "late": Replace} {
		for _, d := range Plan(noon(), f, memory, Limits{Cluster: touchstone.Share{Count: 1}}) {
			if d.Workload.Name == name && d.Do != want {
				t.Errorf("%s: %q, want %q", name, d.Do, want)
			}
		}
	}
}

// crowd is a fleet of that many, of which so many are due.
func crowd(n int, now time.Time, hours *Hours) *Fleet {
	p := &Policy{After: 7 * day, Deadline: 14 * day, Hours: hours}
	f := &Fleet{Allowed: map[string]int{}}
	for i := range n {
		ns := fmt.Sprintf("ns-%d", i%500)
		guard := fmt.Sprintf("%s/pdb-%d", ns, i/1000)
		f.Allowed[guard] = 1
		f.Workloads = append(f.Workloads, Workload{
			Identity: Identity{"prod-1", ns, "Deployment", fmt.Sprintf("app-%d", i)}, UID: fmt.Sprint(i), Policy: p,
			Started: now.Add(-time.Duration(i%(7*24*60)) * time.Minute), Wanted: 3, Ready: 3, Pods: 3, Takes: i % 2,
			Services: []string{fmt.Sprintf("%s/svc-%d", ns, i)}, Guards: []string{guard}, Built: now.Add(-20 * day),
		})
	}
	return f
}

func BenchmarkPlan(b *testing.B) {
	for _, test := range []struct {
		name  string
		hours *Hours
	}{{"always", nil}, {"office hours", NewHours([]touchstone.Freeze{office(b)}, nil)}} {
		b.Run(test.name, func(b *testing.B) {
			f := crowd(100_000, noon(), test.hours)
			b.ReportAllocs()
			for b.Loop() {
				Plan(noon(), f, nil, Limits{Cluster: touchstone.Share{Percent: 5}})
			}
		})
	}
}
