package touchstone

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// past is the case of something that a server knows of.
func past(o Occasion) *Case {
	c := plainCase()
	c.Question.Occasion = o
	c.History = History{Kept: true, Asker: "ann"}
	return c
}

func wait(d time.Duration) Cell {
	return Cell{Effect: EffectRefuse, Limit: Limit{Op: AtLeast, Value: d.Hours(), Unit: UnitTime}}
}

func yes(n int, group string) Cell {
	return Cell{Effect: EffectRefuse, Group: group, Limit: Limit{Op: AtLeast, Value: float64(n)}}
}

func promoted(env string, ago time.Duration) Promotion {
	return Promotion{Environment: env, Digest: "sha256:aa", By: "bob", At: noon.Add(-ago)}
}

// TestRoad asks one row of one case and looks at that row's reason.
func TestRoad(t *testing.T) {
	type want struct {
		verdict   Verdict
		outcome   Outcome
		seen, fix string // parts of them
	}
	berlin := weekly(t, "Europe/Berlin", 9*60, 17*60, nil, time.Monday, time.Tuesday)
	closed := Freeze{ID: "rebuild", Owner: "release", Reason: "the hall moves", From: noon.Add(-day), Until: noon.Add(day)}
	tests := map[string]struct {
		occasion Occasion
		row      Rule
		change   func(*Rules, *Case)
		want     want
	}{
		"nothing is known without a server": {
			OccasionAdmit, rule("promoted", refuse()), func(_ *Rules, c *Case) { c.History.Kept = false },
			want{Allowed, NotApplicable, "takes a server", ""},
		},
		"an admission needs a promotion to the very environment": {
			OccasionAdmit, rule("promoted", refuse()), func(_ *Rules, c *Case) { c.History.Promotions = []Promotion{promoted("dev", day)} },
			want{Refused, Fail, "not promoted to prod", "--to prod"},
		},
		"and is done with it": {
			OccasionAdmit, rule("promoted", refuse()), func(_ *Rules, c *Case) { c.History.Promotions = []Promotion{promoted("prod", day)} },
			want{Allowed, Pass, "promoted to prod on 2026-11-22 by bob", ""},
		},
		"another digest was promoted": {
			OccasionAdmit, rule("promoted", refuse()), func(_ *Rules, c *Case) {
				c.History.Promotions = []Promotion{promoted("prod", day)}
				c.Artifact.Digest = "sha256:bb"
			},
			want{Refused, Fail, "not promoted", ""},
		},
		"the index that it is of was promoted": {
			OccasionAdmit, rule("promoted", refuse()), func(_ *Rules, c *Case) {
				c.History.Promotions = []Promotion{promoted("prod", day)}
				c.Artifact.Digest, c.Artifact.Index = "sha256:bb", "sha256:aa"
			},
			want{Allowed, Pass, "", ""},
		},
		"nobody knows which digest it is": {
			OccasionAdmit, rule("promoted", refuse()), func(_ *Rules, c *Case) {
				c.Artifact.Digest, c.Evidence, c.Problem = "", nil, "the registry is down"
			},
			want{Undecided, Unknown, "not known", ""},
		},
		"a promotion needs one to the environment before": {
			OccasionPromote, rule("promoted", refuse()), func(_ *Rules, c *Case) { c.History.Promotions = []Promotion{promoted("dev", day)} },
			want{Allowed, Pass, "promoted to dev", ""},
		},
		"the road begins somewhere": {
			OccasionPromote, rule("promoted", refuse()), func(_ *Rules, c *Case) { c.Question.Place.Environment = "dev" },
			want{Allowed, Pass, "the road begins with dev", ""},
		},
		"a moment too early": {
			OccasionPromote, rule("soak", wait(day)), func(_ *Rules, c *Case) { c.History.Promotions = []Promotion{promoted("dev", day-1)} },
			want{Refused, Fail, "in dev since 2026-11-22 12:00 UTC, for 23h", "wait until 2026-11-23 12:00 UTC"},
		},
		"just long enough": {
			OccasionPromote, rule("soak", wait(day)), func(_ *Rules, c *Case) { c.History.Promotions = []Promotion{promoted("dev", day)} },
			want{Allowed, Pass, "in dev since", ""},
		},
		"the latest promotion counts": {
			OccasionPromote, rule("soak", wait(day)), func(_ *Rules, c *Case) {
				c.History.Promotions = []Promotion{promoted("dev", 9*day), promoted("dev", time.Hour)}
			},
			want{Refused, Fail, "for 1h", ""},
		},
		"a promotion of tomorrow": {
			OccasionPromote, rule("soak", wait(day)), func(_ *Rules, c *Case) { c.History.Promotions = []Promotion{promoted("dev", -day)} },
			want{Refused, Fail, "for 0h", "wait until 2026-11-25 12:00 UTC"},
		},
		"never there": {
			OccasionPromote, rule("soak", wait(day)), func(*Rules, *Case) {}, want{Refused, Fail, "not in dev yet", "--to dev"},
		},
		"soak is waived": {
			OccasionPromote, rule("soak", wait(day)), func(_ *Rules, c *Case) {
				c.Waivers = []Waiver{{ID: "w", Rule: "soak", WholeRule: true, Until: noon.Add(day)}}
			},
			want{Allowed, Waived, "not in dev yet", ""},
		},
		"one's own yes, one of another group, and one said twice": {
			OccasionPromote, rule("approvals", yes(2, "release")), func(_ *Rules, c *Case) {
				in := []string{"release"}
				c.History.Approvals = []Approval{{By: "ann", Groups: in}, {By: "cat", Groups: []string{"cats"}}, {By: "bob", Groups: in}, {By: "bob", Groups: in}, {Groups: in}}
			},
			want{Refused, Fail, "1 approval: bob", "1 more of release other than ann: touchstone approve ID"},
		},
		"enough": {
			OccasionPromote, rule("approvals", yes(2, Anyone)), func(_ *Rules, c *Case) { c.History.Approvals = []Approval{{By: "bob"}, {By: "cat"}} },
			want{Allowed, Pass, "2 approvals: bob, cat", ""},
		},
		"nobody knows who asks": {
			OccasionPromote, rule("approvals", yes(1, Anyone)), func(_ *Rules, c *Case) {
				c.History.Asker, c.History.Approvals = "", []Approval{{By: "bob"}}
			},
			want{Refused, Fail, "nobody knows who asks", ""},
		},
		"no freeze": {OccasionAdmit, rule("frozen", refuse()), func(*Rules, *Case) {}, want{Allowed, Pass, "no freeze holds", ""}},
		"a declared freeze": {
			OccasionAdmit, rule("frozen", refuse()), func(_ *Rules, c *Case) { c.History.Freezes = []Freeze{closed} },
			want{Refused, Fail, "frozen by rebuild of release: the hall moves", "when it opens: 2026-11-24 12:00 UTC"},
		},
		"one of another environment": {
			OccasionAdmit, rule("frozen", refuse()), func(_ *Rules, c *Case) {
				f := closed
				f.Environments = []string{"dev"}
				c.History.Freezes = []Freeze{f}
			},
			want{Allowed, Pass, "", ""},
		},
		"deny beats allow": {
			OccasionPromote, rule("frozen", refuse()), func(r *Rules, _ *Case) { r.Windows, r.Freezes = []Freeze{{Weekly: berlin}}, []Freeze{closed} },
			want{Refused, Fail, "frozen by rebuild", "when it opens: 2026-11-24 12:00 UTC"},
		},
		"in a window": {
			OccasionPromote, rule("frozen", refuse()), func(r *Rules, _ *Case) { r.Windows = []Freeze{{Weekly: berlin}} },
			want{Allowed, Pass, "a window is open", ""},
		},
		"after the window": {
			OccasionPromote, rule("frozen", refuse()), func(r *Rules, c *Case) {
				r.Windows, c.Now = []Freeze{{Weekly: berlin}}, utc("2026-11-24 16:00")
			},
			want{Refused, Fail, "no window is open", "2026-11-30 08:00 UTC (Mon 09:00 in Europe/Berlin)"},
		},
		"without an end": {
			OccasionAdmit, rule("frozen", refuse()), func(r *Rules, _ *Case) { r.Freezes = []Freeze{{ID: "all", Reason: "the end", Owner: "ann"}} },
			want{Refused, Fail, "frozen by all", "nothing says when it ends: ask ann"},
		},
		"a zone that nobody knows": {
			OccasionAdmit, rule("frozen", refuse()), func(r *Rules, _ *Case) {
				r.Freezes = []Freeze{{ID: "f", Weekly: &Weekly{Days: []time.Weekday{time.Sunday}, Zone: "Mars/Olympus"}}}
			},
			want{Undecided, Unknown, "Mars/Olympus", ""},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, c := table(test.row), past(test.occasion)
			test.change(r, c)
			d := Decide(r, c)
			why := reasonFor(t, &d, test.row.Name)
			if d.Verdict != test.want.verdict || why.Outcome != test.want.outcome {
				t.Errorf("%s, %s; want %s, %s: %+v", d.Verdict, why.Outcome, test.want.verdict, test.want.outcome, d.Reasons)
			}
			if !strings.Contains(why.Seen, test.want.seen) || !strings.Contains(why.Fix, test.want.fix) {
				t.Errorf("seen %q, fix %q; want %q, %q", why.Seen, why.Fix, test.want.seen, test.want.fix)
			}
		})
	}
}

// Each occasion asks its own rows.
func TestWhatIsAsked(t *testing.T) {
	r := &Rules{Environments: []string{"dev", "prod"}}
	for _, m := range Measures() {
		r.Rows = append(r.Rows, rule(m.Name, within(day)))
	}
	tests := []struct {
		occasion Occasion
		change   func(*Case)
		asked    string // of the rows that not every occasion asks
	}{
		{OccasionCheck, func(*Case) {}, ""},
		{OccasionCheck, func(c *Case) { c.Question.User = "0" }, "privileged added-capabilities host-access own-command"},
		{OccasionPromote, func(*Case) {}, "promoted soak approvals frozen"},
		{OccasionAdmit, func(*Case) {}, "promoted frozen privileged added-capabilities host-access own-command"},
		{OccasionRestart, func(c *Case) { c.History.LetIn = &LetIn{} }, "privileged added-capabilities host-access own-command mend-within"},
		{OccasionRestart, func(*Case) {}, "promoted frozen privileged added-capabilities host-access own-command"},
		{OccasionRunning, func(*Case) {}, "privileged added-capabilities host-access own-command mend-within"},
		{"elsewhen", func(*Case) {}, "promoted frozen privileged added-capabilities host-access own-command"},
		{OccasionAdmit, func(c *Case) { c.Evidence = nil }, "promoted frozen privileged added-capabilities host-access own-command"},
		{OccasionLogin, func(*Case) {}, "login"},
		{OccasionChange, func(*Case) {}, "change"},
		{OccasionExecute, func(*Case) {}, "run-unknown"},
		{OccasionExecute, func(c *Case) { c.Question.Execution = &Execution{Unjudged: "too large"} }, "run-unjudged"},
	}
	for _, test := range tests {
		c := past(test.occasion)
		test.change(c)
		d := Decide(r, c)
		asked := map[string]bool{}
		for _, why := range d.Reasons {
			asked[why.Rule] = true
		}
		var got []string
		for _, m := range Measures() {
			if m.Of != OfArtifact && asked[m.Name] {
				got = append(got, m.Name)
			}
		}
		if !cmp.Equal(sorted(got), sorted(strings.Fields(test.asked))) {
			t.Errorf("%s asks %v, want %s", test.occasion, got, test.asked)
		}
		if act := test.occasion.actsOnRunning(); asked["cvss"] != (!act && c.Evidence != nil) || asked["unseen"] == act {
			t.Errorf("%s asks %v", test.occasion, asked)
		}
	}
}

func sorted(list []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		out[s] = true
	}
	return out
}

func TestBetterThanWhatRuns(t *testing.T) {
	leave := func(e Effect) Rule { return rule(RuleImproves, Cell{Effect: e}) }
	tests := map[string]struct {
		rows    []Rule
		change  func(*Case)
		verdict Verdict
		better  *Comparison
	}{
		"nothing runs":        {nil, func(c *Case) { c.History.Runs = nil }, Refused, nil},
		"better, and no row":  {nil, func(*Case) {}, Refused, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{}}},
		"better, and refused": {[]Rule{leave(EffectRefuse)}, func(*Case) {}, Refused, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{}}},
		"better":              {[]Rule{leave(EffectNone)}, func(*Case) {}, Allowed, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{}}},
		"better, not approved": {[]Rule{leave(EffectApprove)}, func(c *Case) { c.History.Approvals = []Approval{{By: "ann"}} },
			Refused, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{}}},
		"better, and approved": {[]Rule{leave(EffectApprove)}, func(c *Case) { c.History.Approvals = []Approval{{By: "bob"}} },
			Allowed, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{}}},
		"the same": {[]Rule{leave(EffectNone)}, func(c *Case) { c.History.Runs.Failing = []string{"cvss CVE-1"} },
			Refused, &Comparison{Mended: []string{}, New: []string{}}},
		"a new hole": {[]Rule{leave(EffectNone)}, func(c *Case) { c.Knowledge.Matches = append(c.Knowledge.Matches, hole("CVE-3", 9, "2")) },
			Refused, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{"cvss CVE-3"}}},
		"better in a freeze, and never promoted": {
			[]Rule{leave(EffectNone), rule("frozen", refuse()), rule("promoted", refuse())},
			func(c *Case) { c.History.Freezes = []Freeze{{ID: "f", Reason: "why"}} },
			Allowed, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{}},
		},
		"the freeze is over": {[]Rule{leave(EffectNone)}, func(c *Case) { c.History.Runs.Failing = []string{"cvss CVE-1", "frozen"} },
			Refused, &Comparison{Mended: []string{}, New: []string{}}},
		"the rule is gone": {[]Rule{leave(EffectNone)}, func(c *Case) { c.History.Runs.Failing = []string{"cvss CVE-1", "secrets key"} },
			Refused, &Comparison{Mended: []string{}, New: []string{}}},
		"only waived": {[]Rule{leave(EffectNone)}, func(c *Case) {
			c.Knowledge.Matches = append(c.Knowledge.Matches, hole("CVE-2", 9, "2"))
			c.Waivers = []Waiver{{ID: "w", Rule: "cvss", Advisory: "CVE-2", Until: noon.Add(day)}}
		}, Refused, &Comparison{Mended: []string{}, New: []string{}}},
		"another rule tells it now": {[]Rule{leave(EffectNone), rule("unfixable", Cell{Effect: EffectWarn})}, func(c *Case) {
			c.Knowledge.Matches = append(c.Knowledge.Matches, hole("CVE-2", 9))
		}, Refused, &Comparison{Mended: []string{}, New: []string{}}},
		"never inspected, in a freeze": {[]Rule{leave(EffectNone), rule("frozen", refuse())}, func(c *Case) {
			c.Evidence, c.History.Freezes = nil, []Freeze{{ID: "f"}}
		}, Refused, nil},
		"what runs was never inspected": {[]Rule{leave(EffectNone)}, func(c *Case) { c.History.Runs.Failing = []string{"unseen"} }, Refused, nil},
		"it lies": {[]Rule{leave(EffectNone)}, func(c *Case) { c.Evidence.Gaps = []Gap{{Kind: GapFalse, Reason: "another digest"}} },
			Refused, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{"integrity"}}},
		"something cannot be told": {[]Rule{leave(EffectNone), rule("epss", atMost(0.1))}, func(c *Case) { c.Knowledge.Index.EPSS = time.Time{} },
			Undecided, &Comparison{Mended: []string{"cvss CVE-2"}, New: []string{}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, c := table(append([]Rule{rule("cvss", atMost(3)), rule("unseen", Cell{Effect: EffectNone})}, test.rows...)...), past(OccasionAdmit)
			c.Knowledge.Matches = []Match{hole("CVE-1", 9, "2")}
			c.History.Runs = &Runs{Failing: []string{"cvss CVE-1", "cvss CVE-2"}}
			test.change(c)
			d := Decide(r, c)
			if d.Verdict != test.verdict {
				t.Errorf("%s, want %s: %+v", d.Verdict, test.verdict, d.Reasons)
			}
			if diff := cmp.Diff(test.better, d.Better); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What a cell says approve about passes with another person's yes.
func TestApprove(t *testing.T) {
	r := table(rule("gaps", Cell{Effect: EffectApprove}), rule("unseen", Cell{Effect: EffectApprove}))
	for by, want := range map[string]Verdict{"ann": Refused, "bob": Allowed} {
		c := past(OccasionPromote)
		c.Evidence.Gaps = []Gap{{Path: "a.jar"}}
		c.History.Approvals = []Approval{{By: by}}
		if d := Decide(r, c); d.Verdict != want {
			t.Errorf("approved by %s: %s, want %s", by, d.Verdict, want)
		}
		c.Evidence = nil
		if d := Decide(r, c); d.Verdict != Refused {
			t.Errorf("never inspected, approved by %s: %s", by, d.Verdict)
		}
	}
}
