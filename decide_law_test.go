package touchstone

import (
	"fmt"
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
		Until:      anyDay(t, "until"),
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

func TestLawSameInputsSameDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyRules(t), anyCase(t)
		if diff := cmp.Diff(Decide(r, c), Decide(r, c)); diff != "" {
			t.Fatalf("the second decision differs\n%s", diff)
		}
	})
}

// Until is a promise: no verdict and no outcome changes before it while the
// inputs stay the same.
func TestLawNothingChangesBeforeUntil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyRules(t), anyCase(t)
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
	})
}

func TestLawAnotherHoleNeverMakesItBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyRules(t), anyCase(t)
		before := Decide(r, c).Verdict
		c.Knowledge.Matches = append(c.Knowledge.Matches, anyHole(t))
		if after := Decide(r, c).Verdict; before.Worse(after) {
			t.Fatalf("%s became %s by one more hole", before, after)
		}
	})
}

func TestLawAWaiverFewerNeverMakesItBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyRules(t), anyCase(t)
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
