package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/rehydrate"
)

const (
	workloads = 100_000
	mostPlan  = time.Second
	mostMind  = 200 << 20 // bytes
	uneven    = 0.2
)

// ages measures a plan over many workloads, and a simulated month of them: all
// started in one instant.
func ages(ctx context.Context, _ string, out io.Writer) error {
	began := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	before := held()
	f := fleet(began, nil)
	limits := rehydrate.Limits{Namespace: touchstone.Share{Percent: 10}, Cluster: touchstone.Share{Percent: 5}}
	var took []float64
	var most int64
	for range 5 {
		at := time.Now()
		all := rehydrate.Plan(began.Add(6*24*time.Hour), f, nil, limits)
		took = append(took, time.Since(at).Seconds())
		most = max(most, held()-before)
		runtime.KeepAlive(all)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	// The machine may have other things to do: the fastest says what a plan costs.
	plan := time.Duration(slices.Min(took) * float64(time.Second)).Round(time.Millisecond)
	lines := []line{
		{"a plan over 100,000 workloads, the fastest of five", "at most 1 s", fmt.Sprintf("%s (median %.2f s)", plan, median(took)), plan <= mostPlan},
		{"its memory, the workloads included", "at most 200 MB", megabytes(most), most <= mostMind},
	}
	for _, month := range []struct {
		name  string
		hours *rehydrate.Hours
		open  time.Duration // of a week
	}{
		{"a month", nil, 7 * 24 * time.Hour},
		{"a month of office hours", office(), 28 * time.Hour},
	} {
		lines = append(lines, play(month.name, began, fleet(began, month.hours), limits, month.hours, month.open)...)
	}
	return show(out, "rehydration", lines)
}

// play plays a month from the first age on, which is when all have a place of their
// own in the cycle.
func play(name string, began time.Time, f *rehydrate.Fleet, l rehydrate.Limits, hours *rehydrate.Hours, open time.Duration) []line {
	const days = 38
	perHour := map[time.Time]int{}
	replaced, forced, broken := 0, 0, 0
	a := rehydrate.Ahead{
		Replaced: func(at time.Time, d *rehydrate.Due) {
			if replaced++; d.Forced {
				forced++
			}
			perHour[at.Truncate(time.Hour)]++
		},
		Planned: func(_ time.Time, all []rehydrate.Due, memory map[rehydrate.Identity]*rehydrate.Memory) {
			broken += over(all, memory, f.Allowed)
		},
	}
	late := 0
	for _, d := range a.Play(began, began.Add(days*24*time.Hour), f, nil, l) {
		if d.Oldest > 14*24*time.Hour {
			late++
		}
	}
	even := float64(workloads) / open.Hours()
	worst, n := 0.0, 0
	for at := began.Add(8 * 24 * time.Hour); at.Before(began.Add(days * 24 * time.Hour)); at = at.Add(time.Hour) {
		if shut, _, _ := hours.Shut(at); shut {
			continue
		}
		if shut, _, _ := hours.Shut(at.Add(59 * time.Minute)); shut {
			continue // part of an hour
		}
		worst, n = max(worst, math.Abs(float64(perHour[at])/even-1)), n+1
	}
	return []line{
		{name + ": replacements that a disruption budget forbids", "0", fmt.Sprintf("%d of %d", broken, replaced), broken == 0},
		{name + ": hard deadlines missed, or reached by force", "0", fmt.Sprintf("%d, %d", late, forced), late+forced == 0},
		{name + ": replacements in an hour, from even", "within 20 %", fmt.Sprintf("%.0f %% at most (%d hours, %.0f each)", worst*100, n, even), worst <= uneven},
	}
}

// over counts the budgets from which more is taken at once than they allow.
func over(all []rehydrate.Due, memory map[rehydrate.Identity]*rehydrate.Memory, allowed map[string]int) int {
	away := map[string]int{}
	for _, m := range memory {
		if m.Step != nil {
			for _, g := range m.Step.Guards {
				away[g] += m.Step.Takes
			}
		}
	}
	broken := 0
	for i := range all {
		d := &all[i]
		if d.Do != rehydrate.Replace {
			continue
		}
		for _, g := range d.Workload.Guards {
			if away[g] += d.Workload.Takes; d.Workload.Takes > 0 && away[g] > allowed[g] {
				broken++
			}
		}
	}
	return broken
}

// fleet is that many workloads, all started in one instant, in 500 namespaces, each
// in a service of its own, by twos under a disruption budget that lets one pod go.
func fleet(began time.Time, hours *rehydrate.Hours) *rehydrate.Fleet {
	p := &rehydrate.Policy{After: 7 * 24 * time.Hour, Deadline: 14 * 24 * time.Hour, Hours: hours}
	f := &rehydrate.Fleet{Allowed: map[string]int{}}
	for i := range workloads {
		ns := fmt.Sprintf("ns-%d", i%500)
		guard := fmt.Sprintf("%s/pdb-%d", ns, i/1000)
		f.Allowed[guard] = 1
		f.Workloads = append(f.Workloads, rehydrate.Workload{
			Identity: rehydrate.Identity{Cluster: "prod-1", Namespace: ns, Kind: "Deployment", Name: fmt.Sprintf("app-%d", i)},
			UID:      fmt.Sprint(i), Policy: p, Started: began, Pods: 3, Ready: 3, Wanted: 3, Takes: i / 500 % 2,
			Services: []string{fmt.Sprintf("%s/svc-%d", ns, i)}, Guards: []string{guard},
		})
	}
	return f
}

// office are seven hours on four days a week.
func office() *rehydrate.Hours {
	w := &touchstone.Weekly{Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday}, Start: 9 * 60, End: 16 * 60, Zone: "Europe/Berlin"}
	if w.Check() != nil {
		return nil
	}
	return rehydrate.NewHours([]touchstone.Freeze{{Weekly: w}}, nil)
}

// held is the memory of this process that is in use.
func held() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
