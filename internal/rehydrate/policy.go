package rehydrate

import "time"

// Policy is what the rules of a place say of the age of what runs there. One is
// shared by all workloads of a place and class.
type Policy struct {
	// After is the age that nothing passes (replace-after); zero for any age.
	After time.Duration
	// Deadline is the age at which windows, disruption budgets and running Jobs no
	// longer hold (replace-deadline); zero for none. It is above After.
	Deadline time.Duration
	// Rebuild is the age that no image passes (rebuild-after); zero for any.
	Rebuild time.Duration
	// Stop has what may not follow itself end past the deadline, where the gate
	// refuses it (after-deadline: stop).
	Stop bool
	// ThroughFreezes is true where a freeze does not hold past the deadline.
	ThroughFreezes bool
	// Announce is how long before the deadline its owner is told; 72 hours when
	// zero.
	Announce time.Duration
	// Hours say when something may be replaced; nil for always.
	Hours *Hours
	// Waived says by which waiver nothing is replaced here for its age; empty for
	// none.
	Waived string
}

// announce is how long before the deadline its owner is told.
func (p *Policy) announce() time.Duration {
	if p.Announce > 0 {
		return p.Announce
	}
	return 72 * time.Hour
}

// Limits bound how much is replaced at once.
type Limits struct {
	// Namespace and Cluster bound the workloads that are under way.
	Namespace, Cluster Share
	// Late is what both are at least for what is past its deadline: a tenth when it
	// is zero. Without it a fleet that was forgotten for a month would be replaced
	// in one instant.
	Late Share
	// Pause is how long nothing is tried again after a replacement has failed; an
	// hour when zero. It doubles with each failure, up to a day.
	Pause time.Duration
	// Fresh is how old the gate's answer may be; a minute when zero. An answer that
	// is not yes holds for an hour.
	Fresh time.Duration
}

const stale = time.Hour // of an answer that is not yes

func (l Limits) withDefaults() Limits {
	if l.Late == (Share{}) {
		l.Late = Share{Percent: 10}
	}
	if l.Pause <= 0 {
		l.Pause = time.Hour
	}
	if l.Fresh <= 0 {
		l.Fresh = time.Minute
	}
	return l
}

// Share is a part of many: a count, a percentage, or the smaller of both. The zero
// value is all of them.
type Share struct {
	Count   int     `json:"count,omitempty"`
	Percent float64 `json:"percent,omitempty"` // 0 to 100
}

// Of returns how many of n that is: one at least.
func (s Share) Of(n int) int {
	out := n
	if s.Percent > 0 {
		out = min(out, int(float64(n)*s.Percent/100))
	}
	if s.Count > 0 {
		out = min(out, s.Count)
	}
	return max(out, 1)
}
