package rehydrate

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

// A fleet that all started in one instant is replaced evenly: nothing while it is
// young, and from the first age on so many each day, or each open day.
func TestNoHerd(t *testing.T) {
	const n = 7 * 24 * 100
	for _, test := range []struct {
		name    string
		windows []touchstone.Freeze
		open    time.Duration // of a week
	}{
		{"always", nil, 7 * day},
		{"office hours", []touchstone.Freeze{office(t)}, 4 * 7 * hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &Policy{After: 7 * day, Deadline: 14 * day, Hours: NewHours(test.windows, nil)}
			f := &Fleet{}
			for i := range n {
				f.Workloads = append(f.Workloads, Workload{
					Identity: Identity{"c", fmt.Sprint("ns", i%100), "Deployment", fmt.Sprint("w", i)}, Policy: p, Started: noon(), Wanted: 2, Ready: 2, Pods: 2,
				})
			}
			byDay := map[string]int{}
			var first, forced time.Duration
			Ahead{Tick: 30 * time.Minute, Replaced: func(at time.Time, d *Due) {
				if age := at.Sub(noon()); first == 0 {
					first = age
				}
				if d.Forced {
					forced = at.Sub(noon())
				}
				byDay[at.UTC().Format(time.DateOnly)]++
			}}.Play(noon(), noon().Add(30*day), f, nil, Limits{})
			if first < 40*hour || forced != 0 {
				t.Errorf("the first after %s, one by force after %s", first, forced)
			}
			per := float64(n) * float64(24*hour) / float64(7*day)
			if test.windows != nil {
				per = n / 4.0
			}
			for d := noon().Add(8 * day); d.Before(noon().Add(29 * day)); d = d.Add(day) {
				got, date := byDay[d.Format(time.DateOnly)], d.Format(time.DateOnly)
				want := per
				if test.windows != nil && (d.Weekday() == time.Sunday || d.Weekday() > time.Thursday) {
					want = 0
				}
				if math.Abs(float64(got)-want) > 0.1*want {
					t.Errorf("%s: %d were replaced, want about %.0f", date, got, want)
				}
			}
		})
	}
}

// office are seven hours on four days a week.
func office(t testing.TB) touchstone.Freeze {
	w := &touchstone.Weekly{Days: []time.Weekday{1, 2, 3, 4}, Start: 9 * 60, End: 16 * 60, Zone: "Europe/Berlin"}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	return touchstone.Freeze{Weekly: w}
}

// What is replaced when it is due is due again after a whole age, for ever: nobody
// is replaced more often than the rules ask for.
func TestEachKeepsItsDistance(t *testing.T) {
	hours := NewHours([]touchstone.Freeze{office(t)}, nil)
	rapid.Check(t, func(r *rapid.T) {
		p := &Policy{After: time.Duration(rapid.IntRange(1, 90).Draw(r, "days")) * day}
		if rapid.Bool().Draw(r, "windows") {
			p.After = time.Duration(rapid.IntRange(1, 4).Draw(r, "weeks")) * 7 * day
			p.Hours = hours
		}
		who := Identity{"c", "a", "Deployment", rapid.StringMatching("[a-z]{1,9}").Draw(r, "name")}
		began := noon().Add(time.Duration(rapid.IntRange(0, 2000).Draw(r, "began")) * hour)
		for i := range 12 {
			due := p.slot(who, began)
			age := due.Sub(began)
			if again := p.slot(who, began); !again.Equal(due) {
				r.Fatalf("due at %s, and then at %s", due, again)
			}
			if age > p.After || age <= 0 {
				r.Fatalf("due at the age of %s, at most %s", age, p.After)
			}
			if i > 1 && p.Hours == nil && age < p.After-time.Hour {
				r.Fatalf("the %dth time due at the age of %s, at most %s", i, age, p.After)
			}
			began = due.Add(3 * time.Minute)
		}
	})
}

// The clock of open time goes on while the hours are open and stands still while
// they are not, whatever the zone, the freezes and the change of clocks.
func TestHoursAreAClock(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var windows, freezes []touchstone.Freeze
		if rapid.Bool().Draw(r, "windows") {
			windows = append(windows, weekly(r, "window"))
		}
		if rapid.Bool().Draw(r, "freezes") {
			freezes = append(freezes, weekly(r, "freeze"), touchstone.Freeze{From: noon(), Until: noon().Add(10 * day)})
		}
		h := NewHours(windows, freezes)
		rules := touchstone.Rules{Windows: h.both.Windows, Freezes: h.both.Freezes}
		last, was := time.Duration(0), epoch
		for range 20 {
			now := was.Add(time.Duration(rapid.IntRange(1, 60*24*30).Draw(r, "minutes")) * time.Minute)
			elapsed := h.elapsed(now)
			if elapsed < last || elapsed-last > now.Sub(was) {
				r.Fatalf("from %s to %s it went on by %s", was, now, elapsed-last)
			}
			opens, known := rules.Opens("", nil, now)
			if open := known && opens.Equal(now); open {
				if at := h.at(elapsed); !at.Equal(now) && elapsed > 0 {
					r.Fatalf("%s is %s, which is %s", now, elapsed, at)
				}
			} else if known && h.elapsed(opens) != elapsed {
				r.Fatalf("closed from %s to %s, and it went on by %s", now, opens, h.elapsed(opens)-elapsed)
			}
			last, was = elapsed, now
		}
	})
}

// A rule that never opens, or a zone that nobody knows, keeps nothing from being
// planned: it waits.
func TestHoursThatNeverOpen(t *testing.T) {
	h := NewHours(nil, []touchstone.Freeze{{Reason: "for ever"}})
	p := &Policy{After: 7 * day, Hours: h}
	if due := p.slot(Identity{Name: "x"}, noon()); !due.Equal(noon().Add(7 * day)) {
		t.Errorf("due at %s", due)
	}
	if shut, frozen, until := h.Shut(noon()); !shut || !frozen || !until.IsZero() {
		t.Errorf("shut %t, frozen %t, until %s", shut, frozen, until)
	}
}
