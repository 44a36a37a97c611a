package rules

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"touchstone.dev/touchstone"
)

// DefaultFile is where the rules lie when nobody says otherwise.
const DefaultFile = "touchstone.yaml"

// Load reads a rules file. name is for messages; now tells a "from" of the past
// from one to come. The error is an *Error with every fault of the file.
func Load(name string, data []byte, now time.Time) (*touchstone.Rules, []Warning, error) {
	l := loader{reader: newReader(name, data), now: now, rules: &touchstone.Rules{Version: touchstone.DigestOf(data)}}
	root := l.parse(data, bounds{bytes: 256 << 10, lines: 3000})
	if len(l.problems) > 0 {
		return nil, nil, l.err()
	}
	l.file(root)
	if err := l.err(); err != nil {
		return nil, sorted(l.warnings), err
	}
	return l.rules, sorted(l.warnings), nil
}

// loader builds the rules of one file.
type loader struct {
	*reader
	now        time.Time
	rules      *touchstone.Rules
	classNames []string
	cel        *cel.Env // made for the first condition
}

// fileKeys are the keys of a rules file, in the order in which people read them.
func fileKeys() []string {
	return []string{"version", "environments", "places", "rules", "freezes", "windows", "classes", "writable", "guard", "replace", "waivers", "names", "vex"}
}

// later returns what a word means that a coming version will know, or "".
func later(word string) string {
	switch word {
	case "signed", "signatures", "signature":
		return "signatures come later; not a rule yet"
	case "platforms", "boundaries", "identity":
		return word + " is known, but not built yet"
	}
	return ""
}

func (l *loader) file(root *node) {
	if root == nil {
		l.problems = append(l.problems, Problem{File: l.reader.file, Message: "the file holds no rules",
			Hint: "begin with version: 1, environments: [dev, test, stage, prod] and rules:"})
		return
	}
	if !l.keys(root, fileKeys(), "the file") {
		return
	}
	l.version(root)
	if !l.environments(root) {
		return // every row would be wrong
	}
	l.classNames = knownClasses()
	for _, name := range tableKeys(root.get("classes")) {
		if !slices.Contains(l.classNames, name) {
			l.classNames = append(l.classNames, name)
		}
	}
	l.places(root.get("places"))
	l.rules.Golden = &touchstone.Rules{Version: l.rules.Version, Environments: []string{goldenColumn}}
	l.rows(root)
	l.rules.Freezes = l.calendar(root.get("freezes"), freezeKeys(), "freeze")
	l.rules.Windows = l.calendar(root.get("windows"), windowKeys(), "window")
	l.classes(root.get("classes"))
	l.ages(root)
	l.writable(root.get("writable"))
	l.guard(root.get("guard"))
	l.replace(root.get("replace"))
	l.waiverPolicy(root.get("waivers"))
	l.rules.Golden.Waiving.Never = l.rules.Waiving.Never
	l.copies(root.get("names"))
	l.vex(root.get("vex"))
	l.review(root)
}

// keys notes whatever the table holds twice or should not hold. It reports false
// when the node is no table at all.
func (r *reader) keys(n *node, valid []string, what string) bool {
	if n.kind != kindTable {
		r.fault(n, what+" must be a table, not "+n.kind.String(), "its keys are: "+strings.Join(valid, ", "))
		return false
	}
	r.twice(n)
	for _, e := range n.entries {
		switch {
		case slices.Contains(valid, e.key.text):
		case later(e.key.text) != "":
			r.fault(e.key, later(e.key.text), "take it out until then")
		case isMeasure(e.key.text) && slices.Contains(valid, "rules"):
			r.fault(e.key, what+" has no key "+quote(e.key.text), e.key.text+" is a rule: it stands below rules:")
		default:
			r.fault(e.key, what+" has no key "+quote(e.key.text), didYouMean(e.key.text, valid))
		}
	}
	return true
}

// twice notes the keys that stand in the table more than once.
func (r *reader) twice(n *node) {
	first := make(map[string]*node, len(n.entries))
	for _, e := range n.entries {
		if f := first[e.key.text]; f != nil {
			r.fault(e.key, quote(e.key.text)+" stands here for the second time; the first is in line "+itoa(f.line), "keep one of them")
			continue
		}
		first[e.key.text] = e.key
	}
}

func tableKeys(n *node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for _, e := range n.entries {
		out = append(out, e.key.text)
	}
	return out
}

func (l *loader) version(root *node) {
	v := root.get("version")
	switch {
	case v == nil:
		l.fault(root, "the file does not say which version of the format it is in", "begin with version: 1")
	case v.kind != kindScalar || v.text != "1":
		l.fault(v, "this program reads version 1 of the format", "write version: 1, or update touchstone")
	}
}

// environments reports false when there are none to judge rows by.
func (l *loader) environments(root *node) bool {
	n := root.get("environments")
	if n == nil {
		l.fault(root, "the file names no environments", "add environments: [dev, test, stage, prod], mild to strict")
		return false
	}
	before := len(l.problems)
	names, ok := l.words(n, "environments")
	if !ok {
		return false
	}
	reserved := append(rowKeys(), "others", "where", goldenColumn)
	for i, name := range names {
		switch {
		case !wordPattern.MatchString(name):
			l.fault(n.items[i], quote(name)+" cannot be the name of an environment", "letters, digits, dots and hyphens")
		case slices.Contains(reserved, name) || isMeasure(name):
			l.fault(n.items[i], quote(name)+" already means something else in these rules", "call the environment differently")
		case slices.Contains(names[:i], name):
			l.fault(n.items[i], quote(name)+" stands here for the second time", "keep one of them")
		}
	}
	if len(names) == 0 {
		l.fault(n, "there are no environments", "environments: [dev, test, stage, prod], mild to strict")
	}
	l.rules.Environments = names
	return len(l.problems) == before
}

// word returns the text of a node that must hold some.
func (r *reader) word(n *node, what string) (string, bool) {
	if n.kind != kindScalar || strings.TrimSpace(n.text) == "" {
		got := n.kind.String()
		if n.kind == kindScalar {
			got = "nothing"
		}
		r.fault(n, what+" must be text, not "+got, "")
		return "", false
	}
	return strings.TrimSpace(n.text), true
}

// words returns the texts of a list; a single word stands for a list of one.
func (r *reader) words(n *node, what string) ([]string, bool) {
	items := n.items
	switch n.kind {
	case kindList:
	case kindScalar:
		items = []*node{n}
		n.items = items
	default:
		r.fault(n, what+" must be a list of words, not "+n.kind.String(), what+": [one, two]")
		return nil, false
	}
	out, ok := make([]string, 0, len(items)), true
	for _, item := range items {
		w, good := r.word(item, "an entry of "+what)
		out, ok = append(out, w), ok && good
	}
	return out, ok
}

// environment notes an unknown environment.
func (r *reader) environment(n *node, name string, known []string) {
	if !slices.Contains(known, name) {
		r.fault(n, "there is no environment "+quote(name), didYouMean(name, known))
	}
}

// day reads a date ("2027-02-01", its first instant in UTC) or an instant
// (RFC 3339). whole is true for a date.
func (r *reader) day(n *node, what string) (t time.Time, whole, ok bool) {
	text, ok := r.word(n, what)
	if !ok {
		return time.Time{}, false, false
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil && t.Year() > 0 {
		return t, true, true
	}
	t, err := time.Parse(time.RFC3339, strings.ToUpper(text))
	if err != nil || t.Year() < 1 || t.UTC().Year() > 9999 {
		r.fault(n, what+": "+quote(text)+" is not a date", "2027-02-01, or an instant such as 2027-02-01T12:00:00Z")
		return time.Time{}, false, false
	}
	return t.UTC(), false, true
}
