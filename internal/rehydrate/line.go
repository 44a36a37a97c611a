package rehydrate

import (
	"fmt"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// Line says in one line for people when the workload is due, why, and what it waits
// for or what is in the way. show writes a moment as they read it.
func (d *Due) Line(now time.Time, show func(time.Time) string) string {
	w := d.Workload
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case w.Policy.Waived != "":
		say("not replaced for its age: waiver %s", w.Policy.Waived)
	case d.At.IsZero() && w.Started.IsZero():
		say("nobody knows since when it runs")
	case d.At.IsZero():
		say("never due")
	case d.At.After(now):
		say("due %s for %s", show(d.At), d.because(now))
	default:
		say("due since %s for %s", show(d.At), d.because(now))
	}
	switch d.Do {
	case Ask:
		say("the gate is asked about what would follow")
	case Replace:
		say("is replaced now")
	case Stop:
		say("is made to end now: nothing may follow it, and the rules say stop")
	}
	if d.Hold != HoldNone && (!d.At.After(now) || d.Hold == HoldStep || d.Hold == HoldRest) {
		say("%s", d.held(show))
	}
	if !d.Hard.IsZero() && d.Do != Replace && now.Before(d.Hard) {
		say("deadline %s", show(d.Hard))
	} else if d.Forced {
		say("past its deadline")
	}
	if d.Rebuild && d.Hold != HoldRebuild {
		say("its image was built %s ago: rebuild, then redeploy", Age(now.Sub(w.Built)))
	}
	return w.String() + ": " + strings.Join(parts, "; ")
}

// because says why it is due.
func (d *Due) because(now time.Time) string {
	w := d.Workload
	switch d.Why {
	case ForAge:
		return fmt.Sprintf("its age (%s, at most %s)", Age(now.Sub(w.began(now))), touchstone.Days(w.Policy.After))
	case ForDeadline:
		return fmt.Sprintf("its deadline (%s, at most %s)", Age(now.Sub(w.began(now))), touchstone.Days(w.Policy.Deadline))
	case ForDrift:
		return "drift from its image"
	case ForRebuilt:
		return "a rebuilt image that waits"
	case ForFinding:
		return "a finding past its deadline: " + w.Finding
	case ForBase:
		return "a newer base: " + w.Base
	default:
		return string(d.Why)
	}
}

// held says what it waits for, or what is in the way.
func (d *Due) held(show func(time.Time) string) string {
	until := ""
	if !d.Until.IsZero() {
		until = " until " + show(d.Until)
	}
	more := ""
	if d.More != "" {
		more = ": " + d.More
	}
	switch d.Hold {
	case HoldStep:
		return "is being replaced"
	case HoldRest:
		return "was replaced just now, or found changed"
	case HoldUnknown:
		return "nobody knows since when it runs"
	case HoldStuck:
		return "in the way" + more
	case HoldBare:
		return "in the way: a bare pod, which nothing would bring back; make it a Deployment"
	case HoldFreeze:
		return "waits for a freeze to end" + until
	case HoldWindow:
		return "waits for a window" + until
	case HoldJob:
		return "waits for its Job to end" + until
	case HoldFailed:
		return "was tried in vain, waits" + until + more
	case HoldUnready:
		return "waits for it to be ready" + more
	case HoldSingle:
		return "in the way: a single replica, nothing else would serve; run two, or surge" + until
	case HoldStrategy:
		return "in the way: its strategy" + more + until
	case HoldGuard:
		return "in the way: a disruption budget" + more + until
	case HoldGate:
		return "in the way: it is the gate, and no other of it would answer; replace it by hand"
	case HoldService:
		return "waits for its service" + more
	case HoldBudget:
		return "waits for others" + more
	case HoldNotAsked:
		return "waits for the gate" + more
	case HoldRebuild:
		return "rebuild first" + more
	default:
		return string(d.Hold) + more
	}
}

// Age writes a length of time in days, or in hours or minutes where it is short.
func Age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
}
