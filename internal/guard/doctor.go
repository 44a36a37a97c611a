package guard

// Facts are what this kernel allows a guard, and what follows from that.
type Facts struct {
	Schema  string   `json:"schema"` // touchstone.dev/guard-doctor/v1
	Facts   []Fact   `json:"facts"`
	Summary []string `json:"summary"` // sentences for people
}

// Fact is one thing that the kernel, or this process, has or has not.
type Fact struct {
	Layer string `json:"layer"` // fanotify, bpf, drift
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Note  string `json:"note,omitempty"` // what was found, or what is missing without it
}

// Doctor tries what a guard needs of the kernel. It changes nothing.
func Doctor() *Facts { return &Facts{Schema: "touchstone.dev/guard-doctor/v1"} }
