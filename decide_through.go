package touchstone

import "strings"

// RuleImproves is the row that may let through what is better than what runs.
const RuleImproves = "improves"

// approved lets be what the rows refuse unless somebody approves, where somebody
// other than who asks has. Nobody can approve what was never inspected.
func (a *asking) approved() {
	by := a.c.History.approvers(Anyone)
	for i := range a.reasons {
		why := &a.reasons[i]
		if why.Effect != EffectApprove || !why.Refuses() || why.Rule == "unseen" {
			continue
		}
		if len(by) > 0 {
			why.letBe("approved by " + strings.Join(by, ", "))
		}
	}
}

// improves holds what refuses the artifact against what refuses the one that runs
// in its place, and lets it through where it is better and the row says so.
func (a *asking) improves() *Comparison {
	if verdict(a.reasons) != Refused {
		return nil
	}
	better := a.compare()
	row := a.rules.Row(RuleImproves)
	if !better.Better() || row == nil {
		return better
	}
	cell := a.rules.cell(row, a.env, &a.c.Question.Place)
	by := a.c.History.approvers(Anyone)
	seen := "better than what runs: without " + listed(better.Mended, "refusal")
	why := Reason{
		Rule: RuleImproves, Outcome: Pass, Effect: EffectNone, Seen: seen, Allowed: cell.String(),
		Because: row.Because, Owner: row.Owner, Aligns: row.Aligns,
	}
	switch {
	case cell.Effect.Soft():
	case cell.Effect == EffectApprove && len(by) > 0:
		why.Seen += "; approved by " + strings.Join(by, ", ")
	case cell.Effect == EffectApprove:
		why.Outcome, why.Effect, why.Fix = Fail, EffectWarn, "one approval by somebody else lets it through: touchstone approve ID"
		a.file(why)
		return better
	default:
		return better
	}
	for i := range a.reasons {
		if r := &a.reasons[i]; r.Refuses() && r.Rule != RuleIntegrity && r.Rule != "unseen" {
			r.letBe("let through: " + why.Seen)
		}
	}
	a.file(why)
	return better
}

// compare returns nil where one of the two is not known well enough.
func (a *asking) compare() *Comparison {
	runs := a.c.History.Runs
	if runs == nil || a.c.Evidence == nil || a.c.Problem != "" || a.c.False != "" {
		return nil
	}
	c := Comparison{Mended: []string{}, New: []string{}}
	before := make(map[string]bool, len(runs.Failing)) // whether it is still to be looked at
	for _, thing := range runs.Failing {
		if rule, _, _ := strings.Cut(thing, " "); rule == "unseen" || rule == RuleInspect {
			return nil
		}
		before[thing] = true
	}
	asked, told := map[string]bool{}, map[string]bool{}
	for i := range a.reasons {
		why := &a.reasons[i]
		if ofTheRoad(why.Rule) {
			continue
		}
		asked[why.Rule] = why.Outcome == Pass || why.Outcome == Fail || why.Outcome == Waived && len(why.Waived) > 0
		for _, thing := range why.Failing {
			told[thing] = true
		}
		for _, thing := range why.Waived {
			told[thing] = true
		}
		if !why.Refuses() {
			continue
		}
		for _, thing := range why.things() {
			if _, known := before[thing]; !known {
				c.New = append(c.New, thing)
			}
			before[thing] = false
		}
	}
	for _, thing := range runs.Failing {
		rule, part, _ := strings.Cut(thing, " ")
		// What another rule still tells, what is only waived, and what nobody could
		// ask is not mended.
		if before[thing] && asked[rule] && !told[part] {
			c.Mended = append(c.Mended, thing)
		}
		before[thing] = false
	}
	return &c
}

// ofTheRoad reports whether the rule is about how an artifact came here and not
// about the artifact.
func ofTheRoad(rule string) bool {
	switch rule {
	case "frozen", "promoted", "soak", "approvals":
		return true
	}
	return false
}

// glass lets be what refuses or stalls while a person's break-glass holds.
func (a *asking) glass() {
	g := a.c.History.Glass
	switch a.occasion {
	case OccasionAdmit, OccasionRestart, OccasionRunning:
	default:
		return
	}
	if g == nil || g.By == "" || !a.c.Now.Before(g.Until) {
		return
	}
	for i := range a.reasons {
		if why := &a.reasons[i]; why.Rule != RuleIntegrity && (why.Refuses() || why.Stalls()) {
			why.letBe("let in by break-glass of " + g.By + ": " + g.Reason + ", until " + instant(g.Until, nil))
			a.lapses(g.Until)
		}
	}
}
