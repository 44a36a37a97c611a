package rehydrate

import (
	"math"
	"time"
)

// Why is what makes a workload due.
type Why string

// The reasons. Starting the same image again helps against the first three alone.
const (
	ForAge      Why = "age"
	ForDeadline Why = "deadline"
	ForDrift    Why = "drift"
	ForRebuilt  Why = "rebuilt" // a rebuilt image waits under the same name
	ForFinding  Why = "finding" // one is past its deadline
	ForBase     Why = "base"    // a newer approved base is there
)

// anew reports whether only another image helps.
func (y Why) anew() bool { return y == ForRebuilt || y == ForFinding || y == ForBase }

// due returns when and why the workload is to be replaced: the earliest of all
// reasons, and zero where there is none. What only another image helps against
// comes after what a restart mends now.
func (w *Workload) due(now time.Time) (at time.Time, why Why) {
	sooner := func(t time.Time, y Why) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at, why = t, y
		}
	}
	sooner(w.Policy.slot(w.Identity, w.began(now)), ForAge)
	sooner(w.Drifted, ForDrift)
	sooner(w.Waiting, ForRebuilt)
	if !at.IsZero() && !at.After(now) && why != ForRebuilt {
		return at, why
	}
	sooner(w.Overdue, ForFinding)
	if w.Base != "" {
		sooner(w.Started, ForBase)
	}
	return at, why
}

// began is when it was started, which is never in the future: the clock of its node
// may be ahead.
func (w *Workload) began(now time.Time) time.Time {
	if w.Started.After(now) {
		return now
	}
	return w.Started
}

// hard returns when it has reached the deadline; zero where there is none.
func (w *Workload) hard(now time.Time) time.Time {
	began := w.began(now)
	if began.IsZero() || w.Policy.Deadline <= 0 {
		return time.Time{}
	}
	return began.Add(w.Policy.Deadline)
}

// slot returns when something that began then is due for its age: at began + After
// at the latest, and earlier by up to five eighths of that, so that no herd forms.
// Each workload has a place of its own in the cycle, by a hash of its name: what all
// started in one instant falls due evenly, and each then keeps its distance of
// After, with nothing to remember.
//
//	began        3/8                        After
//	  ├───────────┼───────────────────────────┤
//	              └ its place in the cycle, or half a cycle after that where it is too young then
//
// Time is that of the Hours: it stands still while they are closed.
func (p *Policy) slot(i Identity, began time.Time) time.Time {
	if began.IsZero() || p.After <= 0 {
		return time.Time{}
	}
	latest := began.Add(p.After)
	cycle := time.Duration(float64(p.After) * p.Hours.open())
	if cycle < time.Second {
		return latest // there is no open time to spread it over
	}
	from, to := p.Hours.elapsed(began), p.Hours.elapsed(latest)
	where := place(i)
	at := to - mod(to-time.Duration(where*float64(cycle)), cycle)
	// Three eighths and not a half: what was replaced half a cycle after its place a
	// little late is still old enough when that comes.
	for at < from+cycle*3/8 {
		at += cycle / 2
	}
	if at > to && to >= from+cycle/2 { // the age is no whole number of weeks
		at = to - time.Duration(where*float64(cycle/8))
	}
	due := p.Hours.at(at)
	if due.IsZero() || due.Before(began) {
		return latest
	}
	return due
}

// open is the share of all time that is open in an ordinary week.
func (h *Hours) open() float64 {
	if h == nil {
		return 1
	}
	return h.share
}

// mod is what is left of d after whole cycles; never negative.
func mod(d, cycle time.Duration) time.Duration {
	if d %= cycle; d < 0 {
		d += cycle
	}
	return d
}

// place returns where in a cycle the workload is: from 0 to 1, the same wherever and
// whenever it is asked, and evenly spread over many. It is FNV-1a, whose bits are
// mixed once more (MurmurHash3's fmix64), because names differ at their ends.
func place(i Identity) float64 {
	const prime, basis = 1099511628211, 14695981039346656037
	h := uint64(basis)
	for _, s := range [...]string{i.Cluster, i.Namespace, i.Kind, i.Name} {
		for k := range len(s) {
			h = (h ^ uint64(s[k])) * prime
		}
		h *= prime // as a zero byte between them
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return float64((h^h>>33)>>11) / (1 << 53)
}

// pause returns how long nothing is tried again after so many failures.
func (l Limits) pause(failed int) time.Duration {
	const most = 24 * time.Hour
	if failed <= 0 {
		return 0
	}
	return time.Duration(min(float64(most), float64(l.Pause)*math.Pow(2, float64(failed-1))))
}
