package touchstone

import "time"

// History is what happened before the question is asked, as far as a decision
// looks at it. The zero value is that of a command line without a server: rules
// about history are then not applicable.
type History struct {
	// Kept is true where a server keeps history; without it nobody knows what
	// was promoted or approved.
	Kept bool `json:"kept,omitempty"`
	// Promotions are those of this artifact: the same repository and digest.
	// The latest for each environment counts.
	Promotions []Promotion `json:"promotions,omitempty"`
	// Asker is who asks for the promotion or improvement; their own approval
	// does not count.
	Asker string `json:"asker,omitempty"`
	// Approvals were given to what is asked for.
	Approvals []Approval `json:"approvals,omitempty"`
	// Freezes are those that people have declared, beside the rules' own.
	Freezes []Freeze `json:"freezes,omitempty"`
	// LetIn is the decision that let this digest into this workload before; nil
	// when it was never there.
	LetIn *LetIn `json:"letIn,omitempty"`
	// Runs is what runs in the workload now; nil when nothing does, or nobody
	// knows.
	Runs *Runs `json:"runs,omitempty"`
	// Findings are the open ones on this digest in this place: they say since
	// when each thing has failed there.
	Findings []Finding `json:"findings,omitempty"`
	// Glass is set while a person's break-glass for this workload and digest
	// holds.
	Glass *Glass `json:"glass,omitempty"`
}

// Promotion says that an artifact may run in an environment.
type Promotion struct {
	ID          string    `json:"id"`       // ULID
	Artifact    string    `json:"artifact"` // repository, without tag and digest
	Digest      Digest    `json:"digest"`
	Environment string    `json:"environment"`
	By          string    `json:"by"`
	At          time.Time `json:"at"`
	Decision    string    `json:"decision,omitempty"` // id of the decision that allowed it
}

// Approval is one person's yes to what another asked for.
type Approval struct {
	By     string    `json:"by"`
	Groups []string  `json:"groups,omitempty"` // whom the person answered for, as the token says
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// LetIn is an earlier decision that let a digest into a workload.
type LetIn struct {
	Decision string    `json:"decision"` // its id
	At       time.Time `json:"at"`
	// Taken is true for what ran before the gate was there: it was taken in, not
	// let in.
	Taken bool `json:"taken,omitempty"`
	// Otherwise is true where the workload has another command now than when the
	// digest came in: what is asked of that is asked anew.
	Otherwise bool `json:"otherwise,omitempty"`
}

// Runs is what runs in a workload now, and what its place's rules refuse of it.
type Runs struct {
	Digest Digest `json:"digest"`
	// Failing are the things that refuse it, as Decision.Refusing returns them.
	Failing []string `json:"failing"`
}

// Finding is a failing rule on something that runs, with a deadline.
type Finding struct {
	Rule  string    `json:"rule"`            // its name in the rules
	Thing string    `json:"thing,omitempty"` // what fails, as Reason.Failing names it; empty for the rule as a whole
	Since time.Time `json:"since"`           // when it was first seen to fail there
	// Deadline is when it must be mended by the rule mend-within; zero when the
	// place has no such limit.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Glass is a person's break-glass: one workload and digest let in against the
// rules, for an hour.
type Glass struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}
