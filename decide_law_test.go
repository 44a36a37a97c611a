package touchstone

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyCase draws a case with holes, gaps, waivers and coverage of all sorts.
func anyCase(t *rapid.T) *Case {
	c := plainCase()
	c.Knowledge.Matches = rapid.SliceOfN(rapid.Custom(anyHole), 0, 6).Draw(t, "matches")
	c.Waivers = rapid.SliceOfN(rapid.Custom(anyWaiver), 0, 4).Draw(t, "waivers")
	if rapid.Bool().Draw(t, "gap") {
		c.Evidence.Gaps = []Gap{{Kind: GapCorrupt, Path: "a.jar"}}
	}
	c.Evidence.Created = anyDay(t, "created")
	c.Knowledge.Coverage[0].Confirmed = anyDay(t, "confirmed")
	c.Knowledge.Coverage[0].Covered = rapid.Bool().Draw(t, "covered")
	if rapid.Bool().Draw(t, "base") {
		c.Knowledge.Lineage.Base = &Base{Name: "base", Expires: anyDay(t, "expires")}
	}
	return c
}

func anyDay(t *rapid.T, label string) time.Time {
	n := rapid.IntRange(-40, 40).Draw(t, label)
	return noon.Add(time.Duration(n) * day)
}

func anyHole(t *rapid.T) Match {
	m := hole(fmt.Sprintf("CVE-%d", rapid.IntRange(1, 4).Draw(t, "id")), float64(rapid.IntRange(0, 10).Draw(t, "score")))
	if rapid.Bool().Draw(t, "fixable") {
		m.FixedVersions = []string{"1.1"}
	}
	m.Applies = rapid.Bool().Draw(t, "applies")
	m.KnownExploited = rapid.Bool().Draw(t, "exploited")
	m.Published = anyDay(t, "published")
	return m
}

func anyWaiver(t *rapid.T) Waiver {
	return Waiver{
		ID:         "w",
		Rule:       rapid.SampledFrom([]string{"cvss", "unfixable", "gaps", "image-age"}).Draw(t, "rule"),
		Advisory:   rapid.SampledFrom([]string{"", "CVE-1", "CVE-2"}).Draw(t, "advisory"),
		WholeRule:  rapid.Bool().Draw(t, "whole"),
		ScoreAbove: float64(rapid.IntRange(0, 9).Draw(t, "above")),
		UntilFix:   rapid.Bool().Draw(t, "until a fix"), UnlessExploited: rapid.Bool().Draw(t, "unless exploited"),
		Until: anyDay(t, "until"),
	}
}

func anyRules(t *rapid.T) *Rules {
	effect := rapid.SampledFrom([]Effect{EffectNone, EffectWarn, EffectRefuse})
	after := time.Duration(rapid.IntRange(0, 40).Draw(t, "after")) * day
	limit := func(name string) Cell {
		return Cell{Effect: EffectRefuse, Limit: Limit{Op: AtMost, Value: float64(rapid.IntRange(0, 9).Draw(t, name))}}
	}
	return table(
		rule("cvss", limit("cvss")),
		rule("unfixable", Cell{Effect: effect.Draw(t, "unfixable"), After: after}),
		rule("known-exploited", Cell{Effect: effect.Draw(t, "known-exploited"), After: after}),
		rule("unscored", Cell{Effect: effect.Draw(t, "unscored")}),
		rule("no-advisories", Cell{Effect: effect.Draw(t, "no-advisories")}),
		rule("stale-advisories", within(time.Duration(rapid.IntRange(1, 40).Draw(t, "stale"))*day)),
		rule("gaps", Cell{Effect: effect.Draw(t, "gaps")}),
		rule("fix-available-for", within(time.Duration(rapid.IntRange(1, 40).Draw(t, "available"))*day)),
		rule("image-age", within(time.Duration(rapid.IntRange(1, 40).Draw(t, "age"))*day)),
		Rule{Name: "no-golden-base", Cells: []Cell{refuse(), refuse()}, From: anyDay(t, "from")},
	)
}

// anyPast draws an occasion, what the workload sets, and what happened before.
func anyPast(t *rapid.T, c *Case) {
	c.Question.Occasion = rapid.SampledFrom([]Occasion{
		OccasionCheck, OccasionPromote, OccasionAdmit, OccasionRestart, OccasionRunning, OccasionLogin, "", "elsewhen",
	}).Draw(t, "occasion")
	c.Question.Place.Environment = rapid.SampledFrom([]string{"dev", "prod"}).Draw(t, "environment")
	c.Question.Privileged = rapid.Bool().Draw(t, "privileged")
	h := &c.History
	h.Kept = rapid.Bool().Draw(t, "kept")
	h.Asker = rapid.SampledFrom([]string{"ann", ""}).Draw(t, "asker")
	h.Promotions = rapid.SliceOfN(rapid.Custom(anyPromotion), 0, 3).Draw(t, "promotions")
	h.Approvals = rapid.SliceOfN(rapid.Custom(anyApproval), 0, 3).Draw(t, "approvals")
	h.Freezes = rapid.SliceOfN(rapid.Custom(anyFreeze), 0, 2).Draw(t, "freezes")
	things := rapid.SliceOfN(rapid.SampledFrom([]string{"cvss CVE-1", "cvss CVE-2", "known-exploited CVE-1", "gaps a.jar", "image-age", "frozen"}), 0, 4)
	if rapid.Bool().Draw(t, "runs") {
		h.Runs = &Runs{Digest: "sha256:bb", Failing: things.Draw(t, "failing")}
	}
	if rapid.Bool().Draw(t, "let in") {
		h.LetIn = &LetIn{At: noon.Add(-day)}
	}
	h.Findings = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Finding {
		return Finding{Rule: "cvss", Thing: rapid.SampledFrom([]string{"CVE-1", "CVE-2"}).Draw(t, "thing"), Since: anyDay(t, "since")}
	}), 0, 2).Draw(t, "findings")
	if rapid.IntRange(0, 3).Draw(t, "glass") == 0 {
		h.Glass = &Glass{By: "ann", Reason: "it burns", Until: anyDay(t, "glass until")}
	}
}

func anyPromotion(t *rapid.T) Promotion {
	return Promotion{
		Environment: rapid.SampledFrom([]string{"dev", "prod"}).Draw(t, "to"),
		Digest:      rapid.SampledFrom([]Digest{"sha256:aa", "sha256:bb"}).Draw(t, "digest"),
		At:          anyDay(t, "promoted"),
	}
}

func anyApproval(t *rapid.T) Approval {
	return Approval{
		By:     rapid.SampledFrom([]string{"ann", "bob", "cat", ""}).Draw(t, "by"),
		Groups: rapid.SliceOfN(rapid.SampledFrom([]string{"release", "security"}), 0, 2).Draw(t, "groups"),
	}
}

// anyRoad draws rules with the rows about the road, workloads and what runs.
func anyRoad(t *rapid.T) *Rules {
	r := anyRules(t)
	effect := func(name string, of ...Effect) Rule {
		return rule(name, Cell{Effect: rapid.SampledFrom(of).Draw(t, name)})
	}
	rows := []Rule{
		effect("promoted", EffectNone, EffectRefuse),
		rule("soak", Cell{Effect: EffectRefuse, Limit: Limit{Op: AtLeast, Value: float64(rapid.IntRange(1, 900).Draw(t, "soak")), Unit: UnitTime}}),
		rule("approvals", Cell{Effect: EffectRefuse, Group: rapid.SampledFrom([]string{"release", Anyone}).Draw(t, "group"),
			Limit: Limit{Op: AtLeast, Value: float64(rapid.IntRange(1, 3).Draw(t, "approvals"))}}),
		effect("frozen", EffectNone, EffectWarn, EffectRefuse),
		effect("improves", EffectNone, EffectApprove, EffectRefuse),
		effect("privileged", EffectNone, EffectRefuse, EffectApprove),
		effect("restart", EffectNone, EffectWarn, EffectRefuse),
		rule(RuleMendWithin, within(time.Duration(rapid.IntRange(1, 40).Draw(t, "mend"))*day)),
		effect("login", EffectNone, EffectAlert, EffectBlock, EffectKill),
	}
	for _, row := range rows {
		if rapid.IntRange(0, 3).Draw(t, "row "+row.Name) > 0 {
			r.Rows = append(r.Rows, row)
		}
	}
	r.Windows = rapid.SliceOfN(rapid.Custom(anyFreeze), 0, 1).Draw(t, "windows")
	return r
}

func anyAsked(t *rapid.T) (*Rules, *Case) {
	r, c := anyRoad(t), anyCase(t)
	anyPast(t, c)
	return r, c
}

func TestLawSameInputsSameDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		if diff := cmp.Diff(Decide(r, c), Decide(r, c)); diff != "" {
			t.Fatalf("the second decision differs\n%s", diff)
		}
	})
}

// Until is a promise: no verdict and no outcome changes before it while the
// inputs stay the same.
func TestLawNothingChangesBeforeUntil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		if rapid.Bool().Draw(t, "the road alone") {
			r.Rows = slices.DeleteFunc(r.Rows, func(row Rule) bool {
				m := slices.IndexFunc(Measures(), func(m Measure) bool { return m.Name == row.Name })
				return Measures()[m].Of == OfArtifact && row.Name != "cvss"
			})
		}
		first := Decide(r, c)
		ahead := time.Duration(rapid.IntRange(1, 100*24).Draw(t, "hours")) * time.Hour
		if !first.Until.IsZero() && !c.Now.Add(ahead).Before(first.Until) {
			ahead = first.Until.Sub(c.Now) - time.Nanosecond
		}
		c.Now = c.Now.Add(ahead)
		later := Decide(r, c)
		if later.Verdict != first.Verdict {
			t.Fatalf("%s, holding until %v, became %s at %v", first.Verdict, first.Until, later.Verdict, c.Now)
		}
		was := outcomes(&first)
		for rule, now := range outcomes(&later) {
			if now != was[rule] {
				t.Fatalf("%s: %s, holding until %v, became %s at %v", rule, was[rule], first.Until, now, c.Now)
			}
		}
	})
}

// outcomes is what each rule came to, and whether it refuses.
func outcomes(d *Decision) map[string]string {
	out := map[string]string{}
	for i := range d.Reasons {
		why := &d.Reasons[i]
		out[why.Rule] = fmt.Sprint(why.Outcome, " ", why.Effect)
	}
	return out
}

func TestLawAnotherHoleNeverMakesItBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		before := Decide(r, c).Verdict
		c.Knowledge.Matches = append(c.Knowledge.Matches, anyHole(t))
		if after := Decide(r, c).Verdict; before.Worse(after) {
			t.Fatalf("%s became %s by one more hole", before, after)
		}
	})
}

func TestLawAWaiverFewerNeverMakesItBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		before := Decide(r, c).Verdict
		c.Waivers = nil
		if after := Decide(r, c).Verdict; before.Worse(after) {
			t.Fatalf("%s became %s without waivers", before, after)
		}
	})
}

func TestLawWithoutAnIndexNothingAboutHolesPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyRules(t), anyCase(t)
		c.Waivers = nil
		c.Knowledge.Index = IndexState{Problem: "gone"}
		d := Decide(r, c)
		for _, why := range d.Reasons {
			switch why.Rule {
			case "cvss", "unfixable", "known-exploited", "unscored", "no-advisories", "stale-advisories", "fix-available-for":
				if why.Outcome != Unknown && why.Outcome != NotApplicable {
					t.Fatalf("%s came to %s without an index", why.Rule, why.Outcome)
				}
			}
		}
		if d.Verdict == Allowed {
			t.Fatal("allowed without an index although cvss could refuse")
		}
	})
}

// A promotion to where it was not yet, or before the one that counts.
func TestLawAnotherPromotionNeverMakesItWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		before := Decide(r, c).Verdict
		more := anyPromotion(t)
		for _, p := range c.History.Promotions {
			if p.Environment == more.Environment && p.Digest == more.Digest && p.At.Before(more.At) {
				more.At = p.At
			}
		}
		c.History.Promotions = append(c.History.Promotions, more)
		if after := Decide(r, c).Verdict; after.Worse(before) {
			t.Fatalf("%s became %s by one more promotion", before, after)
		}
	})
}

func TestLawAnotherApprovalNeverMakesItWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		before := Decide(r, c).Verdict
		more := anyApproval(t)
		c.History.Approvals = append(c.History.Approvals, more)
		after := Decide(r, c).Verdict
		if after.Worse(before) {
			t.Fatalf("%s became %s by one more approval", before, after)
		}
		if (more.By == c.History.Asker || more.By == "" || c.History.Asker == "") && after != before {
			t.Fatalf("%s became %s by the approval of %q of what %q asks", before, after, more.By, c.History.Asker)
		}
	})
}

func TestLawAFreezeMoreNeverMakesItBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		before := Decide(r, c).Verdict
		c.History.Freezes = append(c.History.Freezes, anyFreeze(t))
		if after := Decide(r, c).Verdict; before.Worse(after) {
			t.Fatalf("%s became %s by one more freeze", before, after)
		}
	})
}

// A deadline apart, what may enter may start again; and where restarts are let be
// none is held up.
func TestLawARestartIsNeverHarderThanAnAdmission(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		c.History.Findings, c.History.LetIn = nil, &LetIn{At: noon.Add(-day)}
		c.Question.Occasion = OccasionAdmit
		admit := Decide(r, c)
		c.Question.Occasion = OccasionRestart
		restart := Decide(r, c)
		cell, asked := r.Asks(RuleRestart, &c.Question.Place)
		switch {
		case (!asked || cell.Effect.Soft()) && restart.Verdict != Allowed:
			t.Fatalf("a restart that is let be is %s: %+v", restart.Verdict, restart.Reasons)
		case admit.Better.Better():
		case restart.Verdict.Worse(admit.Verdict):
			t.Fatalf("admitted: %s; restarted: %s", admit.Verdict, restart.Verdict)
		}
		c.History.LetIn = nil
		if diff := cmp.Diff(admit.Reasons, Decide(r, c).Reasons); diff != "" {
			t.Fatalf("a restart of what was never let in is judged otherwise than something new\n%s", diff)
		}
	})
}

func TestLawNothingLetsALiePass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		if c.Question.Occasion == OccasionLogin {
			return
		}
		c.Evidence.Gaps = append(c.Evidence.Gaps, Gap{Kind: GapFalse, Reason: "another digest"})
		if d := Decide(r, c); d.Verdict != Refused {
			t.Fatalf("%s although it contradicts itself: %+v", d.Verdict, d.Reasons)
		}
		c.Evidence.Gaps = nil
		if g := c.History.Glass; g == nil || !c.Now.Before(g.Until) || c.Question.Occasion == OccasionCheck || c.Question.Occasion == OccasionPromote {
			return
		}
		if d := Decide(r, c); d.Verdict != Allowed {
			t.Fatalf("%s under a break-glass: %+v", d.Verdict, d.Reasons)
		}
	})
}

// Without an index nothing new enters where cvss could refuse, but by break-glass.
func TestLawIgnoranceLetsNothingNewIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAsked(t)
		c.Waivers, c.History.Glass, c.History.LetIn = nil, nil, nil
		if o := c.Question.Occasion; o == OccasionLogin || o == OccasionRunning {
			return
		}
		c.Knowledge.Index = IndexState{Problem: "gone"}
		if d := Decide(r, c); d.Verdict == Allowed {
			t.Fatalf("allowed on %s without an index: %+v", c.Question.Occasion, d.Reasons)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	r, c := benchmarkCase()
	b.ReportAllocs()
	for b.Loop() {
		Decide(r, c)
	}
}

// benchmarkCase has 1,000 packages, 200 matches and 20 rules.
func benchmarkCase() (*Rules, *Case) {
	c := plainCase()
	for i := range 1000 {
		c.Evidence.Packages = append(c.Evidence.Packages, Package{Name: fmt.Sprintf("p%d", i), Licences: []string{"MIT"}})
	}
	for i := range 200 {
		m := hole(fmt.Sprintf("CVE-2026-%d", i), float64(i%100)/10, "1.1")
		m.Package.Name, m.Package.PURL = fmt.Sprintf("p%d", i), fmt.Sprintf("pkg:deb/debian/p%d@1", i)
		c.Knowledge.Matches = append(c.Knowledge.Matches, m)
		c.Knowledge.Upgrades = append(c.Knowledge.Upgrades, Upgrade{Package: m.Package.Name, Path: "", To: "1.1", Clears: []string{m.ID}})
	}
	c.Waivers = []Waiver{{ID: "w", Rule: "cvss", Advisory: "CVE-2026-99", Until: noon.Add(day)}}
	rows := []Rule{
		rule("cvss", atMost(3)), rule("unfixable", refuse()), rule("known-exploited", refuse()), rule("epss", atMost(1)), rule("unscored", refuse()),
		rule("fix-available-for", within(14*day)), rule("no-advisories", refuse()), rule("stale-advisories", within(day)), rule("gaps", refuse()),
		rule("secrets", refuse()), rule("unpinned", refuse()), rule("no-golden-base", refuse()), rule("old-base", refuse()), rule("image-age", within(30*day)),
		rule("runs-as-root", refuse()), rule("setuid", refuse()), rule("shells", refuse()), rule("package-managers", refuse()), rule("surface", atMost(3)),
		rule("executables", atMost(100)),
	}
	return table(rows...), c
}
