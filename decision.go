package touchstone

import "time"

// Verdict is what a decision comes to.
type Verdict string

// The verdicts, good to bad.
const (
	Allowed   Verdict = "allowed"
	Undecided Verdict = "undecided" // a rule that could refuse could not be evaluated, for a reason outside the artifact
	Refused   Verdict = "refused"
)

// Worse reports whether v is a harder answer than w.
func (v Verdict) Worse(w Verdict) bool { return v.rank() > w.rank() }

func (v Verdict) rank() int {
	switch v {
	case Allowed:
		return 0
	case Undecided:
		return 1
	default:
		return 2
	}
}

// Outcome is what came of asking one rule.
type Outcome string

// The outcomes.
const (
	Pass          Outcome = "pass"
	Fail          Outcome = "fail"
	Waived        Outcome = "waived"
	Unknown       Outcome = "unknown"
	NotApplicable Outcome = "not-applicable"
)

// Decision is the answer to a question about one artifact in one place.
type Decision struct {
	Verdict Verdict `json:"verdict"`
	Place   Place   `json:"place"`
	// At is the moment of the decision; Until the moment from which it may
	// differ although no input has changed (a waiver lapses, an advisory index
	// gets too old). Zero means never.
	At           time.Time `json:"at"`
	Until        time.Time `json:"until,omitzero"` // see At
	RulesVersion Digest    `json:"rulesVersion"`   // names the rules file by its bytes
	Reasons      []Reason  `json:"reasons"`        // one for each rule asked, worst first
	// Better says how the artifact compares with what runs in the workload now,
	// when it is refused and something runs there.
	Better *Comparison `json:"better,omitempty"`
	// Findings are the things that the rules would refuse in something new, and
	// that are let be here because it already runs; with their deadlines.
	Findings []Finding `json:"findings,omitempty"`
	// Action is what is to be done about an act on something that runs (a login, a
	// change, an execution): none, alert, block or kill. Empty on other occasions.
	Action Effect `json:"action,omitempty"`
	Inputs Inputs `json:"inputs"`
}

// Comparison holds what refuses an artifact against what refuses the one that
// runs in its place now.
type Comparison struct {
	Mended []string `json:"mended"` // what refuses the running one and not this one
	New    []string `json:"new"`    // what refuses this one and not the running one
}

// Better reports whether nothing new refuses the artifact, and at least one thing
// less.
func (c *Comparison) Better() bool { return c != nil && len(c.New) == 0 && len(c.Mended) > 0 }

// Refusing returns what refuses, one string for each thing: "rule thing", or the
// rule alone where it has no parts. What is let be because it runs already is
// among it; what could not be evaluated for a reason outside the artifact is not.
func (d *Decision) Refusing() []string {
	var out []string
	for i := range d.Reasons {
		why := &d.Reasons[i]
		if why.Refuses() {
			out = append(out, why.things()...)
		} else if why.Outcome == Fail || !why.Outside {
			out = append(out, d.letBe(why.Rule)...)
		}
	}
	return out
}

// letBe returns what is let be of a rule because it runs already.
func (d *Decision) letBe(rule string) []string {
	var out []string
	for i := range d.Findings {
		if f := &d.Findings[i]; f.Rule == rule {
			out = append(out, named(f.Rule, f.Thing))
		}
	}
	return out
}

// things names each thing for which the rule fails: "rule thing".
func (r *Reason) things() []string {
	if len(r.Failing) == 0 {
		return []string{r.Rule}
	}
	out := make([]string, len(r.Failing))
	for i, thing := range r.Failing {
		out[i] = named(r.Rule, thing)
	}
	return out
}

func named(rule, thing string) string {
	if thing == "" {
		return rule
	}
	return rule + " " + thing
}

// Reason is what one rule said.
type Reason struct {
	Rule    string   `json:"rule"` // its name in the rules
	Outcome Outcome  `json:"outcome"`
	Effect  Effect   `json:"effect"`
	Seen    string   `json:"seen"`              // what the artifact has, for people
	Allowed string   `json:"allowed"`           // what the rule lets pass, as the rules file writes it
	Because string   `json:"because,omitempty"` // why the rule is there
	Fix     string   `json:"fix,omitempty"`     // what puts it right
	Owner   string   `json:"owner,omitempty"`   // who answers for the rule
	Aligns  []string `json:"aligns,omitempty"`  // the controls that the rule serves
	// Outside is true for an unknown outcome whose cause lies outside the
	// artifact: the index, the network, the store.
	Outside bool `json:"outside,omitempty"`
	// Failing lists what fails: ids of matches, packages, paths.
	Failing []string `json:"failing,omitempty"`
	// Waived lists what would fail without a waiver, in the same words.
	Waived []string `json:"waived,omitempty"`
	// Waiver is the waiver that set the rule aside, the first to lapse where
	// there are several.
	Waiver *WaiverUse `json:"waiver,omitempty"`
}

// WaiverUse names a waiver that was used, and when it lapses.
type WaiverUse struct {
	ID    string    `json:"id"`              // its id in the file of waivers
	Until time.Time `json:"until"`           // when it lapses
	Owner string    `json:"owner,omitempty"` // who answers for it
}

// Inputs are the digests of all that was decided on, so that the decision can
// be taken again.
type Inputs struct {
	Evidence Digest `json:"evidence,omitempty"` // the evidence, by its ID
	Index    Digest `json:"index,omitempty"`    // the advisories, by their revision
	Rules    Digest `json:"rules"`              // the rules file
	Waivers  Digest `json:"waivers,omitempty"`  // the file of waivers
	History  Digest `json:"history,omitempty"`  // what happened before, as the gate wrote it down
}
