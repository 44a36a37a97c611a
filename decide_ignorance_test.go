package touchstone

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// failing is a condition that cannot be evaluated.
type failing struct{}

func (failing) Holds(*Case) (bool, error) { return false, errors.New("no such key") }

// ignorance lists, for every rule that can be kept from knowing, how: by what
// the artifact does, and by what fails outside it.
func ignorance() []struct {
	rule    Rule
	because string
	change  func(*Case)
	want    Verdict
} {
	noIndex := func(c *Case) { c.Knowledge.Index = IndexState{Problem: "gone"} }
	user := func(name, id string) func(*Case) {
		return func(c *Case) { c.Evidence.Configuration.User, c.Evidence.Configuration.UserID = name, id }
	}
	on := func(o Occasion, change func(*Case)) func(*Case) {
		return func(c *Case) {
			c.Question.Occasion, c.History.Kept, c.History.Asker = o, true, "ann"
			change(c)
		}
	}
	return []struct {
		rule    Rule
		because string
		change  func(*Case)
		want    Verdict
	}{
		{rule("cvss", atMost(3)), "no index", noIndex, Undecided},
		{rule("unfixable", refuse()), "no index", noIndex, Undecided},
		{rule("known-exploited", refuse()), "no index", noIndex, Undecided},
		{rule("known-exploited", refuse()), "no list", func(c *Case) { c.Knowledge.Index.KEV = time.Time{} }, Undecided},
		{rule("epss", atMost(0.1)), "no index", noIndex, Undecided},
		{rule("epss", atMost(0.1)), "no scores", func(c *Case) { c.Knowledge.Index.EPSS = time.Time{} }, Undecided},
		{rule("unscored", refuse()), "no index", noIndex, Undecided},
		{rule("unscored", refuse()), "a hole without a score", func(c *Case) { c.Knowledge.Matches = []Match{hole("CVE-1", 0)} }, Refused},
		{rule("fix-available-for", within(day)), "no index", noIndex, Undecided},
		{rule("fix-available-for", within(day)), "no day", func(c *Case) {
			c.Knowledge.Matches = []Match{hole("CVE-1", 5, "1.1")}
			c.Knowledge.Matches[0].Published = time.Time{}
		}, Refused},
		{rule("no-advisories", refuse()), "no index", noIndex, Undecided},
		{rule("no-advisories", refuse()), "not covered", func(c *Case) { c.Knowledge.Coverage[0].Covered = false }, Refused},
		{rule("no-advisories", refuse()), "out of support", func(c *Case) { c.Knowledge.Coverage[0].EndOfLife = true }, Refused},
		{rule("stale-advisories", within(day)), "no index", noIndex, Undecided},
		{rule("stale-advisories", within(day)), "no day", func(c *Case) { c.Knowledge.Coverage[0].Confirmed = time.Time{} }, Refused},
		{rule("stale-advisories", within(day)), "a clock set back", func(c *Case) { c.Now = c.Now.AddDate(-3, 0, 0) }, Undecided},
		{rule("stale-advisories", within(day)), "another ecosystem's day to come", func(c *Case) {
			c.Knowledge.Coverage = append(c.Knowledge.Coverage, Coverage{Ecosystem: "npm", Packages: 1, Covered: true, Confirmed: noon.AddDate(9, 0, 0)})
		}, Undecided},
		{rule("gaps", refuse()), "a gap", func(c *Case) { c.Evidence.Gaps = []Gap{{Kind: GapLimit, Reason: "too large"}} }, Refused},
		{rule("no-golden-base", refuse()), "no list of bases", func(c *Case) { c.Knowledge.Lineage = Lineage{Problem: "gone"} }, Undecided},
		{rule("no-golden-base", refuse()), "a layer that could not be read", func(c *Case) {
			c.Evidence.OS, c.Evidence.Surface, c.Knowledge.Lineage.Base = OS{}, Surface{}, nil
			c.Evidence.Gaps = []Gap{{Kind: GapCorrupt, Reason: "truncated"}}
		}, Refused},
		{rule("old-base", refuse()), "no list of bases", func(c *Case) { c.Knowledge.Lineage = Lineage{Problem: "gone"} }, Undecided},
		{rule("image-age", within(day)), "no day", func(c *Case) { c.Evidence.Created = time.Time{} }, Refused},
		{rule("image-age", within(day)), "a day to come", func(c *Case) { c.Evidence.Created = noon.AddDate(7973, 0, 0) }, Refused},
		{rule("allowed-registries", refuse()), "a name that is none of them", func(c *Case) { c.Artifact.Name = "evil.example/x" }, Refused},
		{rule("runs-as-root", refuse()), "a name that nobody knows", user("ghost", ""), Refused},
		{rule("runs-as-root", refuse()), "the workload's name", func(c *Case) { c.Question.User = "ghost" }, Refused},
		{rule("runs-as-root", refuse()), "a name for 0", user("toor", "0"), Refused},
		{rule("runs-as-root", refuse()), "a number that etc/passwd has as a name for 0", user("1000", "0"), Refused},
		{rule("promoted", refuse()), "no digest", on(OccasionAdmit, func(c *Case) {
			c.Artifact.Digest, c.Evidence, c.Problem = "", nil, "the registry is down"
		}), Undecided},
		{rule("promoted", refuse()), "a promotion without a digest", on(OccasionAdmit, func(c *Case) {
			c.History.Promotions = []Promotion{{Environment: "prod", At: noon.Add(-day)}}
		}), Refused},
		{rule("soak", wait(day)), "no digest", on(OccasionPromote, func(c *Case) {
			c.Artifact.Digest, c.Evidence, c.Problem = "", nil, "the registry is down"
		}), Undecided},
		{rule("soak", wait(day)), "a clock set back", on(OccasionPromote, func(c *Case) {
			c.History.Promotions = []Promotion{{Environment: "dev", Digest: c.Artifact.Digest, At: noon.Add(day)}}
		}), Refused},
		{rule("approvals", yes(1, Anyone)), "nobody knows who asks", on(OccasionPromote, func(c *Case) {
			c.History.Asker, c.History.Approvals = "", []Approval{{By: "bob"}}
		}), Refused},
		{rule("approvals", yes(1, "release")), "nobody knows whose group", on(OccasionPromote, func(c *Case) {
			c.History.Approvals = []Approval{{By: "bob"}}
		}), Refused},
		{rule("frozen", refuse()), "no such zone", on(OccasionAdmit, func(c *Case) {
			c.History.Freezes = []Freeze{{ID: "f", Weekly: &Weekly{Days: []time.Weekday{time.Monday}, Zone: "Mars/Olympus"}}}
		}), Undecided},
		{rule("own-command", refuse()), "no entrypoint", on(OccasionAdmit, func(c *Case) { c.Evidence, c.Question.Args = nil, []string{"evil"} }), Refused},
		{rule("runs-as-root", refuse()), "never inspected", on(OccasionAdmit, func(c *Case) { c.Evidence, c.Question.User = nil, "ghost" }), Refused},
		{rule("a-rule", refuse()), "not a rule of this program", func(*Case) {}, Undecided},
		{Rule{Name: "own", Cells: []Cell{refuse(), refuse()}, When: failing{}}, "its condition fails", func(*Case) {}, Undecided},
		{rule("cvss", Cell{}), "a cell that says nothing", func(c *Case) { c.Knowledge.Index = IndexState{Problem: "gone"} }, Undecided},
		{rule("gaps", Cell{}), "a cell that says nothing", func(c *Case) { c.Evidence.Gaps = []Gap{{Path: "a"}} }, Refused},
		{rule("unseen", refuse()), "never inspected", func(c *Case) { c.Evidence = nil }, Refused},
		{rule("unseen", Cell{Effect: EffectNone}), "inspection failed", func(c *Case) { c.Evidence, c.Problem = nil, "the disk is full" }, Undecided},
		{rule("unseen", Cell{Effect: EffectNone}), "it lies", func(c *Case) { c.Evidence, c.False = nil, "another digest" }, Refused},
	}
}

func TestIgnoranceIsNeverAllowed(t *testing.T) {
	for _, test := range ignorance() {
		t.Run(test.rule.Name+"/"+test.because, func(t *testing.T) {
			c := plainCase()
			test.change(c)
			d := Decide(table(test.rule), c)
			if d.Verdict != test.want {
				t.Errorf("%s, want %s: %+v", d.Verdict, test.want, d.Reasons)
			}
			if until := d.Until; !until.IsZero() && !until.After(c.Now) {
				t.Errorf("holds until %v, which is not after %v", until, c.Now)
			}
		})
	}
}

// Every rule that can be kept from knowing has its case above.
func TestIgnoranceIsTriedOnEveryRule(t *testing.T) {
	tried := map[string]bool{}
	for _, test := range ignorance() {
		tried[test.rule.Name] = true
	}
	for _, m := range Measures() {
		switch m.Name {
		case "secrets", "unpinned", "denied-packages", "required-packages", "licences", "setuid", "file-capabilities", "shells",
			"package-managers", "interpreters", "network-tools", "debug-tools", "login-daemons", "world-writable", "surface",
			"executables", "unneeded-libraries":
			// What keeps these from knowing is a gap, which the rule gaps judges.
		case "improves", "privileged", "added-capabilities", "host-access":
			// They ask for nothing that could be unknown: whoever starts it says it.
		default:
			if m.Of != OfRunning && !tried[m.Name] {
				t.Errorf("nothing keeps %s from knowing", m.Name)
			}
		}
	}
}

// Whatever else is the case, one more reason not to know never makes it better.
func TestLawIgnoranceNeverMakesItBetter(t *testing.T) {
	cases := ignorance()
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyRules(t), anyCase(t)
		r.Rows = append(r.Rows, rule("runs-as-root", refuse()), rule("known-exploited", refuse()))
		before := Decide(r, c)
		c.Evidence.Gaps = append(c.Evidence.Gaps, Gap{Kind: GapCorrupt, Path: "b.jar"})
		if after := Decide(r, c).Verdict; before.Verdict.Worse(after) {
			t.Fatalf("%s became %s by a gap", before.Verdict, after)
		}
		one := rapid.SampledFrom(cases).Draw(t, "ignorance")
		c.Waivers = nil
		c.Knowledge.Coverage[0].Covered = true // what is not covered is not stale
		before = Decide(r, c)
		one.change(c)
		r.Rows = append(r.Rows, one.rule)
		if after := Decide(r, c); after.Verdict == Allowed {
			t.Fatalf("%s became %s by %s of %s", before.Verdict, after.Verdict, one.because, one.rule.Name)
		}
	})
}

func TestUsers(t *testing.T) {
	tests := map[string]Outcome{
		"1000": Pass, "1000:0": Pass, "65532:65532": Pass, "01000": Pass, "2147483647": Pass,
		"": Fail, ":1000": Fail, "0": Fail, "00": Fail, "+0": Fail, "-0": Fail, "0:1000": Fail, "root": Fail, "root:root": Fail,
		"-1": Fail, "2147483648": Fail, "4294967296": Fail, "99999999999999999999": Fail,
		" 0": Unknown, "0 ": Unknown, "root ": Unknown, "ROOT": Unknown, "0x0": Unknown, "0.0": Unknown, "0_0": Unknown,
		"\t0": Unknown, "nobody\n0": Unknown, "٠": Unknown, "０": Unknown, "0\u200b": Unknown, "app": Unknown,
	}
	for user, want := range tests {
		c := plainCase()
		c.Evidence.Configuration.User = user
		d := Decide(table(rule("runs-as-root", refuse())), c)
		if got := d.Reasons[0].Outcome; got != want || (want == Pass) != (d.Verdict == Allowed) {
			t.Errorf("user %q: %s, %s; want %s", user, got, d.Verdict, want)
		}
	}
}

func TestRegistries(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"registry.example", "registry.example/shop/cart:1.4", true},
		{"registry.example/shop", "registry.example/shop/cart@sha256:aa", true},
		{"registry.example/shop", "registry.example/shop:1", true},
		{"registry.example/*", "registry.example/a/b", true},
		{"*.registry.example", "eu.registry.example/a", true},
		{"*", "anything.example/a", true},
		{"registry.example:5000", "registry.example:5000/a", true},
		{"registry.example", "registry.example:5000/a", false},
		{"registry.example", "registry.example.evil.example/a", false},
		{"registry.example", "evil.example/registry.example/a", false},
		{"*registry.example", "evil.example/registry.example", false},
		{"*.registry.example/shop", "evil.example/x.registry.example/shop/a", false},
		{"registry.example/shop", "registry.example/shopping/a", false},
		{"registry.example", "REGISTRY.example/a", false},
	}
	for _, test := range tests {
		c := plainCase()
		c.Artifact.Name = test.name
		d := Decide(table(Rule{Name: "allowed-registries", Cells: []Cell{refuse(), refuse()}, List: []string{test.pattern}}), c)
		if got := d.Verdict == Allowed; got != test.want {
			t.Errorf("%s of %s: %v, want %v", test.name, test.pattern, got, test.want)
		}
	}
}

// An artifact chooses its names, but none that a waiver for another thing covers.
func TestNamesThatImitateAWaivedOne(t *testing.T) {
	tests := []struct {
		rule, waived string
		change       func(*Case)
		want         Verdict
	}{
		{"secrets", "etc/key", func(c *Case) { c.Evidence.Secrets = []Secret{{Kind: "token", Path: "etc/key"}} }, Allowed},
		{"secrets", "etc/key (token)", func(c *Case) { c.Evidence.Secrets = []Secret{{Kind: "token", Path: "etc/key"}} }, Allowed},
		{"secrets", "etc/key", func(c *Case) { c.Evidence.Secrets = []Secret{{Kind: "token", Path: "etc/key (x)/other"}} }, Refused},
		{"secrets", "key", func(c *Case) { c.Evidence.Secrets = []Secret{{Kind: "token", Path: "other key"}} }, Refused},
		{"gaps", "app.jar", func(c *Case) { c.Evidence.Gaps = []Gap{{Path: "evil app.jar"}} }, Refused},
		{"gaps", "app.jar", func(c *Case) { c.Evidence.Gaps = []Gap{{Path: "app.jar: x"}} }, Refused},
		{"setuid", "bin/su", func(c *Case) { c.Evidence.Surface.Setuid = []string{"bin/su (x)/evil"} }, Refused},
		{"file-capabilities", "bin/ping", func(c *Case) { c.Evidence.Surface.Capabilities = []string{"bin/ping: cap_net_raw"} }, Allowed},
		{"file-capabilities", "bin/ping", func(c *Case) { c.Evidence.Surface.Capabilities = []string{"bin/ping: x/evil: cap_sys_admin"} }, Refused},
		{"unpinned", "curl", func(c *Case) { c.Evidence.Pins = []Pin{{Tool: "apt", What: "curl"}} }, Allowed},
		{"unpinned", "curl", func(c *Case) { c.Evidence.Pins = []Pin{{Tool: "apt", What: "evil curl"}} }, Refused},
		{"no-advisories", "Debian:12", func(c *Case) { c.Knowledge.Coverage[0] = Coverage{Ecosystem: "Debian:12 (x)", Packages: 1} }, Refused},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %s", test.rule, test.waived), func(t *testing.T) {
			c := plainCase()
			test.change(c)
			c.Waivers = []Waiver{{ID: "w", Rule: test.rule, Package: test.waived, Until: noon.Add(day)}}
			if d := Decide(table(rule(test.rule, refuse())), c); d.Verdict != test.want {
				t.Errorf("%s, want %s: %+v", d.Verdict, test.want, d.Reasons)
			}
		})
	}
}

// A waiver that ends when a score rises does not hold while no score is known.
func TestAWaiverBoundedByAScoreNeedsTheScore(t *testing.T) {
	bounded := Waiver{ID: "w", Rule: "cvss", WholeRule: true, ScoreAbove: 7, Until: noon.Add(day)}
	free := bounded
	free.ScoreAbove = 0
	for _, test := range []struct {
		waivers []Waiver
		want    Verdict
	}{{[]Waiver{bounded}, Undecided}, {[]Waiver{free}, Allowed}, {[]Waiver{bounded, free}, Allowed}} {
		c := plainCase()
		c.Knowledge.Index = IndexState{Problem: "gone"}
		c.Waivers = test.waivers
		if d := Decide(table(rule("cvss", atMost(3))), c); d.Verdict != test.want {
			t.Errorf("%d waivers: %s, want %s", len(test.waivers), d.Verdict, test.want)
		}
	}
}
