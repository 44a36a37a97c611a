package gate

import (
	"context"
	"time"

	"touchstone.dev/touchstone"
)

// Simulation is what a change would do to what runs and to what was decided.
type Simulation struct {
	Running   int       `json:"running"`   // containers tried
	Decisions int       `json:"decisions"` // past decisions tried
	At        time.Time `json:"at"`
	// Refused are those that would newly be refused or undecided, Allowed those
	// that would newly be allowed; by owner, and in order of their names.
	Refused []OwnerChanges `json:"refused"`
	Allowed []OwnerChanges `json:"allowed"`
}

// OwnerChanges are the changes for what one owner answers for.
type OwnerChanges struct {
	Owner   string          `json:"owner"` // "nobody" where none is known
	Changes []VerdictChange `json:"changes"`
}

// VerdictChange is one artifact in one place whose verdict would be another.
type VerdictChange struct {
	Artifact string              `json:"artifact"`
	Place    touchstone.Place    `json:"place"`
	Workload touchstone.Workload `json:"workload,omitzero"`
	Decision string              `json:"decision,omitempty"` // the past decision's id; empty for what runs
	From     touchstone.Verdict  `json:"from"`
	To       touchstone.Verdict  `json:"to"`
	Rules    []string            `json:"rules"` // that make the difference
}

// Trial is what to simulate.
type Trial struct {
	Rules      *touchstone.Rules   // nil for those in force
	Waivers    []touchstone.Waiver // besides those in force
	Advisories bool                // those of the index now
	At         time.Time
	Last       int // how many past decisions to try
}

// Simulate tries a change on everything that runs and on the last decisions, and
// writes nothing down.
func (d *Door) Simulate(context.Context, Trial) (*Simulation, error) { return nil, ErrNotBuilt }

// Mode says whether the rules are enforced in a namespace.
type Mode struct {
	Cluster   string    `json:"cluster,omitempty"`
	Namespace string    `json:"namespace"`
	Enforced  bool      `json:"enforced"`
	Since     time.Time `json:"since,omitzero"` // zero where nobody has set it
	By        string    `json:"by,omitempty"`
	Reason    string    `json:"reason,omitempty"`
}
