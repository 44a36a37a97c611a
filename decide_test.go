package touchstone

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// rule makes a row with the same cell everywhere.
func rule(name string, c Cell) Rule { return Rule{Name: name, Cells: []Cell{c, c}} }

func refuse() Cell { return Cell{Effect: EffectRefuse} }

func atMost(v float64) Cell { return Cell{Effect: EffectRefuse, Limit: Limit{Op: AtMost, Value: v}} }

func within(d time.Duration) Cell {
	return Cell{Effect: EffectRefuse, Limit: Limit{Op: AtMost, Value: d.Hours(), Unit: UnitTime}}
}

func table(rows ...Rule) *Rules {
	return &Rules{Environments: []string{"dev", "prod"}, Rows: rows}
}

// plainCase is an inspected image of one Debian package without a known hole.
func plainCase() *Case {
	return &Case{
		Artifact: Artifact{Name: "registry.example/shop/cart:1.4", Kind: KindImage, Digest: "sha256:aa"},
		Evidence: &Evidence{
			ID: "sha256:ee", Created: noon.Add(-10 * day),
			Configuration: Configuration{User: "1000"},
			Packages:      []Package{{Name: "curl", Version: "1.0", PURL: "pkg:deb/debian/curl@1.0", Ecosystem: "Debian:12"}},
		},
		Knowledge: Knowledge{
			Index:    IndexState{Revision: "sha256:11", KEV: noon, EPSS: noon},
			Coverage: []Coverage{{Ecosystem: "Debian:12", Packages: 1, Covered: true, Confirmed: noon.Add(-2 * time.Hour)}},
			Lineage:  Lineage{Known: true},
		},
		Question: Question{Occasion: OccasionCheck, Place: Place{Environment: "prod"}},
		Now:      noon,
	}
}

func hole(id string, score float64, fixed ...string) Match {
	return Match{
		ID: id, Package: PackageRef{Name: "curl", Version: "1.0", PURL: "pkg:deb/debian/curl@1.0"},
		Score: score, Scored: score > 0, FixedVersions: fixed, Applies: true, Published: noon.Add(-20 * day),
	}
}

// TestDecide asks one rule of one case and looks at that rule's reason.
func TestDecide(t *testing.T) {
	type want struct {
		verdict Verdict
		outcome Outcome
		effect  Effect
		seen    string // a part of it
		fix     string // a part of it
	}
	tests := map[string]struct {
		row    Rule
		more   []Rule
		change func(*Case)
		want   want
	}{
		"a hole below the limit passes": {
			row: rule("cvss", atMost(8)), change: func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 8, "1.1")} },
			want: want{Allowed, Pass, EffectNone, "none of 1 vulnerability", ""},
		},
		"at the bound of below it fails": {
			row:    rule("cvss", Cell{Effect: EffectRefuse, Limit: Limit{Op: Below, Value: 8}}),
			change: func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 8, "1.1")} },
			want:   want{Refused, Fail, EffectRefuse, "CVE-1 in curl 1.0, CVSS 8.0", "upgrade curl to 1.1"},
		},
		"the worst of several is named, and the upgrade that clears most": {
			row: rule("cvss", atMost(3)),
			change: func(c *Case) {
				c.Knowledge.Matches = []Match{hole("CVE-1", 5, "1.1"), hole("CVE-2", 9.8, "1.2"), hole("CVE-3", 7, "1.1")}
				c.Knowledge.Upgrades = []Upgrade{{Package: "curl", From: "1.0", To: "1.2", Clears: []string{"CVE-1", "CVE-2", "CVE-3"}}}
			},
			want: want{Refused, Fail, EffectRefuse, "3 vulnerabilities, among them CVE-2", "upgrade curl 1.0 to 1.2 (clears 3)"},
		},
		"a hole with proof that it cannot be used does not fail": {
			row: rule("cvss", atMost(3)),
			change: func(c *Case) {
				m := hole("CVE-1", 9.8, "1.1")
				m.Applies, m.Why = false, "the binary lacks the function"
				c.Knowledge.Matches = []Match{m}
			},
			want: want{Allowed, Pass, EffectNone, "none of 1", ""},
		},
		"without a row unfixable, a hole without a fix is cvss's": {
			row: rule("cvss", atMost(3)), change: func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 9.8)} },
			want: want{Refused, Fail, EffectRefuse, "CVE-1", "no fix is known"},
		},
		"with a row unfixable, it is not": {
			row: rule("cvss", atMost(3)), more: []Rule{rule("unfixable", Cell{Effect: EffectWarn})},
			change: func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 9.8)} },
			want:   want{Allowed, Pass, EffectNone, "", ""},
		},
		"a hole without a fix only warns for the time given": {
			row: rule("unfixable", Cell{Effect: EffectRefuse, After: 30 * day}), more: []Rule{rule("cvss", atMost(3))},
			change: func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 9.8)} },
			want:   want{Allowed, Fail, EffectWarn, "within the time given", "no fix is known"},
		},
		"and refuses after it": {
			row: rule("unfixable", Cell{Effect: EffectRefuse, After: 19 * day}), more: []Rule{rule("cvss", atMost(3))},
			change: func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 9.8)} },
			want:   want{Refused, Fail, EffectRefuse, "CVE-1", ""},
		},
		"time is not given to what is public since an unknown day": {
			row: rule("unfixable", Cell{Effect: EffectRefuse, After: 30 * day}), more: []Rule{rule("cvss", atMost(3))},
			change: func(c *Case) {
				m := hole("CVE-1", 9.8)
				m.Published = time.Time{}
				c.Knowledge.Matches = []Match{m}
			},
			want: want{Refused, Fail, EffectRefuse, "CVE-1", ""},
		},
		"without an index holes are undecided": {
			row: rule("cvss", atMost(3)),
			change: func(c *Case) {
				c.Knowledge.Index = IndexState{Problem: "there is no advisory index", Remedy: "touchstone db update"}
			},
			want: want{Undecided, Unknown, EffectRefuse, "no advisory index", "touchstone db update"},
		},
		"but what only warns leaves nothing undecided": {
			row:    rule("cvss", Cell{Effect: EffectWarn, Limit: Limit{Op: AtMost, Value: 3}}),
			change: func(c *Case) { c.Knowledge.Index = IndexState{Problem: "there is no advisory index"} },
			want:   want{Allowed, Unknown, EffectWarn, "no advisory index", ""},
		},
		"an unscored hole fails unscored": {
			row: rule("unscored", refuse()), change: func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 0, "1.1")} },
			want: want{Refused, Fail, EffectRefuse, "CVE-1", "upgrade curl to 1.1"},
		},
		"known-exploited without CISA's list is undecided": {
			row: rule("known-exploited", refuse()), change: func(c *Case) { c.Knowledge.Index.KEV = time.Time{} },
			want: want{Undecided, Unknown, EffectRefuse, "CISA", "touchstone db update"},
		},
		"a release that the index does not cover is unknown, and refused": {
			row: rule("no-advisories", refuse()),
			change: func(c *Case) {
				c.Knowledge.Coverage = []Coverage{{Ecosystem: "Debian:13", Packages: 3, Remedy: "touchstone db update Debian"}}
			},
			want: want{Refused, Unknown, EffectRefuse, "Debian:13", "touchstone db update Debian"},
		},
		"silence about a release out of support means nothing": {
			row: rule("no-advisories", refuse()), change: func(c *Case) { c.Knowledge.Coverage[0].EndOfLife = true },
			want: want{Refused, Unknown, EffectRefuse, "out of support", "still supported"},
		},
		"stale advisories": {
			row: rule("stale-advisories", within(time.Hour)), change: func(*Case) {},
			want: want{Refused, Fail, EffectRefuse, "Debian:12 last confirmed 2h ago", "touchstone db update"},
		},
		"advisories that nothing confirmed": {
			row: rule("stale-advisories", within(10000*day)), change: func(c *Case) { c.Knowledge.Coverage[0].Confirmed = time.Time{} },
			want: want{Refused, Fail, EffectRefuse, "never confirmed", ""},
		},
		"a gap": {
			row: rule("gaps", refuse()), change: func(c *Case) { c.Evidence.Gaps = []Gap{{Kind: GapCorrupt, Path: "a.jar"}} },
			want: want{Refused, Fail, EffectRefuse, "1 part that could not be read: a.jar", ""},
		},
		"a secret in a hidden layer": {
			row: rule("secrets", refuse()), change: func(c *Case) { c.Evidence.Secrets = []Secret{{Kind: "private-key", Path: "k", Buried: true}} },
			want: want{Refused, Fail, EffectRefuse, "k (private-key)", "revoke"},
		},
		"no user is root": {
			row: rule("runs-as-root", refuse()), change: func(c *Case) { c.Evidence.Configuration.User = "" },
			want: want{Refused, Fail, EffectRefuse, "no user is set", "USER"},
		},
		"zeros are root": {
			row: rule("runs-as-root", refuse()), change: func(c *Case) { c.Evidence.Configuration.User = "000:1000" },
			want: want{Refused, Fail, EffectRefuse, "runs as 000:1000", ""},
		},
		"a name that stands for 0 is root": {
			row: rule("runs-as-root", refuse()),
			change: func(c *Case) {
				c.Evidence.Configuration.User, c.Evidence.Configuration.UserID = "toor", "0"
			},
			want: want{Refused, Fail, EffectRefuse, "toor, which is user 0", ""},
		},
		"the workload's own user counts, not the image's": {
			row: rule("runs-as-root", refuse()),
			change: func(c *Case) {
				c.Evidence.Configuration.User, c.Question.User = "", "1000"
			},
			want: want{Allowed, Pass, EffectNone, "runs as 1000", ""},
		},
		"an image that does not say its age is unknown, never young": {
			row: rule("image-age", within(30*day)), change: func(c *Case) { c.Evidence.Created = time.Time{} },
			want: want{Refused, Unknown, EffectRefuse, "does not say", "SOURCE_DATE_EPOCH"},
		},
		"an image from the future": {
			row: rule("image-age", within(30*day)), change: func(c *Case) { c.Evidence.Created = noon.Add(300 * day) },
			want: want{Refused, Fail, EffectRefuse, "future", ""},
		},
		"a rule about names is not applicable without one": {
			row:    Rule{Name: "allowed-registries", Cells: []Cell{refuse(), refuse()}, List: []string{"registry.example"}},
			change: func(c *Case) { c.Artifact.Name = "" },
			want:   want{Allowed, NotApplicable, EffectNone, "--as NAME", ""},
		},
		"a registry whose name only begins alike": {
			row:    Rule{Name: "allowed-registries", Cells: []Cell{refuse(), refuse()}, List: []string{"registry.example"}},
			change: func(c *Case) { c.Artifact.Name = "registry.example.evil/shop:1" },
			want:   want{Refused, Fail, EffectRefuse, "registry.example.evil", "push it to"},
		},
		"a denied package": {
			row:    Rule{Name: "denied-packages", Cells: []Cell{refuse(), refuse()}, List: []string{"telnet", "cu*"}},
			change: func(*Case) {}, want: want{Refused, Fail, EffectRefuse, "1 denied package: curl", "remove"},
		},
		"a missing package": {
			row:    Rule{Name: "required-packages", Cells: []Cell{refuse(), refuse()}, List: []string{"ca-certificates"}},
			change: func(*Case) {}, want: want{Refused, Fail, EffectRefuse, "ca-certificates", "install ca-certificates"},
		},
		"a licence with another choice is free": {
			row:    Rule{Name: "licences", Cells: []Cell{refuse(), refuse()}, List: []string{"GPL-*"}},
			change: func(c *Case) { c.Evidence.Packages[0].Licences = []string{"(MIT OR GPL-2.0-only)"} },
			want:   want{Allowed, Pass, EffectNone, "", ""},
		},
		"a licence joined with a denied one is not": {
			row:    Rule{Name: "licences", Cells: []Cell{refuse(), refuse()}, List: []string{"GPL-*"}},
			change: func(c *Case) { c.Evidence.Packages[0].Licences = []string{"MIT AND gpl-2.0-only"} },
			want:   want{Refused, Fail, EffectRefuse, "curl (MIT AND gpl-2.0-only)", ""},
		},
		"an expired golden base is not golden": {
			row: rule("no-golden-base", refuse()),
			change: func(c *Case) {
				c.Knowledge.Lineage.Base = &Base{Name: "base", Owner: "team-base", Expires: noon}
			},
			want: want{Refused, Fail, EffectRefuse, "expired on 2026-11-23", "team-base"},
		},
		"static programs alone need no base": {
			row: rule("no-golden-base", refuse()), change: func(*Case) {},
			want: want{Allowed, NotApplicable, EffectNone, "static programs alone", ""},
		},
		"a distribution without its marks still does": {
			row: rule("no-golden-base", refuse()), change: func(c *Case) { c.Evidence.Surface.Unneeded = []string{"lib/libc.so"} },
			want: want{Refused, Fail, EffectRefuse, "no approved base", "golden list"},
		},
		"golden bases that cannot be read leave it undecided": {
			row:    rule("no-golden-base", refuse()),
			change: func(c *Case) { c.Knowledge.Lineage = Lineage{Problem: "golden.json is damaged"} },
			want:   want{Undecided, Unknown, EffectRefuse, "damaged", ""},
		},
		"an error in a custom rule is unknown": {
			row:    Rule{Name: "mine", Cells: []Cell{refuse(), refuse()}, When: condition{err: errors.New("no such field")}},
			change: func(*Case) {}, want: want{Undecided, Unknown, EffectRefuse, "no such field", "rules test"},
		},
		"a custom rule fails where its condition holds, with the row's own remedy": {
			row:    Rule{Name: "mine", Cells: []Cell{refuse(), refuse()}, When: condition{holds: true}, Fix: "do it right"},
			change: func(*Case) {}, want: want{Refused, Fail, EffectRefuse, "holds", "do it right"},
		},
		"a rule that begins later warns until then": {
			row:    Rule{Name: "shells", Cells: []Cell{refuse(), refuse()}, From: noon.Add(day)},
			change: func(c *Case) { c.Evidence.Surface.Shells = []string{"bin/sh"} },
			want:   want{Allowed, Fail, EffectWarn, "1 shell: bin/sh", ""},
		},
		"approve refuses without an approval": {
			row:    rule("shells", Cell{Effect: EffectApprove}),
			change: func(c *Case) { c.Evidence.Surface.Shells = []string{"bin/sh"} },
			want:   want{Refused, Fail, EffectApprove, "bin/sh", ""},
		},
		"an unseen artifact": {
			row: rule("unseen", refuse()), change: func(c *Case) { c.Evidence = nil },
			want: want{Refused, Fail, EffectRefuse, "not seen before", "try again"},
		},
		"a rule that this program does not know": {
			row: rule("no-such-rule", refuse()), change: func(*Case) {},
			want: want{Undecided, Unknown, EffectRefuse, "does not know", ""},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := plainCase()
			tt.change(c)
			d := Decide(table(append([]Rule{tt.row}, tt.more...)...), c)
			why := reasonFor(t, &d, tt.row.Name)
			got := want{d.Verdict, why.Outcome, why.Effect, tt.want.seen, tt.want.fix}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if !strings.Contains(why.Seen, tt.want.seen) || !strings.Contains(why.Fix, tt.want.fix) {
				t.Errorf("seen %q, fix %q; want parts %q and %q", why.Seen, why.Fix, tt.want.seen, tt.want.fix)
			}
		})
	}
}

type condition struct {
	holds bool
	err   error
}

func (c condition) Holds(*Case) (bool, error) { return c.holds, c.err }

func reasonFor(t *testing.T, d *Decision, rule string) Reason {
	t.Helper()
	for _, why := range d.Reasons {
		if why.Rule == rule {
			return why
		}
	}
	t.Fatalf("no reason for the rule %s among %v", rule, d.Reasons)
	return Reason{}
}

func TestDecideRefusesWhatLiesWithoutAnyRule(t *testing.T) {
	c := plainCase()
	c.Evidence.Gaps = []Gap{{Kind: GapFalse, Reason: "layer 1 has another diff ID"}}
	c.Waivers = []Waiver{{ID: "w", Rule: RuleIntegrity, WholeRule: true, Until: noon.Add(day)}}
	d := Decide(table(), c)
	if d.Verdict != Refused || d.Reasons[0].Rule != RuleIntegrity {
		t.Errorf("verdict %s by %v, want refused by %s", d.Verdict, d.Reasons, RuleIntegrity)
	}
}

func TestDecideLeavesUndecidedWhatCouldNotBeInspected(t *testing.T) {
	c := plainCase()
	c.Evidence, c.Problem = nil, "the registry does not answer"
	d := Decide(table(rule("unseen", refuse()), rule("cvss", atMost(3))), c)
	if d.Verdict != Undecided || len(d.Reasons) != 1 {
		t.Errorf("verdict %s by %v, want undecided by %s alone", d.Verdict, d.Reasons, RuleInspect)
	}
}

func TestWaivers(t *testing.T) {
	until := noon.Add(day)
	tests := map[string]struct {
		w    Waiver
		want Outcome
	}{
		"by alias":                       {Waiver{Advisory: "GHSA-1"}, Waived},
		"by package":                     {Waiver{Package: "curl"}, Waived},
		"by purl and name of artifact":   {Waiver{Package: "pkg:deb/debian/curl@1.0", Artifact: "registry.example/shop/*"}, Waived},
		"by digest":                      {Waiver{Advisory: "CVE-1", Artifact: "sha256:aa"}, Waived},
		"the whole rule":                 {Waiver{WholeRule: true}, Waived},
		"another advisory":               {Waiver{Advisory: "CVE-2"}, Fail},
		"another artifact, same digest":  {Waiver{Advisory: "CVE-1", Artifact: "registry.example/shop/till"}, Fail},
		"another environment":            {Waiver{Advisory: "CVE-1", Environments: []string{"dev"}}, Fail},
		"lapsed this very instant":       {Waiver{Advisory: "CVE-1", Until: noon}, Fail},
		"the score rose above its bound": {Waiver{Advisory: "CVE-1", ScoreAbove: 9}, Fail},
		"the score is at its bound":      {Waiver{Advisory: "CVE-1", ScoreAbove: 9.8}, Waived},
		"neither advisory nor package":   {Waiver{}, Fail},
		"it has a fix":                   {Waiver{Advisory: "CVE-1", UntilFix: true}, Fail},
		"it has a fix, the whole rule":   {Waiver{WholeRule: true, UntilFix: true}, Fail},
		"it is not exploited":            {Waiver{Advisory: "CVE-1", UnlessExploited: true}, Waived},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := plainCase()
			m := hole("CVE-1", 9.8, "1.1")
			m.Aliases = []string{"GHSA-1"}
			c.Knowledge.Matches = []Match{m}
			tt.w.ID, tt.w.Rule = "w1", "cvss"
			if tt.w.Until.IsZero() {
				tt.w.Until = until
			}
			c.Waivers = []Waiver{tt.w}
			d := Decide(table(rule("cvss", atMost(3))), c)
			why := reasonFor(t, &d, "cvss")
			if why.Outcome != tt.want {
				t.Fatalf("outcome %s, want %s", why.Outcome, tt.want)
			}
			if tt.want == Waived {
				want := &WaiverUse{ID: "w1", Until: until}
				if diff := cmp.Diff(want, why.Waiver); diff != "" {
					t.Errorf("waiver (-want +got)\n%s", diff)
				}
				if !d.Until.Equal(until) {
					t.Errorf("holds until %v, want until the waiver lapses, %v", d.Until, until)
				}
			}
		})
	}
}

// A waiver ends when what it waits for has come, or when nobody can tell.
func TestWaiversThatSomethingEnds(t *testing.T) {
	tests := map[string]struct {
		w      Waiver
		change func(*Case)
		want   Outcome
	}{
		"no fix yet":        {Waiver{UntilFix: true}, func(*Case) {}, Waived},
		"a fix":             {Waiver{UntilFix: true}, func(c *Case) { c.Knowledge.Matches[0].FixedVersions = []string{"2"} }, Fail},
		"not exploited":     {Waiver{UnlessExploited: true}, func(*Case) {}, Waived},
		"exploited":         {Waiver{UnlessExploited: true}, func(c *Case) { c.Knowledge.Matches[0].KnownExploited = true }, Fail},
		"nobody can tell":   {Waiver{UnlessExploited: true}, func(c *Case) { c.Knowledge.Index.KEV = time.Time{} }, Fail},
		"no index, a fix":   {Waiver{UntilFix: true}, func(c *Case) { c.Knowledge.Index = IndexState{Problem: "gone"} }, Unknown},
		"no index, exploit": {Waiver{UnlessExploited: true}, func(c *Case) { c.Knowledge.Index = IndexState{Problem: "gone"} }, Unknown},
	}
	for name, test := range tests {
		c := plainCase()
		c.Knowledge.Matches = []Match{hole("CVE-1", 9)}
		test.change(c)
		test.w.ID, test.w.Rule, test.w.WholeRule, test.w.Until = "w", "cvss", true, noon.Add(day)
		c.Waivers = []Waiver{test.w}
		d := Decide(table(rule("cvss", atMost(3))), c)
		if why := reasonFor(t, &d, "cvss"); why.Outcome != test.want {
			t.Errorf("%s: %s, want %s", name, why.Outcome, test.want)
		}
	}
}

func TestWhatIsSetAsideIsTold(t *testing.T) {
	c := plainCase()
	c.Evidence.Secrets = []Secret{{Kind: "private-key", Path: "a"}, {Kind: "private-key", Path: "b"}}
	c.Waivers = []Waiver{{ID: "w", Rule: "secrets", Package: "a", Until: noon.Add(day)}}
	d := Decide(table(rule("secrets", refuse())), c)
	why := reasonFor(t, &d, "secrets")
	if diff := cmp.Diff([]string{"a (private-key)"}, why.Waived); diff != "" {
		t.Errorf("waived (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b (private-key)"}, why.Failing); diff != "" {
		t.Errorf("failing (-want +got)\n%s", diff)
	}
}

func TestWaiverIsNoUseForARuleThatIsNeverWaived(t *testing.T) {
	c := plainCase()
	m := hole("CVE-1", 9.8, "1.1")
	m.KnownExploited = true
	c.Knowledge.Matches = []Match{m}
	c.Waivers = []Waiver{{ID: "w", Rule: "known-exploited", WholeRule: true, Until: noon.Add(day)}}
	r := table(rule("known-exploited", refuse()))
	r.Waiving.Never = []string{"known-exploited"}
	if d := Decide(r, c); d.Verdict != Refused {
		t.Errorf("verdict %s, want refused", d.Verdict)
	}
}

func TestClassLoosensOnlyWhereItSays(t *testing.T) {
	r := table(rule("shells", refuse()))
	r.Classes = []ClassRule{{Class: ClassDataScience, Where: []string{"dev"}, Cells: map[string]Cell{"shells": {Effect: EffectNone}}}}
	for env, want := range map[string]Verdict{"dev": Allowed, "prod": Refused, "nowhere": Refused} {
		c := plainCase()
		c.Evidence.Surface.Shells = []string{"bin/sh"}
		c.Question.Place = Place{Environment: env, Class: ClassDataScience}
		if d := Decide(r, c); d.Verdict != want {
			t.Errorf("%s: verdict %s, want %s", env, d.Verdict, want)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	r := table()
	r.Places = []PlaceRule{
		{Cluster: "lab-*", Namespace: "nb-*", Place: Place{Environment: "dev", Class: ClassDataScience, Owner: "research"}},
		{Labels: map[string]string{"stage": "de*"}, Place: Place{Environment: "dev"}},
	}
	tests := map[string]struct {
		cluster, namespace string
		labels             map[string]string
		want               Place
	}{
		"the first row that fits": {"lab-1", "nb-ada", map[string]string{"stage": "dev"}, Place{Environment: "dev", Cluster: "lab-1", Namespace: "nb-ada", Class: ClassDataScience, Owner: "research"}},
		"by label":                {"x", "y", map[string]string{"stage": "dev"}, Place{Environment: "dev", Cluster: "x", Namespace: "y", Class: ClassApplication}},
		"nothing fits: strictest": {"x", "y", nil, Place{Environment: "prod", Cluster: "x", Namespace: "y", Class: ClassApplication}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := r.PlaceOf(tt.cluster, tt.namespace, "", tt.labels)
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Place{}, "Assumed")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestMatchName(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"registry.example/shop", "registry.example/shop/cart:1.4", true},
		{"registry.example/shop", "registry.example/shopping:1", false},
		{"registry.example", "registry.example.evil/x", false},
		{"registry.example", "registry.example:5000/x", true},
		{"*/cart:*", "registry.example/shop/cart:1.4", true},
		{"a*b*c", "aXbYbZc", true},
		{"a*b", "ab/c", false},
		{"*", "", true},
		{"", "x", false},
		{"pay-*", "pay-1", true},
	}
	for _, tt := range tests {
		if got := MatchName(tt.pattern, tt.name); got != tt.want {
			t.Errorf("MatchName(%q, %q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}

func TestPrioritize(t *testing.T) {
	tests := map[string]struct {
		m    Match
		p    Place
		want Urgency
	}{
		"all known": {
			Match{SSVC: SSVC{Exploitation: "active", Automatable: "yes"}}, Place{Exposure: ExposureOpen, Impact: ImpactVeryHigh},
			Urgency{Worst: PriorityImmediate, Best: PriorityImmediate},
		},
		"nothing known is anything": {
			Match{}, Place{},
			Urgency{Worst: PriorityImmediate, Best: PriorityDefer, Unknown: []string{"exploitation", "exposure", "automatable", "human impact"}},
		},
		"CISA's list says active": {
			Match{KnownExploited: true, SSVC: SSVC{Exploitation: "none", Automatable: "no"}}, Place{Exposure: ExposureInternal, Impact: ImpactLow},
			Urgency{Worst: PriorityScheduled, Best: PriorityScheduled},
		},
		"impact unknown": {
			Match{SSVC: SSVC{Exploitation: "none", Automatable: "no"}}, Place{Exposure: ExposureInternal},
			Urgency{Worst: PriorityScheduled, Best: PriorityDefer, Unknown: []string{"human impact"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Prioritize(&tt.m, &tt.p)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
