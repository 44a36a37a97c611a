package touchstone

import (
	"slices"
	"strings"
	"time"
)

// RuleIntegrity is the one rule that no file can change: an artifact whose bytes
// contradict its own digests is refused everywhere, and never waived.
const RuleIntegrity = "integrity"

// RuleInspect stands for the inspection itself where it could not be done.
const RuleInspect = "inspect"

// Decide answers the question of a case by the rules. It is pure: the same
// arguments give the same decision, and nothing else is looked at.
//
// Refused if any effect is refuse (or approve, without an approval); else
// undecided if a rule that could refuse could not be evaluated for a reason
// outside the artifact; else allowed.
//
// What would refuse is let be, and told as a warning, in four cases: where it
// runs already and the row restart allows that; where the row says approve, and
// somebody has; where the row improves lets through what is better than what
// runs; and under a person's break-glass. None of them reaches the rule
// integrity.
//
// About an act on what runs (a login, a change, an execution) one row alone is
// asked, and Action says what is to be done: block and kill refuse the act, alert
// allows it with a warning.
func Decide(r *Rules, c *Case) Decision {
	a := asking{rules: r, c: c, occasion: occasion(c), env: r.environment(c.Question.Place.Environment)}
	if a.occasion.actsOnRunning() {
		return a.act()
	}
	if row := r.Row("cvss"); row != nil {
		a.cvss = r.cell(row, a.env, &c.Question.Place).Limit
	}
	a.split = r.Row("unfixable") != nil
	a.reasons = make([]Reason, 0, len(r.Rows)+1)
	a.integrity()
	for i := range r.Rows {
		if row := &r.Rows[i]; a.concerns(row) {
			a.row(row)
		}
	}
	d := Decision{Place: c.Question.Place, At: c.Now, RulesVersion: r.Version}
	switch a.occasion {
	case OccasionPromote, OccasionAdmit:
		a.approved()
		d.Better = a.improves()
	case OccasionRestart, OccasionRunning:
		a.approved()
		a.running()
	}
	a.glass()
	d.Verdict, d.Until, d.Reasons, d.Findings, d.Inputs = verdict(a.reasons), a.until, a.reasons, a.findings, a.inputs()
	slices.SortStableFunc(d.Reasons, func(x, y Reason) int { return x.weight() - y.weight() })
	return d
}

// inputs are the digests of what was decided on.
func (a *asking) inputs() Inputs {
	in := Inputs{Index: a.c.Knowledge.Index.Revision, Rules: a.rules.Version, Waivers: a.c.WaiversDigest}
	if a.c.Evidence != nil {
		in.Evidence = a.c.Evidence.ID
	}
	return in
}

// asking is one run of Decide.
type asking struct {
	rules    *Rules
	c        *Case
	occasion Occasion
	env      int
	cvss     Limit // of the row cvss here; without an Op it allows everything
	split    bool  // holes without a fix are the row unfixable's
	until    time.Time
	reasons  []Reason
	findings []Finding // what is let be because it runs already
}

// occasion returns what the case is judged as. A restart of what nobody has let in
// is none, and what this program does not know is judged as something new.
func occasion(c *Case) Occasion {
	switch o := c.Question.Occasion; {
	case o == OccasionCheck, o == OccasionPromote, o == OccasionRunning, o.actsOnRunning():
		return o
	case o == OccasionRestart && c.History.LetIn != nil:
		return o
	default:
		return OccasionAdmit
	}
}

// environment is the name of the column that is asked.
func (a *asking) environment() string { return a.rules.Environments[a.env] }

// concerns reports whether the row is asked on this occasion.
func (a *asking) concerns(row *Rule) bool {
	enters := a.occasion == OccasionPromote || a.occasion == OccasionAdmit
	switch row.Name {
	case RuleRunUnknown, RuleRunUnjudged, RuleChange, RuleLogin, RuleReplaceAfter, RuleReplaceDeadline, RuleRebuildAfter, RuleAfterDeadline:
		return false
	case "restart", "mend-within", "improves": // they are asked about what the others say
		return false
	case "promoted", "frozen":
		return enters
	case "soak", "approvals":
		return a.occasion == OccasionPromote
	case "privileged", "added-capabilities", "host-access", "own-command":
		return a.occasion != OccasionPromote && (a.occasion != OccasionCheck || a.c.Question.set())
	case "runs-as-root":
		return a.c.Evidence != nil || a.c.Question.User != ""
	case "unseen":
		return a.c.Problem == "" && a.c.False == ""
	default:
		return a.c.Evidence != nil
	}
}

// row asks one rule and files its reason.
func (a *asking) row(row *Rule) {
	cell := a.rules.cell(row, a.env, &a.c.Question.Place)
	effect := cell.Effect
	if effect == "" { // nobody said what follows, and silence lets nothing pass
		effect = EffectRefuse
	}
	why := Reason{Rule: row.Name, Outcome: Pass, Allowed: cell.String(), Because: row.Because, Owner: row.Owner, Aligns: row.Aligns}
	if effect == EffectNone {
		why.Outcome, why.Effect, why.Seen = NotApplicable, EffectNone, "not asked in "+a.environment()
		a.file(why)
		return
	}
	why.Effect = effect
	q := query{asking: a, row: row, cell: cell, why: &why}
	if !slices.Contains(a.rules.Waiving.Never, row.Name) {
		for i := range a.c.Waivers {
			if w := &a.c.Waivers[i]; w.live(row.Name, a.environment(), &a.c.Artifact, a.c.Now) {
				q.waivers = append(q.waivers, w)
			}
		}
	}
	q.ask()
	if why.Fix == "" || row.Fix != "" && why.Outcome == Fail {
		why.Fix = row.Fix
	}
	switch why.Outcome {
	case Fail, Unknown:
		a.temper(row, &why)
		a.graced(row, &why)
	default:
		why.Effect, why.Fix = EffectNone, ""
	}
	a.file(why)
}

// temper turns a refusal into a warning until the row's From.
func (a *asking) temper(row *Rule, why *Reason) {
	if row.From.IsZero() || !a.c.Now.Before(row.From) || why.Effect == EffectWarn {
		return
	}
	a.lapses(row.From)
	why.Effect = EffectWarn
	why.Allowed += ", from " + row.From.UTC().Format(time.DateOnly)
}

func (a *asking) file(why Reason) { a.reasons = append(a.reasons, why) }

// lapses notes a moment from which the decision may differ.
func (a *asking) lapses(t time.Time) {
	if t.After(a.c.Now) && (a.until.IsZero() || t.Before(a.until)) {
		a.until = t
	}
}

// keepsUntil notes the moment from which an age that began at start no longer
// keeps within the limit.
func (a *asking) keepsUntil(start time.Time, l Limit) {
	end := start.Add(l.Duration())
	if l.Op == AtMost {
		end = end.Add(1) // the bound itself is still allowed
	}
	a.lapses(end)
}

// integrity refuses what contradicts its own digests, and leaves undecided what
// could not be inspected.
func (a *asking) integrity() {
	if a.c.Problem != "" {
		seen, fix, _ := strings.Cut(a.c.Problem, "\nhint: ")
		a.file(Reason{
			Rule: RuleInspect, Outcome: Unknown, Effect: EffectRefuse, Outside: true,
			Seen: seen, Allowed: "an artifact that can be read", Fix: fix,
		})
		return
	}
	seen := a.c.False
	if a.c.Evidence != nil {
		for i := range a.c.Evidence.Gaps {
			if g := &a.c.Evidence.Gaps[i]; seen == "" && g.Kind == GapFalse {
				seen = g.Reason
			}
		}
	}
	if seen != "" {
		a.file(Reason{
			Rule: RuleIntegrity, Outcome: Fail, Effect: EffectRefuse,
			Seen: seen, Allowed: "bytes that agree with their digests",
			Because: "what contradicts its own digests is not what it says it is",
			Fix:     "build and push it again; if it happens twice, the registry or somebody on the way alters it",
		})
	}
}

func verdict(reasons []Reason) Verdict {
	v := Allowed
	for i := range reasons {
		switch {
		case reasons[i].Refuses():
			return Refused
		case reasons[i].Stalls():
			v = Undecided
		}
	}
	return v
}

// letBe makes a warning of a reason that refuses or stalls, and says why.
func (r *Reason) letBe(because string) {
	r.Effect = EffectWarn
	r.Seen += "; " + because
}

// Refuses reports whether the reason by itself refuses.
func (r *Reason) Refuses() bool {
	return r.hard() && (r.Outcome == Fail || r.Outcome == Unknown && !r.Outside)
}

// Stalls reports whether the reason by itself leaves the verdict undecided: the
// rule could refuse, and could not be evaluated for a reason outside the
// artifact.
func (r *Reason) Stalls() bool { return r.hard() && r.Outcome == Unknown && r.Outside }

// hard reports whether the rule refuses where it fails.
func (r *Reason) hard() bool { return r.Effect == EffectRefuse || r.Effect == EffectApprove }

// weight orders reasons, worst first.
func (r *Reason) weight() int {
	switch {
	case r.Refuses():
		return 0
	case r.Stalls():
		return 1
	case r.Outcome == Fail:
		return 2
	case r.Outcome == Unknown:
		return 3
	case r.Outcome == Waived:
		return 4
	case r.Outcome == Pass:
		return 5
	default:
		return 6
	}
}
