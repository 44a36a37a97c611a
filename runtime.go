package touchstone

import "time"

// SchemaRuntimeEvent is that of what a guard tells.
const SchemaRuntimeEvent = "touchstone.dev/runtime-event/v1"

// RuntimeEvent is one thing that a guard has seen on what runs, and what was done
// about it. What happens again and again in a short time is one event with a Count.
type RuntimeEvent struct {
	Schema string    `json:"schema"` // touchstone.dev/runtime-event/v1
	ID     string    `json:"id"`     // ULID
	At     time.Time `json:"at"`     // when it was first seen
	// Last and Count tell of repetitions: when it was last seen, and how often.
	Last  time.Time        `json:"last,omitzero"`
	Count int              `json:"count"` // how often it was seen; 1 where it was once
	Kind  RuntimeEventKind `json:"kind"`

	Node     string   `json:"node"` // its name, as the cluster or the node itself has it
	Running  Running  `json:"running"`
	Artifact Artifact `json:"artifact"`
	Place    Place    `json:"place"`

	// One of these says what was seen, as Kind does.
	Execution *Execution `json:"execution,omitempty"` // where Kind is run-unknown
	Drift     *Drift     `json:"drift,omitempty"`     // where Kind is change
	Login     *Login     `json:"login,omitempty"`     // where Kind is login
	Trouble   string     `json:"trouble,omitempty"`   // where Kind is guard: what is wrong, in a sentence

	// Process is who did it, and Tree those above it in what runs, the nearest
	// first; for a login, those that it made.
	Process *Process  `json:"process,omitempty"`
	Tree    []Process `json:"tree,omitempty"` // see Process

	Reason Reason `json:"reason"` // what the rule said
	Action Effect `json:"action"` // what the rules ask for: none, alert, block, kill
	Steps  []Step `json:"steps"`  // what was done, in order
	// ReplacedBy names the clean container that is there instead, once it is.
	ReplacedBy string `json:"replacedBy,omitempty"`
}

// RuntimeEventKind is what a RuntimeEvent is about.
type RuntimeEventKind string

// The kinds. Each of the first three is judged by the rule of its name.
const (
	EventRunUnknown RuntimeEventKind = "run-unknown"
	EventChange     RuntimeEventKind = "change"
	EventLogin      RuntimeEventKind = "login"
	EventGuard      RuntimeEventKind = "guard" // the guard itself: enforcement is not attached, events were lost
	EventReplaced   RuntimeEventKind = "replaced"
)

// Running names one container, or a host, on a node.
type Running struct {
	ID        string   `json:"id"`                  // the runtime's; "host" for the node itself
	Pod       string   `json:"pod,omitempty"`       // of Kubernetes, its name
	PodUID    string   `json:"podUID,omitempty"`    // of Kubernetes
	Namespace string   `json:"namespace,omitempty"` // of Kubernetes
	Workload  Workload `json:"workload,omitzero"`
}

// Process is one process on a node.
type Process struct {
	PID     int       `json:"pid"`               // as the node counts
	Parent  int       `json:"parent,omitempty"`  // its PID
	UID     int       `json:"uid"`               // the user that it runs as, as the node counts
	Path    string    `json:"path"`              // of its program, as it sees it
	Command []string  `json:"command,omitempty"` // redacted
	Started time.Time `json:"started,omitzero"`  // zero where nobody knows
}

// Step is one rung of the ladder that was tried.
type Step struct {
	At time.Time `json:"at"` // when it was tried
	Do Deed      `json:"do"`
	// Layer is what did it: "fanotify", "bpf", "runtime", "server".
	Layer string `json:"layer,omitempty"`
	// Problem says why it could not be done, or was left undone; empty where it was
	// done.
	Problem string `json:"problem,omitempty"`
}

// Deed is what is done about something that runs.
type Deed string

// The rungs of the ladder, mild to hard.
const (
	DeedTold    Deed = "told"
	DeedDenied  Deed = "denied"  // the act failed with EPERM
	DeedKilled  Deed = "killed"  // the process, or every process of the login
	DeedStopped Deed = "stopped" // the container
	DeedEvicted Deed = "evicted" // the pod, by the server
)
