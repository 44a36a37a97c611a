package touchstone

import (
	"fmt"
	"strconv"
	"time"
)

// Cell says what happens in one environment.
type Cell struct {
	// Effect is what follows when the rule fails.
	Effect Effect
	// Limit is what the measure may reach; Limit.Op is empty where the rule is
	// a fault that is either there or not.
	Limit Limit
	// After is how long after it became known a failing match only warns.
	After time.Duration
	// Group is whose approvals count ("2 of release"); Limit says how many.
	Group string
}

// Anyone is the group that everybody is in.
const Anyone = "anyone"

// Effect is what a failing rule brings about.
type Effect string

// The effects of a cell and of a reason.
const (
	EffectNone    Effect = "none" // any, allow
	EffectWarn    Effect = "warn"
	EffectRefuse  Effect = "refuse"
	EffectApprove Effect = "approve" // refused unless approved
	EffectAlert   Effect = "alert"   // what runs: tell
	EffectBlock   Effect = "block"   // what runs: stop the act
	EffectKill    Effect = "kill"    // what runs: stop the container
	EffectStop    Effect = "stop"    // what could not be replaced in time: stop it
)

// Op compares a measure with a limit.
type Op string

// The comparisons.
const (
	AtMost  Op = "at most"
	Below   Op = "below"
	AtLeast Op = "at least"
)

// Limit is the bound of a measure. Durations are in hours.
type Limit struct {
	Op    Op
	Value float64
	Unit  Unit
}

// Unit is the unit of a limit.
type Unit string

// The units.
const (
	UnitNone Unit = ""
	UnitTime Unit = "h"
)

// Allows reports whether v keeps within the limit.
func (l Limit) Allows(v float64) bool {
	switch l.Op {
	case AtMost:
		return v <= l.Value
	case Below:
		return v < l.Value
	case AtLeast:
		return v >= l.Value
	default:
		return true
	}
}

// String returns the limit as the rules file writes it: "at most 30d".
func (l Limit) String() string {
	if l.Op == "" {
		return ""
	}
	if l.Unit == UnitTime {
		return string(l.Op) + " " + Days(l.Duration())
	}
	return string(l.Op) + " " + strconv.FormatFloat(l.Value, 'f', -1, 64)
}

// Duration returns the limit's value as a length of time.
func (l Limit) Duration() time.Duration { return time.Duration(l.Value * float64(time.Hour)) }

// String returns the cell as the rules file writes it.
func (c Cell) String() string {
	s := c.Limit.String()
	if c.Group != "" {
		s = strconv.FormatFloat(c.Limit.Value, 'f', -1, 64) + " of " + c.Group
	}
	switch {
	case s != "" && c.Effect != EffectRefuse && c.Effect != "":
		s += " else " + string(c.Effect)
	case s != "":
	case c.Effect == EffectNone:
		s = "allow"
	default:
		s = string(c.Effect)
	}
	if c.After > 0 {
		s += " after " + Days(c.After)
	}
	return s
}

// Milder reports whether the cell lets something pass, or answers it more softly,
// that the other does not.
func (c Cell) Milder(than Cell) bool {
	if than.Effect.hardness() == 0 {
		return false
	}
	if c.Effect.hardness() < than.Effect.hardness() {
		return true
	}
	if c.Limit.milder(than.Limit) || c.Group == Anyone && than.Group != Anyone && than.Group != "" {
		return true
	}
	return c.After > than.After && than.Effect.hardness() > 1
}

// milder reports whether the limit lets a value pass that the other does not.
func (l Limit) milder(than Limit) bool {
	switch {
	case l.Op == "" || than.Op == "":
		return false
	case l.Op == AtLeast:
		return l.Value < than.Value
	default:
		return l.Value > than.Value || l.Value == than.Value && l.Op == AtMost && than.Op == Below
	}
}

// hardness orders effects, mild to hard.
func (e Effect) hardness() int {
	switch e {
	case EffectNone:
		return 0
	case EffectWarn, EffectAlert:
		return 1
	case EffectApprove, EffectBlock:
		return 2
	default:
		return 3
	}
}

// Soft reports whether the effect lets pass what fails: nothing follows, or a
// warning.
func (e Effect) Soft() bool { return e.hardness() < 2 }

// Days writes a length of time as rules do: whole days, else hours.
func Days(d time.Duration) string {
	if d != 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// Minutes writes a short length of time: whole hours, else whole minutes, else
// seconds.
func Minutes(d time.Duration) string {
	switch {
	case d != 0 && d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d != 0 && d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	default:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
}
