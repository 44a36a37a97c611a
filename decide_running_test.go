package touchstone

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRestart(t *testing.T) {
	old := func(c *Case) { c.Knowledge.Coverage[0].Confirmed = noon.Add(-9 * day) }
	gone := func(c *Case) { c.Knowledge.Index = IndexState{Problem: "gone"} }
	holed := func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 9, "2")} }
	since := func(ago time.Duration) func(*Case) {
		return func(c *Case) {
			holed(c)
			c.History.Findings = []Finding{{Rule: "known-exploited", Thing: "CVE-1", Since: noon.Add(-ago)}}
		}
	}
	mend := rule(RuleMendWithin, within(14*day))
	allow, stand := rule(RuleRestart, Cell{Effect: EffectNone}), rule(RuleRestart, refuse())
	tests := map[string]struct {
		rows     []Rule
		change   func(*Case)
		verdict  Verdict
		findings []Finding
		until    time.Time
	}{
		"a new hole":                  {[]Rule{allow}, holed, Allowed, []Finding{{Rule: "cvss", Thing: "CVE-1", Since: noon}}, time.Time{}},
		"without the row":             {nil, holed, Allowed, []Finding{{Rule: "cvss", Thing: "CVE-1", Since: noon}}, time.Time{}},
		"refused restarts":            {[]Rule{stand}, holed, Refused, []Finding{{Rule: "cvss", Thing: "CVE-1", Since: noon}}, time.Time{}},
		"with a deadline":             {[]Rule{allow, mend}, holed, Allowed, []Finding{{"cvss", "CVE-1", noon, noon.Add(14 * day)}}, noon.Add(14 * day)},
		"a hole has one clock":        {[]Rule{allow, mend}, since(10 * day), Allowed, []Finding{{"cvss", "CVE-1", noon.Add(-10 * day), noon.Add(4 * day)}}, noon.Add(4 * day)},
		"its time is over":            {[]Rule{allow, mend}, since(14 * day), Refused, []Finding{{"cvss", "CVE-1", noon.Add(-14 * day), noon}}, time.Time{}},
		"its time is over, and warns": {[]Rule{allow, rule(RuleMendWithin, Cell{Effect: EffectWarn, Limit: within(14 * day).Limit})}, since(14 * day), Allowed, []Finding{{"cvss", "CVE-1", noon.Add(-14 * day), noon}}, time.Time{}},
		"its time is over, and waived": {[]Rule{allow, mend}, func(c *Case) {
			since(14 * day)(c)
			c.Waivers = []Waiver{{ID: "w", Rule: RuleMendWithin, Advisory: "CVE-1", Until: noon.Add(day)}}
		}, Allowed, []Finding{{"cvss", "CVE-1", noon.Add(-14 * day), noon}}, noon.Add(day)},
		"nobody waits for what cannot be told": {[]Rule{allow, mend, rule("promoted", refuse())}, gone, Allowed,
			[]Finding{{Rule: "cvss", Since: noon, Deadline: noon.Add(14 * day)}, {Rule: "stale-advisories", Since: noon}, {Rule: "no-advisories", Since: noon}}, noon.Add(14 * day)},
		"nobody can mend stale advisories": {[]Rule{stand, mend}, old, Allowed, []Finding{{Rule: "stale-advisories", Since: noon}}, time.Time{}},
		"never inspected":                  {[]Rule{allow}, func(c *Case) { c.Evidence = nil }, Allowed, []Finding{{Rule: "unseen", Since: noon}}, time.Time{}},
		"the registry is down":             {[]Rule{allow}, func(c *Case) { c.Evidence, c.Problem = nil, "no answer" }, Allowed, []Finding{{Rule: RuleInspect, Since: noon}}, time.Time{}},
		"it lies":                          {[]Rule{allow}, func(c *Case) { c.Evidence, c.False = nil, "another digest" }, Refused, nil, time.Time{}},
		"a command that ran":               {[]Rule{allow, rule("own-command", refuse())}, func(c *Case) { c.Question.Command = []string{"sh"} }, Allowed, []Finding{{Rule: "own-command", Since: noon}}, time.Time{}},
		"a command that did not run": {[]Rule{allow, rule("own-command", refuse())}, func(c *Case) {
			holed(c)
			c.Question.Command, c.History.LetIn.Otherwise = []string{"sh"}, true
		}, Refused, []Finding{{Rule: "cvss", Thing: "CVE-1", Since: noon}}, time.Time{}},
		"it was never let in":           {[]Rule{allow}, func(c *Case) { holed(c); c.History.LetIn = nil }, Refused, nil, time.Time{}},
		"a freeze stops no restart":     {[]Rule{allow, rule("frozen", refuse())}, func(c *Case) { c.History.Freezes = []Freeze{{ID: "f"}} }, Allowed, nil, time.Time{}},
		"what only warns is no finding": {[]Rule{allow, rule("gaps", Cell{Effect: EffectWarn})}, func(c *Case) { c.Evidence.Gaps = []Gap{{Path: "a"}} }, Allowed, nil, time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rows := []Rule{rule("cvss", atMost(3)), rule("stale-advisories", within(day)), rule("no-advisories", refuse()), rule("unseen", refuse())}
			c := past(OccasionRestart)
			c.History.LetIn = &LetIn{At: noon.Add(-30 * day)}
			test.change(c)
			d := Decide(table(append(rows, test.rows...)...), c)
			if d.Verdict != test.verdict {
				t.Errorf("%s, want %s: %+v", d.Verdict, test.verdict, d.Reasons)
			}
			if diff := cmp.Diff(test.findings, d.Findings); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if !test.until.IsZero() && !d.Until.Equal(test.until) && d.Until.After(test.until) {
				t.Errorf("holds until %v, want %v", d.Until, test.until)
			}
		})
	}
}

// What refuses something that runs is told the same way as of something new.
func TestRefusingIsTheSameOfWhatRuns(t *testing.T) {
	r := table(rule("cvss", atMost(3)), rule("runs-as-root", refuse()), rule("epss", atMost(0.1)), rule("gaps", Cell{Effect: EffectWarn}))
	c := past(OccasionAdmit)
	c.Knowledge.Matches = []Match{hole("CVE-1", 9, "2"), hole("CVE-2", 8, "2")}
	c.Knowledge.Index.EPSS = time.Time{}
	c.Evidence.Configuration.User = ""
	c.Evidence.Gaps = []Gap{{Path: "a"}}
	asNew := Decide(r, c)
	c.Question.Occasion = OccasionRunning
	running := Decide(r, c)
	want := []string{"cvss CVE-1", "cvss CVE-2", "runs-as-root"}
	if diff := cmp.Diff(want, asNew.Refusing()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, running.Refusing()); diff != "" || running.Verdict != Allowed {
		t.Errorf("%s (-want +got)\n%s", running.Verdict, diff)
	}
}

func TestLogin(t *testing.T) {
	tests := []struct {
		effect Effect
		want   Verdict
		told   Effect
	}{{EffectNone, Allowed, EffectNone}, {EffectAlert, Allowed, EffectWarn}, {EffectBlock, Refused, EffectRefuse}, {EffectKill, Refused, EffectRefuse}, {"", Refused, EffectRefuse}}
	for _, test := range tests {
		c := past(OccasionLogin)
		c.Evidence, c.Problem, c.False = nil, "the registry is down", "another digest" // neither matters to who gets in
		c.Question.Login = &Login{Kind: LoginExec, By: "ann", Command: []string{"sh", "-c", "secret"}}
		d := Decide(table(rule("login", Cell{Effect: test.effect}), rule("gaps", refuse())), c)
		if len(d.Reasons) != 1 || d.Verdict != test.want || d.Reasons[0].Effect != test.told {
			t.Errorf("%q: %s: %+v", test.effect, d.Verdict, d.Reasons)
		}
		if test.want == Refused && (d.Reasons[0].Seen != "exec by ann" || !strings.Contains(d.Reasons[0].Fix, "redeploy")) {
			t.Errorf("%q: %+v", test.effect, d.Reasons[0])
		}
	}
	if d := Decide(table(), past(OccasionLogin)); d.Verdict != Allowed || len(d.Reasons) != 0 {
		t.Errorf("without the row: %+v", d)
	}
}

func TestBreakGlass(t *testing.T) {
	r := table(rule("cvss", atMost(3)), rule("frozen", refuse()), rule("unseen", refuse()))
	glass := &Glass{By: "bob", Reason: "the shop is down", Until: noon.Add(time.Hour)}
	tests := map[string]struct {
		occasion Occasion
		change   func(*Case)
		want     Verdict
	}{
		"refused":        {OccasionAdmit, func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 9)} }, Allowed},
		"undecided":      {OccasionAdmit, func(c *Case) { c.Knowledge.Index = IndexState{Problem: "gone"} }, Allowed},
		"unseen":         {OccasionAdmit, func(c *Case) { c.Evidence = nil }, Allowed},
		"over":           {OccasionAdmit, func(c *Case) { c.Now = glass.Until }, Refused},
		"nobody's":       {OccasionAdmit, func(c *Case) { c.History.Glass = &Glass{Reason: "why", Until: noon.Add(day)} }, Refused},
		"for a lie":      {OccasionAdmit, func(c *Case) { c.False, c.Evidence = "another digest", nil }, Refused},
		"of a promotion": {OccasionPromote, func(*Case) {}, Refused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := past(test.occasion)
			c.History.Glass, c.History.Freezes = glass, []Freeze{{ID: "f", Reason: "why"}}
			test.change(c)
			d := Decide(r, c)
			if d.Verdict != test.want {
				t.Errorf("%s, want %s: %+v", d.Verdict, test.want, d.Reasons)
			}
			if why := d.Reasons[0]; test.want == Allowed && (!d.Until.Equal(glass.Until) ||
				!strings.Contains(why.Seen, "let in by break-glass of bob: the shop is down, until 2026-11-23 13:00 UTC")) {
				t.Errorf("until %v: %s", d.Until, why.Seen)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	tests := map[string]struct {
		row    Rule
		change func(*Case)
		want   Verdict
		seen   string
	}{
		"privileged":         {rule("privileged", refuse()), func(c *Case) { c.Question.Privileged = true }, Refused, "privileged"},
		"not privileged":     {rule("privileged", refuse()), func(*Case) {}, Allowed, ""},
		"a capability":       {rule("added-capabilities", refuse()), func(c *Case) { c.Question.Capabilities = []string{"SYS_ADMIN"} }, Refused, "1 added capability: SYS_ADMIN"},
		"one that is listed": {listed1("added-capabilities", "net_bind_service"), func(c *Case) { c.Question.Capabilities = []string{"CAP_NET_BIND_SERVICE"} }, Allowed, ""},
		"every one":          {listed1("added-capabilities", "*"), func(c *Case) { c.Question.Capabilities = []string{"all"} }, Refused, "ALL"},
		"every one, listed":  {listed1("added-capabilities", "ALL"), func(c *Case) { c.Question.Capabilities = []string{"ALL"} }, Allowed, ""},
		"a path":             {rule("host-access", refuse()), func(c *Case) { c.Question.Host = []string{"path /var/run", "network"} }, Refused, "/var/run, network"},
		"below one listed":   {listed1("host-access", "/var/log"), func(c *Case) { c.Question.Host = []string{"path /var/log/pods/"} }, Allowed, ""},
		"beside one listed":  {listed1("host-access", "/var/log"), func(c *Case) { c.Question.Host = []string{"path /var/logs"} }, Refused, ""},
		"above one listed":   {listed1("host-access", "/var/log"), func(c *Case) { c.Question.Host = []string{"path /"} }, Refused, "shared: /"},
		"by a detour":        {listed1("host-access", "/var/log"), func(c *Case) { c.Question.Host = []string{"path /var/log/../../etc"} }, Refused, "/etc"},
		"the pid namespace":  {listed1("host-access", "network"), func(c *Case) { c.Question.Host = []string{"pid"} }, Refused, "pid"},
		"another program":    {rule("own-command", refuse()), func(c *Case) { c.Question.Command = []string{"sh", "-c", "secret"} }, Refused, "runs sh instead"},
		"the same program":   {rule("own-command", refuse()), func(c *Case) { c.Question.Command = []string{"/app"} }, Allowed, ""},
		"arguments":          {rule("own-command", refuse()), func(c *Case) { c.Question.Args = []string{"--verbose"} }, Allowed, ""},
		"arguments of a shell": {rule("own-command", refuse()), func(c *Case) {
			c.Question.Args = []string{"evil"}
			c.Evidence.Configuration.Entrypoint = []string{"/bin/sh", "-c"}
		}, Refused, "tells the image's shell"},
		"of a shell found": {rule("own-command", refuse()), func(c *Case) {
			c.Question.Args = []string{"evil"}
			c.Evidence.Configuration.Entrypoint = []string{"/opt/x"}
			c.Evidence.Surface.Shells = []string{"opt/x"}
		}, Refused, "shell"},
		"arguments alone":      {rule("own-command", refuse()), func(c *Case) { c.Question.Args = []string{"evil"}; c.Evidence.Configuration.Entrypoint = nil }, Refused, "runs evil"},
		"the image's own":      {rule("own-command", refuse()), func(c *Case) { c.Question.Args = []string{"serve"}; c.Evidence.Configuration.Entrypoint = nil }, Allowed, ""},
		"of what nobody saw":   {rule("own-command", refuse()), func(c *Case) { c.Question.Args = []string{"evil"}; c.Evidence = nil }, Refused, "evil"},
		"a refused root":       {rule("runs-as-root", refuse()), func(c *Case) { c.Question.NotRoot = true; c.Evidence.Configuration.User = "" }, Allowed, "the runtime refuses root"},
		"a refused name":       {rule("runs-as-root", refuse()), func(c *Case) { c.Question.NotRoot = true; c.Evidence.Configuration.User = "app" }, Allowed, "the runtime refuses root"},
		"root all the same":    {rule("runs-as-root", refuse()), func(c *Case) { c.Question.NotRoot = true; c.Evidence.Configuration.User = "root" }, Refused, "runs as root"},
		"0 all the same":       {rule("runs-as-root", refuse()), func(c *Case) { c.Question.NotRoot = true; c.Question.User = "0" }, Refused, "runs as 0"},
		"a user of the unseen": {rule("runs-as-root", refuse()), func(c *Case) { c.Evidence = nil; c.Question.User = "0" }, Refused, "runs as 0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := past(OccasionAdmit)
			c.Evidence.Configuration.Entrypoint, c.Evidence.Configuration.Command = []string{"/app"}, []string{"serve"}
			test.change(c)
			d := Decide(table(test.row), c)
			if why := reasonFor(t, &d, test.row.Name); d.Verdict != test.want || !strings.Contains(why.Seen, test.seen) {
				t.Errorf("%s (%s), want %s (%s)", d.Verdict, why.Seen, test.want, test.seen)
			}
		})
	}
}

// listed1 is a row that refuses what its list does not allow.
func listed1(name, allowed string) Rule {
	row := rule(name, refuse())
	row.List = []string{allowed}
	return row
}

// What a workload says of itself only makes its place stricter.
func TestStricter(t *testing.T) {
	r := table(
		Rule{Name: "login", Cells: []Cell{{Effect: EffectAlert}, {Effect: EffectKill}}},
		Rule{Name: "cvss", Cells: []Cell{atMost(8), atMost(3)}},
	)
	r.Classes = []ClassRule{{Class: ClassDataScience, Where: []string{"dev"}, Cells: map[string]Cell{"login": {Effect: EffectNone}}}}
	at := Place{Environment: "dev", Class: ClassDataScience, Exposure: ExposureControlled}
	tests := []struct {
		label, value string
		from, want   Place
	}{
		{LabelEnvironment, "prod", at, Place{Environment: "prod", Class: ClassDataScience, Exposure: ExposureControlled}},
		{LabelEnvironment, "nowhere", at, at},
		{LabelEnvironment, "dev", Place{Environment: "prod"}, Place{Environment: "prod"}},
		{LabelClass, "application", at, Place{Environment: "dev", Class: ClassApplication, Exposure: ExposureControlled}},
		{LabelClass, "data-science", Place{Environment: "dev", Class: ClassApplication}, Place{Environment: "dev", Class: ClassApplication}},
		{LabelClass, "made-up", at, at},
		{LabelClass, "application", Place{Environment: "dev", Class: ClassSystem}, Place{Environment: "dev", Class: ClassSystem}},
		{LabelExposure, "open", at, Place{Environment: "dev", Class: ClassDataScience, Exposure: ExposureOpen}},
		{LabelExposure, "internal", at, at},
		{LabelExposure, "wide", at, at},
		{LabelExposure, "internal", Place{Environment: "dev"}, Place{Environment: "dev"}},
		{LabelExposure, "open", Place{Environment: "dev"}, Place{Environment: "dev", Exposure: ExposureOpen}},
		{LabelSensitivity, "pci", Place{Environment: "dev"}, Place{Environment: "dev", Sensitivity: "pci"}},
		{LabelSensitivity, "none", Place{Environment: "dev", Sensitivity: "pci"}, Place{Environment: "dev", Sensitivity: "pci"}},
	}
	for _, test := range tests {
		got := r.Stricter(test.from, map[string]string{test.label: test.value, "app": "cart"})
		said := len(got.Assumed) > 0
		got.Assumed = nil
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s=%s (-want +got)\n%s", test.label, test.value, diff)
		}
		if ignored := cmp.Equal(test.from, test.want); said != ignored && test.value != "" {
			t.Errorf("%s=%s: not followed %v, said %v", test.label, test.value, ignored, said)
		}
	}
	r.Rows = append(r.Rows, Rule{Name: "setuid", Cells: []Cell{refuse(), {Effect: EffectWarn}}})
	if got := r.Stricter(at, map[string]string{LabelEnvironment: "prod"}); got.Environment != "dev" {
		t.Error("a later environment that is milder for a row was followed")
	}
}
