package rehydrate

import "time"

// Memory is what is remembered of a workload from one plan to the next.
type Memory struct {
	// Step is what is under way; nil for nothing.
	Step *Step `json:"step,omitempty"`
	// Announced is when its owner was told that Deadline nears.
	Announced time.Time `json:"announced,omitzero"`
	Deadline  time.Time `json:"deadline,omitzero"`
	// Failed counts the replacements that have failed one after the other, the last
	// at FailedAt, and Problem says why.
	Failed   int       `json:"failed,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
	Problem  string    `json:"problem,omitempty"`
	// Told is what its owner was told last, so that nothing is told twice.
	Told string `json:"told,omitempty"`
	// Rested is when a replacement has ended, by the entry that says so. What is told
	// of what runs may be a moment old, so that the old one seems to be there still.
	Rested time.Time `json:"-"`
	// Stopped is when it was made to end, because nothing may follow it.
	Stopped time.Time `json:"stopped,omitzero"`
}

// empty reports whether there is nothing to remember.
func (m *Memory) empty() bool { return *m == Memory{} }

// Deed is what is done to a workload.
type Deed string

// The deeds.
const (
	Wait    Deed = ""        // nothing now
	Ask     Deed = "ask"     // the gate, about what would follow
	Replace Deed = "replace" // by the workload's means
	Stop    Deed = "stop"    // it ends, and nothing may follow it
)

// Step is one replacement on its way. It is in the record before anything is done.
type Step struct {
	ID   string   `json:"id"` // ULID; on whatever the hands change, so that they know their own
	Of   Identity `json:"of"`
	UID  string   `json:"uid"` // the very object
	Deed Deed     `json:"deed"`
	Why  Why      `json:"why"`
	// Reason is why, for people.
	Reason string `json:"reason"`
	Means  Means  `json:"means"`
	Owner  string `json:"owner,omitempty"`
	// Forced is true past the deadline: disruption budgets do not hold.
	Forced bool `json:"forced,omitempty"`
	// Started is what it is to be younger than.
	Started time.Time `json:"started"`
	Planned time.Time `json:"planned"`
	Begun   time.Time `json:"begun,omitzero"` // when the hands were first seen to have begun
	// Before is Workload.State when it was planned.
	Before string `json:"before,omitempty"`
	// Stage is how far it is, and Looked and Waited when that was last seen and how
	// long it has been seen to wait. Time in which nobody could look is no wait.
	Stage  Stage         `json:"stage,omitempty"`
	Looked time.Time     `json:"looked,omitzero"`
	Waited time.Duration `json:"waited,omitempty"`
	// Undoing says why it goes back; empty while it goes forward.
	Undoing string `json:"undoing,omitempty"`

	// What it keeps busy: see Workload.
	Takes    int      `json:"takes,omitempty"`
	Services []string `json:"services,omitempty"`
	Guards   []string `json:"guards,omitempty"`
}

// Younger reports whether what began then is younger than what the step is to replace.
// A clock that is ahead of the planner's makes nothing younger.
func (s *Step) Younger(began time.Time) bool {
	if began.After(s.Planned) {
		began = s.Planned
	}
	return began.After(s.Started)
}

// Stage is how far a step is.
type Stage string

// The stages.
const (
	NotBegun Stage = ""        // the hands have changed nothing
	Going    Stage = "going"   // it has begun, and what is new is not ready yet
	Held     Stage = "held"    // something keeps it from going on, such as a disruption budget
	Ready    Stage = "ready"   // what is new serves, and what was old is gone
	Stuck    Stage = "stuck"   // what is new does not become ready
	Strange  Stage = "strange" // somebody else has changed it meanwhile
	Gone     Stage = "gone"    // there is no such object any more
	Undone   Stage = "undone"  // it is as it was before
)
