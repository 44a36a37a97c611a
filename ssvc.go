package touchstone

// SSVC holds the decision points of Stakeholder-Specific Vulnerability
// Categorization (CERT/CC, SSVC 2.1) that a source has published for a hole.
// An empty value is unknown.
type SSVC struct {
	Exploitation    string `json:"exploitation,omitempty"`    // none, poc, active
	Automatable     string `json:"automatable,omitempty"`     // no, yes
	TechnicalImpact string `json:"technicalImpact,omitempty"` // partial, total
	Source          string `json:"source,omitempty"`
}

// Priority is SSVC's answer for who deploys: how soon to act.
type Priority string

// The priorities, early to late.
const (
	PriorityImmediate  Priority = "immediate"
	PriorityOutOfCycle Priority = "out-of-cycle"
	PriorityScheduled  Priority = "scheduled"
	PriorityDefer      Priority = "defer"
)

func (p Priority) rank() int {
	switch p {
	case PriorityDefer:
		return 0
	case PriorityScheduled:
		return 1
	case PriorityOutOfCycle:
		return 2
	default:
		return 3
	}
}

// Urgency is a range of priorities: what is unknown widens it.
type Urgency struct {
	Worst   Priority `json:"worst"`
	Best    Priority `json:"best"`
	Unknown []string `json:"unknown,omitempty"` // the decision points that nobody has told
}
