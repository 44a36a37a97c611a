package gate

import (
	"context"
	"slices"
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
	// At is the moment: waivers lapse, freezes hold and rows begin as of then. Zero
	// for now.
	At   time.Time
	Last int // how many past decisions to try, 10,000 at most
}

// mostLast bounds how many past decisions are tried.
const mostLast = 10_000

// Simulate tries a change on everything that runs and on the last decisions, and
// writes nothing down. Both answers of a pair are given at the same moment, so
// that the change alone makes the difference.
//
// What runs is judged as something new there, but for the rows about its way
// (promoted, soak, approvals, frozen): it is there already. From is the answer of
// the rules and waivers in force, To that of the trial, both with the advisories
// of now. A past decision is taken again on what it was taken on, history and
// advisories included.
//
// With Advisories, From is what was said when each was last judged, and To what
// the advisories of now make of it.
//
// What runs and was never scanned, and a decision whose inputs are no longer kept,
// are left out and not counted. A place is mapped anew by the rows of the trial,
// unless labels or the workload itself had a say in it: those are not kept.
func (d *Door) Simulate(ctx context.Context, t Trial) (*Simulation, error) {
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	g, err := d.ground(ctx)
	if err != nil {
		return nil, err
	}
	if t.At.IsZero() {
		t.At = g.now
	}
	t.At = t.At.UTC()
	s := &simulation{Door: d, trial: t, book: g.book, rules: t.Rules, waivers: slices.Concat(g.book.Waivers, t.Waivers), by: map[touchstone.Digest]*tried{}}
	if s.rules == nil {
		s.rules = g.book.Rules
	}
	s.custom = conditions(g.book.Rules) || conditions(s.rules)
	if err := s.collect(ctx); err != nil {
		return nil, err
	}
	s.survey = d.c.Gate.survey(t.At)
	defer s.survey.close()
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return s.result(), nil
}

// conditions reports whether the rules have conditions of their own, which may look
// at more than the measures do.
func conditions(r *touchstone.Rules) bool {
	return slices.ContainsFunc(r.Rows, func(row touchstone.Rule) bool { return row.When != nil })
}

// Mode says whether the rules are enforced in a namespace.
type Mode struct {
	Cluster   string    `json:"cluster,omitempty"`
	Namespace string    `json:"namespace"`
	Enforced  bool      `json:"enforced"`
	Since     time.Time `json:"since,omitzero"` // zero where nobody has set it
	By        string    `json:"by,omitempty"`
	Reason    string    `json:"reason,omitempty"`
}
