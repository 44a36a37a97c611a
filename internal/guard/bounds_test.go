package guard

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

// Whatever happens how often: what is told and what is counted come to what happened.
func TestRepeatsLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now := newRepeats(), moment
		happened, told := 0, 0
		count := func(events []touchstone.RuntimeEvent) {
			for i := range events {
				told += events[i].Count
			}
		}
		for range rapid.IntRange(1, 400).Draw(t, "acts") {
			key := repeatKey{
				subject: uint64(rapid.IntRange(1, 2).Draw(t, "subject")), kind: touchstone.EventRunUnknown,
				thing: fmt.Sprint(rapid.IntRange(0, 2*mostRepeats).Draw(t, "thing")),
			}
			happened++
			if r.fresh(key, now) {
				told++
				r.told(key, &touchstone.RuntimeEvent{ID: "x", Count: 1})
			}
			if r.subject[key.subject] > mostRepeats+1 {
				t.Fatalf("%d are open of one subject", r.subject[key.subject])
			}
			now = now.Add(time.Duration(rapid.IntRange(-2000, 4000).Draw(t, "ms")) * time.Millisecond)
			count(r.over(now, false))
		}
		count(r.over(now, true))
		if told != happened || len(r.open) != 0 || len(r.subject) != 0 {
			t.Fatalf("%d happened, %d were told; %d are open", happened, told, len(r.open))
		}
	})
}

func TestDisarmerStopsNoMoreThanItMayInAMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d disarmer
		most := rapid.IntRange(0, 5).Draw(t, "most")
		now := moment
		var stopped []time.Time
		for range 50 {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			if d.mayStop(most, now) {
				stopped = append(stopped, now)
			}
			within := 0
			for _, at := range stopped {
				if now.Sub(at) < time.Minute {
					within++
				}
			}
			if within > most {
				t.Fatalf("%d were stopped within a minute, %d may be", within, most)
			}
		}
	})
}

func TestDisarmerIsNotFooledByAClockThatGoesBack(t *testing.T) {
	var d disarmer
	if !d.mayStop(1, moment) || d.mayStop(1, moment.Add(-time.Hour)) {
		t.Error("the clock was set back, and one more was stopped")
	}
}

// A rule that kills blocks until it was watched for the days without a case, over
// restarts; then it kills for good.
func TestProbation(t *testing.T) {
	const day = 24 * time.Hour
	path := filepath.Join(t.TempDir(), "probation.json")
	place := &touchstone.Place{Environment: "prod", Class: touchstone.ClassApplication}
	open := func() *probation {
		p, err := openProbation(path, 7*day)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	kills := func(p *probation, at time.Duration) bool {
		now := moment.Add(at)
		p.watch("login", place, now)
		return !now.Before(p.until("login", place, now))
	}
	p := open()
	if kills(p, 0) || kills(p, 6*day) {
		t.Error("it kills within the first days")
	}
	p.tainted("login", place, moment.Add(6*day))
	if p = open(); kills(p, 12*day) {
		t.Error("it kills although there was a case six days ago")
	}
	if p = open(); !kills(p, 13*day) {
		t.Error("it does not kill after seven clean days")
	}
	p.tainted("login", place, moment.Add(14*day))
	if p = open(); !kills(p, 14*day) {
		t.Error("a case takes away that it may kill")
	}
	if kills(p, -30*day) {
		t.Error("a clock that was set back lets it kill")
	}
	p.setDays(0)
	if !kills(p, 0) {
		t.Error("without days it does not kill at once")
	}
}
