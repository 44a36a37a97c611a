package touchstone

import "time"

// Place is where something is to run. What the place is comes from whoever
// runs it, never from the artifact; what a workload says of itself can only
// make it stricter.
type Place struct {
	Environment string   `json:"environment"`         // its name in the rules
	Cluster     string   `json:"cluster,omitempty"`   // its name, where one was given
	Namespace   string   `json:"namespace,omitempty"` // its name, where one was given
	Node        string   `json:"node,omitempty"`      // its name, where one was given
	Class       Class    `json:"class"`
	Sensitivity string   `json:"sensitivity,omitempty"` // free word, such as "pci"
	Exposure    Exposure `json:"exposure"`
	Impact      Impact   `json:"impact,omitempty"` // what its failure does to people and mission (SSVC "Human Impact")
	Owner       string   `json:"owner,omitempty"`  // who answers for what runs there
	// Assumed lists what nobody said, as sentences for people.
	Assumed []string `json:"assumed"`
}

// Class is the sort of workload.
type Class string

// The classes of workload.
const (
	ClassApplication Class = "application"
	ClassDataScience Class = "data-science"
	ClassSystem      Class = "system"
)

// Exposure says who can reach the place, in the terms of SSVC's "System
// Exposure" (CERT/CC, SSVC 2.1): internal is "small".
type Exposure string

// The exposures, narrow to wide.
const (
	ExposureUnknown    Exposure = ""
	ExposureInternal   Exposure = "internal"
	ExposureControlled Exposure = "controlled"
	ExposureOpen       Exposure = "open"
)

// Occasion is why a decision is asked for.
type Occasion string

// The occasions.
const (
	OccasionCheck   Occasion = "check"
	OccasionPromote Occasion = "promote"
	OccasionAdmit   Occasion = "admit"
	OccasionRestart Occasion = "restart"
	OccasionRunning Occasion = "running"
	OccasionLogin   Occasion = "login"
	OccasionChange  Occasion = "change"  // a file of what runs differs: Question.Drift
	OccasionExecute Occasion = "execute" // what is not in the artifact is executed: Question.Execution
)

// Question is what a decision answers: the occasion, the place, and what the
// workload itself sets.
type Question struct {
	Occasion Occasion `json:"occasion"`
	Place    Place    `json:"place"`
	// Workload is what is to run the artifact, where that is known.
	Workload Workload `json:"workload,omitzero"`
	Settings
	// Login is set when the occasion is a login.
	Login *Login `json:"login,omitempty"`
	// Started is when what runs began, for the grace period of a row; zero where
	// nobody knows, which grants none.
	Started time.Time `json:"started,omitzero"`
	// Drift is set when the occasion is a change, Execution when it is to execute.
	Drift     *Drift     `json:"drift,omitempty"`
	Execution *Execution `json:"execution,omitempty"`
}
