package touchstone

import (
	"slices"
	"strconv"
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
func Decide(r *Rules, c *Case) Decision {
	a := asking{rules: r, c: c, env: r.environment(c.Question.Place.Environment), reasons: make([]Reason, 0, len(r.Rows)+1)}
	if row := r.Row("cvss"); row != nil {
		a.cvss = r.cell(row, a.env, &c.Question.Place).Limit
	}
	a.split = r.Row("unfixable") != nil
	a.integrity()
	for i := range r.Rows {
		if row := &r.Rows[i]; a.concerns(row) {
			a.row(row)
		}
	}
	d := Decision{
		Verdict:      verdict(a.reasons),
		Place:        c.Question.Place,
		At:           c.Now,
		Until:        a.until,
		RulesVersion: r.Version,
		Reasons:      a.reasons,
		Inputs: Inputs{
			Index:   c.Knowledge.Index.Revision,
			Rules:   r.Version,
			Waivers: c.WaiversDigest,
		},
	}
	if c.Evidence != nil {
		d.Inputs.Evidence = c.Evidence.ID
	}
	slices.SortStableFunc(d.Reasons, func(x, y Reason) int { return x.weight() - y.weight() })
	return d
}

// asking is one run of Decide.
type asking struct {
	rules   *Rules
	c       *Case
	env     int
	cvss    Limit // of the row cvss here; without an Op it allows everything
	split   bool  // holes without a fix are the row unfixable's
	until   time.Time
	reasons []Reason
}

// concerns reports whether the row is asked on this occasion.
func (a *asking) concerns(row *Rule) bool {
	switch row.Name {
	case "mend-within", "restart", "run-unknown", "change", "login", "replace-after":
		return false
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
		why.Outcome, why.Effect, why.Seen = NotApplicable, EffectNone, "not asked in "+a.rules.Environments[a.env]
		a.file(why)
		return
	}
	why.Effect = effect
	q := query{asking: a, row: row, cell: cell, why: &why}
	if !slices.Contains(a.rules.Waiving.Never, row.Name) {
		for i := range a.c.Waivers {
			if w := &a.c.Waivers[i]; w.live(row.Name, a.rules.Environments[a.env], &a.c.Artifact, a.c.Now) {
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
		why := &reasons[i]
		if why.Effect != EffectRefuse && why.Effect != EffectApprove {
			continue
		}
		switch {
		case why.Outcome == Fail, why.Outcome == Unknown && !why.Outside:
			return Refused
		case why.Outcome == Unknown:
			v = Undecided
		}
	}
	return v
}

// Refuses reports whether the reason by itself refuses.
func (r *Reason) Refuses() bool { return verdict([]Reason{*r}) == Refused }

// weight orders reasons, worst first.
func (r *Reason) weight() int {
	hard := r.Effect == EffectRefuse || r.Effect == EffectApprove
	switch {
	case r.Outcome == Fail && hard, r.Outcome == Unknown && hard && !r.Outside:
		return 0
	case r.Outcome == Unknown && hard:
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

// query is one rule being asked.
type query struct {
	*asking
	row     *Rule
	cell    Cell
	waivers []*Waiver // those that hold for the rule, the artifact and now
	why     *Reason
}

// ask evaluates the rule and fills in outcome, seen and fix.
func (q *query) ask() {
	e, k := q.c.Evidence, &q.c.Knowledge
	if q.row.When != nil {
		q.custom()
		return
	}
	switch q.row.Name {
	case "unseen":
		q.unseen()
	case "cvss", "unfixable", "known-exploited", "epss", "unscored", "fix-available-for":
		q.holes()
	case "no-advisories":
		q.uncovered()
	case "stale-advisories":
		q.stale()
	case "gaps":
		q.gaps()
	case "secrets":
		q.secrets()
	case "unpinned":
		q.unpinned()
	case "no-golden-base", "old-base":
		q.base(&k.Lineage)
	case "image-age":
		q.age()
	case "allowed-registries":
		q.registries()
	case "denied-packages":
		q.denied()
	case "required-packages":
		q.required()
	case "licences":
		q.licences()
	case "runs-as-root":
		q.root()
	case "setuid":
		q.faults(e.Surface.Setuid, "setuid or setgid program", "drop the bit (chmod a-s) or the program")
	case "file-capabilities":
		q.parts(capable(e.Surface.Capabilities), "program with file capabilities", "drop them (setcap -r) or the program")
	case "shells":
		q.faults(e.Surface.Shells, "shell", "build in one stage and copy into a base without a shell")
	case "package-managers":
		q.faults(e.Surface.PackageManagers, "package manager", "build in one stage and copy into a base without one")
	case "interpreters":
		q.faults(e.Surface.Interpreters, "script interpreter", "copy only what runs into a base without it")
	case "network-tools":
		q.faults(e.Surface.NetworkTools, "network tool", "remove it; an HTTP health check belongs into the probe")
	case "debug-tools":
		q.faults(e.Surface.DebugTools, "debugging or build tool", "build in one stage and copy the result into another")
	case "login-daemons":
		q.faults(e.Surface.LoginDaemons, "login daemon", "remove it: what runs is replaced, not logged into")
	case "world-writable":
		q.faults(e.Surface.WorldWritable, "place that anyone may write", "chmod o-w, or set the sticky bit")
	case "surface":
		q.number(e.Surface.Size, "entry of attack surface", "entries of attack surface")
	case "executables":
		q.number(e.Manifest.Executables, "executable file", "executable files")
	case "unneeded-libraries":
		q.number(len(e.Surface.Unneeded), "library that nothing needs", "libraries that nothing needs")
	default:
		q.unknown("this program does not know the rule", "update touchstone, or take the row out", true)
	}
}

func (q *query) pass(seen string) { q.why.Outcome, q.why.Seen = Pass, seen }

func (q *query) fail(seen, fix string) { q.why.Outcome, q.why.Seen, q.why.Fix = Fail, seen, fix }

func (q *query) notApplicable(seen string) { q.why.Outcome, q.why.Seen = NotApplicable, seen }

func (q *query) unknown(seen, fix string, outside bool) {
	// A waiver that a score ends does not hold where no score is known.
	if w := q.wholeWaiver(); w != nil && w.ScoreAbove == 0 {
		q.waived(seen, w)
		return
	}
	q.why.Outcome, q.why.Seen, q.why.Fix, q.why.Outside = Unknown, seen, fix, outside
}

func (q *query) waived(seen string, w *Waiver) {
	q.why.Outcome, q.why.Seen = Waived, seen
	q.use(w)
}

// use notes that a waiver was needed, and keeps the one that lapses first.
func (q *query) use(w *Waiver) {
	q.lapses(w.Until)
	if q.why.Waiver == nil || w.Until.Before(q.why.Waiver.Until) {
		q.why.Waiver = &WaiverUse{ID: w.ID, Until: w.Until, Owner: w.Owner}
	}
}

// failUnlessWaived is fail for a rule that has no parts to waive one by one.
func (q *query) failUnlessWaived(seen, fix string) {
	if w := q.wholeWaiver(); w != nil {
		q.waived(seen, w)
		return
	}
	q.fail(seen, fix)
}

func (q *query) wholeWaiver() *Waiver {
	var found *Waiver
	for _, w := range q.waivers {
		if w.WholeRule && (found == nil || found.ScoreAbove > 0) {
			found = w
		}
	}
	return found
}

// faults fails for each thing that no waiver covers.
func (q *query) faults(things []string, noun, fix string) {
	parts := make([]part, len(things))
	for i, t := range things {
		parts[i] = part{t, t}
	}
	q.parts(parts, noun, fix)
}

// part is one of the things for which a rule fails.
type part struct {
	name string // the bare thing, as a waiver may call it
	told string // with what it is about
}

// parts is faults for things that are told with what they are about.
func (q *query) parts(parts []part, noun, fix string) {
	var failing, all []string
	for _, p := range parts {
		all = append(all, p.told)
		if w := q.coveringThing(p); w != nil {
			q.use(w)
			continue
		}
		failing = append(failing, p.told)
	}
	switch {
	case len(failing) > 0:
		q.why.Failing = failing
		q.fail(listed(failing, noun), fix)
	case len(all) > 0:
		q.why.Outcome, q.why.Seen = Waived, listed(all, noun)
	default:
		q.pass("no " + noun)
	}
}

func (q *query) coveringThing(p part) *Waiver {
	for _, w := range q.waivers {
		if w.coversThing(p.name, p.told) {
			return w
		}
	}
	return nil
}

// listed says how many things there are and names the first three.
func listed(things []string, noun string) string {
	const most = 3
	s := count(len(things), noun, plural(noun)) + ": " + strings.Join(things[:min(most, len(things))], ", ")
	if n := len(things) - most; n > 0 {
		s += " and " + strconv.Itoa(n) + " more"
	}
	return s
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// plural puts the head of a noun phrase into the plural: "program with file
// capabilities" becomes "programs with file capabilities".
func plural(noun string) string {
	head, rest := noun, ""
	for _, cut := range []string{" with ", " that ", " without ", " under "} {
		if i := strings.Index(noun, cut); i > 0 {
			head, rest = noun[:i], noun[i:]
			break
		}
	}
	if strings.HasSuffix(head, "y") && !strings.HasSuffix(head, "ey") {
		return head[:len(head)-1] + "ies" + rest
	}
	return head + "s" + rest
}
