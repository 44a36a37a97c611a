package touchstone

import (
	"strconv"
	"time"
)

// The rows about replacing what runs before it is old. Decide is not asked about
// them: whoever plans reads their cells by Rules.Asks.
const (
	// RuleReplaceAfter says from what age on, counted from its start, what runs is
	// replaced in its time; RuleReplaceDeadline from what age on regardless.
	RuleReplaceAfter    = "replace-after"
	RuleReplaceDeadline = "replace-deadline"
	// RuleRebuildAfter says how old a running image may get since it was built.
	RuleRebuildAfter = "rebuild-after"
	// RuleAfterDeadline says what becomes of what could not be replaced by its
	// deadline, because what would follow is not let in: EffectNone keeps it,
	// EffectStop stops it.
	RuleAfterDeadline = "after-deadline"
)

// Replacing is what the rules say about replacing besides their rows.
type Replacing struct {
	Budget Budget
	// Windows are the only times in which something is replaced before its deadline,
	// in the environments that they name; an environment that none names is always
	// open.
	Windows []Freeze
	// Announce is how long before it happens a replacement that nothing holds up is
	// announced.
	Announce time.Duration
}

// Budget is how much may be away for being replaced at one time.
type Budget struct {
	Workload  Share // of the replicas of one workload, by its own strategy
	Namespace Share // of the pods of one namespace
	Cluster   Share // of the pods of one cluster
}

// Share is a part of a whole: a count, or a percentage. The zero value bounds
// nothing.
type Share struct {
	Count   int // how many
	Percent int // 1 to 100; counts where Count is 0
}

// Of returns how many of n things the share is. A percentage is rounded down and
// never comes to less than one, for nothing would ever be replaced.
func (s Share) Of(n int) int {
	switch {
	case s.Count > 0:
		return s.Count
	case s.Percent > 0:
		return max(1, n/100*s.Percent+n%100*s.Percent/100)
	default:
		return n
	}
}

// String returns the share as the rules file writes it: "3", "10%", "any".
func (s Share) String() string {
	switch {
	case s.Count > 0:
		return strconv.Itoa(s.Count)
	case s.Percent > 0:
		return strconv.Itoa(s.Percent) + "%"
	default:
		return "any"
	}
}

// DefaultReplacing returns what holds where the rules say nothing: a quarter of a
// workload, as a Deployment takes where it says nothing, 10 % of a namespace and 5 % of a cluster at a time, at any hour,
// announced three days before what nothing holds up.
func DefaultReplacing() Replacing {
	return Replacing{
		Budget:   Budget{Workload: Share{Percent: 25}, Namespace: Share{Percent: 10}, Cluster: Share{Percent: 5}},
		Announce: 72 * time.Hour,
	}
}

// OpensForReplacing returns when something may next be replaced in the environment,
// which is now where nothing holds it up: within the windows of Replacing, and
// outside of every freeze, declared ones included. It reports false where nothing
// says when.
func (r *Rules) OpensForReplacing(environment string, declared []Freeze, now time.Time) (time.Time, bool) {
	c := r.calendar(environment, declared)
	c.windows = nil
	for i := range r.Replace.Windows {
		if r.Replace.Windows[i].in(environment) {
			c.windows = append(c.windows, &r.Replace.Windows[i])
		}
	}
	return c.opens(now)
}
