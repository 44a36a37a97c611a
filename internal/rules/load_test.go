package rules

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

// The whole of a file comes out as the words of the root package.
func TestLoad(t *testing.T) {
	r, warnings, err := Load("rules.yaml", []byte(`
version: 1
environments: [dev, prod]
places:
  - {cluster: pay-*, namespace: cart, node: n1, labels: {team: pay}, environment: prod, class: batch, sensitivity: pci, exposure: open, owner: team-pay}
rules:
  cvss: {dev: "<= 8 else warn", prod: "<3 else approve after 24h", because: why, owner: who, fix: how, aligns: [a, b], from: 2027-02-01}
  stale-advisories: {others: Any, prod: At  Most 36h}
  licences: {others: warn, deny: [AGPL-*, SSPL-1.0]}
  own: {others: refuse, when: "user == 'root'"}
classes:
  batch: {where: [dev], cvss: any}
waivers: {longest: {others: any, prod: 30d}, approved-by: security, never: unseen}
names: {shop: [registry.example/shop, mirror.example/shop]}
vex: {authors: [security@shop.example]}
`), today())
	if err != nil || len(warnings) > 0 {
		t.Fatal(told(warnings, err))
	}
	if r.Row("own").When == nil {
		t.Error("the custom rule has no condition")
	}
	r.Row("own").When = nil
	refuse := touchstone.Cell{Effect: touchstone.EffectRefuse}
	warn := touchstone.Cell{Effect: touchstone.EffectWarn}
	none := touchstone.Cell{Effect: touchstone.EffectNone}
	implied := func(name string) touchstone.Rule {
		return touchstone.Rule{Name: name, Cells: []touchstone.Cell{warn, refuse}, Implied: true, Because: r.Row(name).Because}
	}
	want := &touchstone.Rules{
		Version:      r.Version,
		Environments: []string{"dev", "prod"},
		Places: []touchstone.PlaceRule{{Cluster: "pay-*", Namespace: "cart", Node: "n1", Labels: map[string]string{"team": "pay"},
			Place: touchstone.Place{Environment: "prod", Class: "batch", Sensitivity: "pci", Exposure: touchstone.ExposureOpen, Owner: "team-pay"}}},
		Rows: []touchstone.Rule{
			{Name: "cvss", Because: "why", Owner: "who", Fix: "how", Aligns: []string{"a", "b"}, From: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), Cells: []touchstone.Cell{
				{Effect: touchstone.EffectWarn, Limit: touchstone.Limit{Op: touchstone.AtMost, Value: 8}},
				{Effect: touchstone.EffectApprove, Limit: touchstone.Limit{Op: touchstone.Below, Value: 3}, After: 24 * time.Hour},
			}},
			{Name: "stale-advisories", Cells: []touchstone.Cell{none, {Effect: touchstone.EffectRefuse, Limit: touchstone.Limit{Op: touchstone.AtMost, Value: 36, Unit: touchstone.UnitTime}}}},
			{Name: "licences", List: []string{"AGPL-*", "SSPL-1.0"}, Cells: []touchstone.Cell{warn, warn}},
			{Name: "own", Cells: []touchstone.Cell{refuse, refuse}},
			implied("unscored"), implied("no-advisories"), implied("gaps"), implied("unseen"),
		},
		Classes:    []touchstone.ClassRule{{Class: "batch", Where: []string{"dev"}, Cells: map[string]touchstone.Cell{"cvss": none}}},
		Waiving:    touchstone.WaiverPolicy{Longest: []time.Duration{0, 30 * 24 * time.Hour}, ApprovedBy: "security", Never: []string{"unseen"}},
		Copies:     map[string][]string{"shop": {"registry.example/shop", "mirror.example/shop"}},
		VEXAuthors: []string{"security@shop.example"},
		Guard:      touchstone.DefaultGuarding(),
		Replace:    touchstone.DefaultReplacing(),
	}
	if diff := cmp.Diff(want, r, cmpopts.IgnoreFields(touchstone.Rules{}, "Golden")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !r.Version.Valid() {
		t.Errorf("version %q is no digest", r.Version)
	}
}

// Rules without a row for what is not known are asked all the same, and advisories
// have three days.
func TestIgnoranceIsAlwaysAsked(t *testing.T) {
	r, _, err := Load("rules.yaml", []byte("version: 1\nenvironments: [dev, prod]\nrules: {secrets: {others: warn}}\n"), today())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range touchstone.Ignorance() {
		row := r.Row(name)
		if row == nil || !row.Implied || row.Cells[0].Effect != touchstone.EffectWarn || row.Cells[1].Effect != touchstone.EffectRefuse {
			t.Errorf("%s: %+v", name, row)
		}
	}
	if got := r.Row("stale-advisories").Cells[0].String(); got != "at most 3d else warn" {
		t.Errorf("stale-advisories: %s", got)
	}
}

// What a cell says can be written into a file again.
func TestCellsReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(touchstone.Measures()).Draw(t, "measure")
		cell := touchstone.Cell{Effect: rapid.SampledFrom(effects(m)).Draw(t, "effect")}
		if m.Takes.Limited() {
			cell.Limit.Op = rapid.SampledFrom([]touchstone.Op{touchstone.AtMost, touchstone.Below}).Draw(t, "op")
			cell.Limit.Value = float64(rapid.IntRange(1, 10).Draw(t, "value"))
		}
		if m.Takes == touchstone.TakesWait || m.Takes == touchstone.TakesApprovals {
			cell.Limit.Op = touchstone.AtLeast
		}
		if m.Takes == touchstone.TakesTime || m.Takes == touchstone.TakesWait {
			cell.Limit.Unit = touchstone.UnitTime
		}
		if m.Takes == touchstone.TakesApprovals {
			cell.Group = rapid.SampledFrom([]string{"Release", touchstone.Anyone}).Draw(t, "group")
		}
		if m.Name == "epss" {
			cell.Limit.Value /= 10
		}
		if m.After && rapid.Bool().Draw(t, "later") {
			cell.After = time.Duration(rapid.IntRange(1, 1000).Draw(t, "hours")) * time.Hour
		}
		l := newReader("rules.yaml", nil)
		got, ok := l.cellOf(&node{kind: kindScalar, text: cell.String()}, m)
		if !ok || got != cell {
			t.Fatalf("%s reads as %s", cell, got)
		}
	})
}

func TestMilder(t *testing.T) {
	m, _ := measure("cvss")
	cell := func(s string) touchstone.Cell {
		c, ok := newReader("", nil).cellOf(&node{kind: kindScalar, text: s}, m)
		if !ok {
			t.Fatal(s)
		}
		return c
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"any", "any", false}, {"any", "at most 8", true}, {"at most 8", "any", false},
		{"at most 8", "at most 7", true}, {"at most 7", "below 7", true}, {"below 7", "at most 7", false},
		{"at most 7 else warn", "at most 7", true}, {"at most 7 else approve", "at most 7 else warn", false},
		{"at most 7 after 30d", "at most 7 after 10d", true}, {"at most 7 after 30d", "at most 7 else warn", false},
	} {
		if got := cell(c.a).Milder(cell(c.b)); got != c.want {
			t.Errorf("%s milder than %s: %v", c.a, c.b, got)
		}
	}
}

func TestParsePlace(t *testing.T) {
	r, _, err := Load("example.yaml", Example(), today())
	if err != nil {
		t.Fatal(err)
	}
	exposure := "exposure unknown: any, for the order of what to fix first"
	for text, want := range map[string]touchstone.Place{
		"cluster=pay-1": {Environment: "prod", Cluster: "pay-1", Class: "application", Sensitivity: "pci", Exposure: "open", Owner: "team-pay", Assumed: []string{"class application"}},
		" cluster=lab-1 , namespace=nb-ann, exposure=internal": {Environment: "dev", Cluster: "lab-1", Namespace: "nb-ann", Class: "data-science", Exposure: "internal", Owner: "research", Assumed: []string{}},
		"cluster=pay-1,environment=test,class=system,owner=me": {Environment: "test", Cluster: "pay-1", Class: "system", Sensitivity: "pci", Exposure: "open", Owner: "me", Assumed: []string{}},
		"": {Environment: "prod", Class: "application", Assumed: []string{"environment prod, the strictest, because no row of places matches", "class application", exposure}},
		"node=n1,environment=stage,class=application,label.team=x": {Environment: "stage", Node: "n1", Class: "application", Assumed: []string{exposure}},
	} {
		got, err := ParsePlace(text, r)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"prod":                    "hint: --env prod",
		"clutser=x":               "did you mean cluster?",
		"environment=prd":         "did you mean prod?",
		"class=datascience":       "did you mean data-science?",
		"exposure=wide":           "one of: internal, controlled, open",
		"cluster=a,cluster=b":     "twice",
		"cluster=":                "is not KEY=VALUE",
		"cluster=\x1b[31m,prod=1": "no key",
	} {
		if _, err := ParsePlace(text, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

// What could keep the reader busy or deep is turned away before it is parsed.
func TestHostileFiles(t *testing.T) {
	for name, data := range map[string]string{
		"long":      strings.Repeat("# x\n", 200_000),
		"keys":      strings.Repeat("a: b\n", 40_000),
		"brackets":  "a: " + strings.Repeat("[", 50_000),
		"braces":    strings.Repeat("{a: ", 50_000),
		"dashes":    strings.Repeat("- ", 50_000),
		"questions": strings.Repeat("? ", 50_000),
		"not text":  "version: \xff\xfe",
		"zero":      "version: 1\x00",
		"steps":     steps(600),
	} {
		_, _, err := Load(name, []byte(data), today())
		if err == nil {
			t.Errorf("%s loads", name)
		}
	}
}

// steps is a table in a table in a table.
func steps(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// A file from another editor reads the same, with the same places.
func TestLineEnds(t *testing.T) {
	text := "version: 1\nenvironments: [prod]\nrules:\n  cvs: {prod: warn}\n"
	_, _, want := Load("rules.yaml", []byte(text), today())
	_, _, got := Load("rules.yaml", []byte("\ufeff"+strings.ReplaceAll(text, "\n", "\r\n")), today())
	if want == nil || got == nil || want.Error() != got.Error() {
		t.Errorf("%v\n%v", want, got)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, _, err := Load("example.yaml", Example(), today()); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Example())
	f.Add([]byte("version: 1\nenvironments: [a]\nrules: {cvss: {a: at most 3 else warn after 3d}, x: {a: warn, when: 'user == \"\"'}}"))
	f.Add([]byte("version: 1\nenvironments: [a]\nrules:\n  x:\n    a: warn\n    when: |\n      nothing.here > [\n"))
	for _, path := range []string{"testdata/show/running.yaml", "testdata/rules/running.yaml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("? a\n: - b\n  - {c: [d, *e]}\n--- !x\n<<: &y 1\n"))
	f.Add([]byte("\"a\\\n b\": >+\n  x\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _, err := Load("fuzz.yaml", data, today())
		if err != nil {
			_ = err.Error()
			return
		}
		for i := range r.Rows {
			if len(r.Rows[i].Cells) != len(r.Environments) {
				t.Fatalf("%d cells for %d environments", len(r.Rows[i].Cells), len(r.Environments))
			}
		}
		c := shop()
		c.Question.Place = r.PlaceOf("a", "b", "c", nil)
		touchstone.Decide(r, c)
		if err := Show(discard{}, r, 80, true); err != nil {
			t.Fatal(err)
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
