package touchstone

// The rows about acts on what runs.
const (
	RuleRunUnknown = "run-unknown"
	// RuleRunUnjudged is asked in place of run-unknown about what nobody could judge
	// in time. Rules without such a row alert, where they ask run-unknown.
	RuleRunUnjudged = "run-unjudged"
	RuleChange      = "change"
	RuleLogin       = "login"
)

// actsOnRunning reports whether the occasion is an act on something that runs.
func (o Occasion) actsOnRunning() bool {
	return o == OccasionLogin || o == OccasionChange || o == OccasionExecute
}

// act judges an act on what runs. What was found in the artifact, and where its
// bytes contradict themselves, does not matter to it.
func (a *asking) act() Decision {
	d := Decision{
		Verdict: Allowed, Place: a.c.Question.Place, At: a.c.Now, RulesVersion: a.rules.Version, Reasons: []Reason{},
		Action: EffectNone, Inputs: a.inputs(),
	}
	row := a.aboutAct()
	if row == nil {
		return d
	}
	a.reasons = make([]Reason, 0, 1)
	a.row(row)
	d.Verdict, d.Until, d.Reasons = verdict(a.reasons), a.until, a.reasons
	switch why := &a.reasons[0]; {
	case why.Outcome != Fail:
	case !why.Refuses():
		d.Action = EffectAlert
	default:
		d.Action = a.rules.cell(row, a.env, &a.c.Question.Place).Effect.harm(row)
	}
	return d
}

// aboutAct returns the row that is asked, or nil.
func (a *asking) aboutAct() *Rule {
	switch a.occasion {
	case OccasionLogin:
		return a.rules.Row(RuleLogin)
	case OccasionChange:
		return a.rules.Row(RuleChange)
	}
	known := a.rules.Row(RuleRunUnknown)
	if e := a.c.Question.Execution; e == nil || e.Unjudged == "" {
		return known
	}
	if row := a.rules.Row(RuleRunUnjudged); row != nil {
		return row
	}
	if known == nil || a.rules.cell(known, a.env, &a.c.Question.Place).Effect == EffectNone {
		return nil
	}
	cells := make([]Cell, len(a.rules.Environments))
	for i := range cells {
		cells[i].Effect = EffectAlert
	}
	return &Rule{Name: RuleRunUnjudged, Cells: cells, Implied: true}
}

// harm is what is done where the effect refuses an act. What nobody could judge is
// never a reason to take away what runs.
func (e Effect) harm(row *Rule) Effect {
	if e == EffectKill && row.Name != RuleRunUnjudged {
		return EffectKill
	}
	return EffectBlock
}

// onAct turns what a cell says about acts into what a reason says of them: they
// pass with a warning, or are refused.
func (q *query) onAct() {
	if q.why.Effect = EffectRefuse; q.cell.Effect.Soft() {
		q.why.Effect = EffectWarn
	}
}

// graced makes a warning of what would refuse within the row's grace period after
// the start. A start that lies ahead is a clock that was set, and grants nothing.
func (a *asking) graced(row *Rule, why *Reason) {
	start := a.c.Question.Started
	if row.Grace <= 0 || start.IsZero() || why.Effect == EffectWarn || !row.actsOnRunning() {
		return
	}
	end := start.Add(row.Grace)
	switch now := a.c.Now; {
	case now.Before(start):
		a.lapses(start)
	case now.Before(end):
		a.lapses(end)
		why.Effect = EffectWarn
		why.Allowed += ", alert for " + Minutes(row.Grace) + " after the start"
	}
}

func (r *Rule) actsOnRunning() bool {
	switch r.Name {
	case RuleRunUnknown, RuleRunUnjudged, RuleChange, RuleLogin:
		return true
	}
	return false
}

// failAt fails for the path unless a waiver names it, or its content, as the
// package.
func (q *query) failAt(path string, content Digest, seen, fix string) {
	for _, w := range q.waivers {
		if w.coversContent(path, content) {
			q.setAside(path, w)
			q.why.Outcome, q.why.Seen = Waived, seen
			return
		}
	}
	if path != "" {
		q.why.Failing = []string{path}
	}
	q.fail(seen, fix)
}

// login judges a person's way into what runs.
func (q *query) login() {
	seen := "a person gets in"
	if l := q.c.Question.Login; l != nil {
		seen = string(l.Kind)
		if l.By != "" {
			seen += " by " + l.By
		}
	}
	q.onAct()
	q.failUnlessWaived(seen, "change the image and redeploy; a class or place of the rules may allow logins")
}

// runUnknown judges what is run and is not in the artifact.
func (q *query) runUnknown() {
	q.onAct()
	what, path, content := "something", "", Digest("")
	if e := q.c.Question.Execution; e != nil {
		what, path, content = e.String(), e.Path, e.SHA256
	}
	q.failAt(path, content, "runs "+what+", which is not in the "+q.artifact(), "build it into the image and redeploy: "+q.command())
}

// runUnjudged judges what is run while nobody could tell what it is.
func (q *query) runUnjudged() {
	q.onAct()
	e := q.c.Question.Execution
	q.failAt(e.Path, e.SHA256, "runs "+e.String()+", and nobody could tell in time whether it is in the "+q.artifact()+": "+e.Unjudged,
		"run it again; where it happens often: touchstone guard status")
}

// change judges a file that differs from the artifact.
func (q *query) change() {
	q.onAct()
	d := q.c.Question.Drift
	if d == nil {
		d = &Drift{}
	}
	switch {
	case q.rules.Guard.manages(d.Managed):
		q.pass(d.String() + " by " + d.Managed + ", which the rules declare")
	case d.Volume != "" && d.data():
		q.pass(d.String() + ": in a volume, only what can be executed counts")
	case d.data() && q.rules.writable(&q.c.Question.Place, q.c.Artifact.Name, d.Path):
		q.pass(d.String() + ": in a place that is declared writable, only what can be executed counts")
	default:
		q.failAt(d.Path, "", d.String(), "put it into the image and redeploy: "+q.command()+"; data belongs into a volume, or into a place that the rules declare writable")
	}
}

// artifact is what people call that which runs.
func (q *query) artifact() string {
	if q.c.Artifact.Kind == KindFilesystem {
		return "golden image"
	}
	return "image"
}

// command is what to run before the next deployment.
func (q *query) command() string {
	name := q.c.Artifact.Name
	if name == "" {
		name = "IMAGE"
	}
	return "touchstone check " + name + " --env " + q.environment()
}
