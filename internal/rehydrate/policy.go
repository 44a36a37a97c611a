package rehydrate

import (
	"time"

	"touchstone.dev/touchstone"
)

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
	// zero, and nobody is told when negative.
	Announce time.Duration
	// Hours say when something may be replaced; nil for always.
	Hours *Hours
	// Waived says by which waiver nothing is replaced here for its age; empty for
	// none.
	Waived string
}

// announce is how long before the deadline its owner is told.
func (p *Policy) announce() time.Duration {
	switch {
	case p.Announce > 0:
		return p.Announce
	case p.Announce < 0:
		return 0
	default:
		return 72 * time.Hour
	}
}

// Limits bound how much is replaced at once.
type Limits struct {
	// Workload bounds the replicas of one workload that are away at one time. How many
	// that are is its own strategy: one that takes more waits for its deadline.
	Workload touchstone.Share
	// Namespace and Cluster bound the pods that are away, or new ones before them,
	// at one time. One workload may always be under way, however many of its pods
	// its own strategy takes at once.
	Namespace, Cluster touchstone.Share
	// Late is what both are at least for what is past its deadline: a tenth when it
	// is zero. Without any a fleet that was forgotten for a month would be replaced
	// in one instant.
	Late touchstone.Share
	// Pause is how long nothing is tried again after a replacement has failed; an
	// hour when zero. It doubles with each failure, up to a day.
	Pause time.Duration
	// Fresh is how old the gate's answer may be; a minute when zero. An answer that
	// is not yes holds for an hour.
	Fresh time.Duration
}

const (
	stale = time.Hour // of an answer that is not yes
	// patience is how long the gate must have been unable to tell before what is
	// past its deadline is made to end for that.
	patience = 24 * time.Hour
)

func (l Limits) withDefaults() Limits {
	if l.Late == (touchstone.Share{}) {
		l.Late = touchstone.Share{Percent: 10}
	}
	if l.Pause <= 0 {
		l.Pause = time.Hour
	}
	if l.Fresh <= 0 {
		l.Fresh = time.Minute
	}
	return l
}
