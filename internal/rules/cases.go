package rules

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// DefaultCases is the file of cases, beside the rules.
const DefaultCases = "touchstone-cases.yaml"

// Case is what a team expects of its rules: given an artifact in a place, this
// verdict.
type Case struct {
	Name  string
	File  string
	Line  int
	Given touchstone.Case
	// Verdict is what is expected in the place of Given; "" when only Road or
	// Rules are.
	Verdict touchstone.Verdict
	// Action is what is expected to be done about an act on what runs; "" where
	// nothing is said of it.
	Action touchstone.Effect
	// Road is what is expected in environments, by name.
	Road map[string]touchstone.Verdict
	// Rules is what is expected of single rules in the place of Given: an
	// outcome (pass, fail, waived, unknown, not-applicable), an effect (warn,
	// refuse, approve, none), or "not-asked".
	Rules map[string]string
}

// notAsked is expected of a rule that the decision does not mention.
const notAsked = "not-asked"

func verdicts() []string {
	return words([]touchstone.Verdict{touchstone.Allowed, touchstone.Undecided, touchstone.Refused})
}

func actions() []string {
	return words([]touchstone.Effect{touchstone.EffectNone, touchstone.EffectAlert, touchstone.EffectBlock, touchstone.EffectKill})
}

func expectations() []string {
	return append(words([]touchstone.Outcome{touchstone.Pass, touchstone.Fail, touchstone.Waived, touchstone.Unknown, touchstone.NotApplicable}),
		string(touchstone.EffectWarn), string(touchstone.EffectRefuse), string(touchstone.EffectApprove), string(touchstone.EffectNone), notAsked)
}

// LoadCases reads a file of cases. What a case does not say is as it should be:
// an image built now on a golden base of Debian, read whole, that runs as user 65532,
// judged with advisories confirmed now; a vulnerability applies
// and was published now. now is the moment of a case that names
// none ("at"). The error is an *Error with every fault of the file.
func LoadCases(name string, data []byte, r *touchstone.Rules, now time.Time) ([]Case, error) {
	l := caseLoader{reader: newReader(name, data), rules: r, now: now}
	root := l.parse(data, bounds{bytes: 4 << 20, lines: 1000})
	if len(l.problems) > 0 {
		return nil, l.err()
	}
	if root == nil {
		return []Case{}, nil
	}
	if root.kind != kindList {
		l.fault(root, "cases must be a list, not "+root.kind.String(), "- {name: …, given: {…}, expect: {verdict: refused}}")
		return nil, l.err()
	}
	out := make([]Case, 0, len(root.items))
	for _, n := range root.items {
		out = append(out, l.testCase(n))
	}
	return out, l.err()
}

type caseLoader struct {
	*reader
	rules *touchstone.Rules
	now   time.Time
}

func (l *caseLoader) testCase(n *node) Case {
	c := Case{File: l.file, Line: n.line}
	if !l.keys(n, []string{"name", "given", "expect"}, "a case") {
		return c
	}
	if name := n.get("name"); name == nil {
		l.fault(n, "the case has no name", "name: what it shows, in a sentence")
	} else {
		c.Name, _ = l.word(name, "name")
	}
	given := n.get("given")
	if given == nil {
		given = &node{line: n.line, column: n.column, kind: kindTable}
	}
	c.Given = l.given(given)
	if expect := n.get("expect"); expect == nil {
		l.fault(n, "the case expects nothing", "expect: {verdict: refused}")
	} else {
		l.expect(expect, &c)
	}
	return c
}

func (l *caseLoader) expect(n *node, c *Case) {
	if !l.keys(n, []string{"verdict", "action", "road", "rules"}, "expect") {
		return
	}
	if v := n.get("verdict"); v != nil {
		c.Verdict = touchstone.Verdict(l.oneOf(v, "the verdict", verdicts()))
	}
	if a := n.get("action"); a != nil {
		c.Action = touchstone.Effect(l.oneOf(a, "the action", actions()))
	}
	if road := n.get("road"); road != nil {
		c.Road = map[string]touchstone.Verdict{}
		l.table(road, "road", func(e entry) {
			l.environment(e.key, e.key.text, l.rules.Environments)
			c.Road[e.key.text] = touchstone.Verdict(l.oneOf(e.value, "the verdict", verdicts()))
		})
	}
	if list := n.get("rules"); list != nil {
		c.Rules = map[string]string{}
		known := []string{touchstone.RuleIntegrity, touchstone.RuleInspect}
		for i := range l.rules.Rows {
			known = append(known, l.rules.Rows[i].Name)
		}
		l.table(list, "rules", func(e entry) {
			if !slices.Contains(known, e.key.text) {
				l.fault(e.key, "the rules have no row "+quote(e.key.text), nearestHint(e.key.text, known))
			}
			c.Rules[e.key.text] = l.oneOf(e.value, "what is expected of "+e.key.text, expectations())
		})
	}
	if c.Verdict == "" && c.Action == "" && len(c.Road) == 0 && len(c.Rules) == 0 {
		l.fault(n, "the case expects nothing", "expect: {verdict: refused}")
	}
}

func (r *reader) table(n *node, what string, each func(entry)) {
	if n.kind != kindTable {
		r.fault(n, what+" must be a table, not "+n.kind.String(), "")
		return
	}
	r.twice(n)
	for _, e := range n.entries {
		each(e)
	}
}

func (r *reader) oneOf(n *node, what string, valid []string) string {
	text, ok := r.word(n, what)
	if ok && !slices.Contains(valid, text) {
		r.fault(n, what+" cannot be "+quote(text), didYouMean(text, valid))
	}
	return text
}

// Result is what came of one case.
type Result struct {
	Case Case
	// Wrong lists what came out otherwise than expected, as sentences; empty
	// when the case holds.
	Wrong []string
}

// OK reports whether the case came out as expected.
func (r Result) OK() bool { return len(r.Wrong) == 0 }

// String returns a line that says whether the case holds, and below it what came
// out otherwise.
func (r Result) String() string {
	if r.OK() {
		return "ok    " + Printable(r.Case.Name) + "\n"
	}
	s := fmt.Sprintf("FAIL  %s (%s:%d)\n", Printable(r.Case.Name), Printable(r.Case.File), r.Case.Line)
	for _, w := range r.Wrong {
		s += "      " + w + "\n"
	}
	return s
}

// RunCases decides each case by the rules and compares.
func RunCases(r *touchstone.Rules, cases []Case) []Result {
	out := make([]Result, len(cases))
	for i := range cases {
		out[i] = Result{Case: cases[i], Wrong: run(r, &cases[i])}
	}
	return out
}

func run(r *touchstone.Rules, c *Case) []string {
	var wrong []string
	d := touchstone.Decide(r, &c.Given)
	if c.Verdict != "" && d.Verdict != c.Verdict {
		wrong = append(wrong, differs(d.Place.Environment, string(c.Verdict), &d))
	}
	if c.Action != "" && d.Action != c.Action {
		wrong = append(wrong, fmt.Sprintf("in %s the action is %s, expected %s", Printable(d.Place.Environment), orElse(string(d.Action), "none of these"), c.Action))
	}
	for _, env := range r.Environments {
		want, ok := c.Road[env]
		if !ok {
			continue
		}
		given := c.Given
		given.Question.Place.Environment = env
		if d := touchstone.Decide(r, &given); d.Verdict != want {
			wrong = append(wrong, differs(env, string(want), &d))
		}
	}
	for _, rule := range sortedKeys(c.Rules) {
		if s := ruleDiffers(rule, c.Rules[rule], &d); s != "" {
			wrong = append(wrong, s)
		}
	}
	return wrong
}

// differs says that a verdict is not the expected one, and what brought it about.
func differs(env, want string, d *touchstone.Decision) string {
	s := fmt.Sprintf("in %s it is %s, expected %s", Printable(env), d.Verdict, want)
	var why []string
	for i := range d.Reasons {
		if q := &d.Reasons[i]; q.Effect == touchstone.EffectRefuse || q.Effect == touchstone.EffectApprove {
			why = append(why, Printable(q.Rule)+" "+string(q.Outcome)+": "+Printable(q.Seen))
		}
	}
	if len(why) > 0 {
		s += " (" + strings.Join(why, "; ") + ")"
	}
	return s
}

func ruleDiffers(rule, want string, d *touchstone.Decision) string {
	i := slices.IndexFunc(d.Reasons, func(q touchstone.Reason) bool { return q.Rule == rule })
	switch {
	case i < 0 && want == notAsked:
		return ""
	case i < 0:
		return fmt.Sprintf("%s was not asked, expected %s", Printable(rule), want)
	}
	q := &d.Reasons[i]
	if string(q.Outcome) == want || string(q.Effect) == want {
		return ""
	}
	return fmt.Sprintf("%s is %s (%s), expected %s: saw %s; allowed is %s", Printable(rule), q.Outcome, q.Effect, want, Printable(q.Seen), Printable(q.Allowed))
}

// given reads what a case is about.
func (l *caseLoader) given(n *node) touchstone.Case {
	g := giving{caseLoader: l, evidence: &touchstone.Evidence{}}
	g.fields = fieldsOf(reflect.TypeFor[touchstone.Evidence]())
	if !l.keys(n, append(givenKeys(), sortedKeys(g.fields)...), "given") {
		return touchstone.Case{}
	}
	return g.read(n)
}
