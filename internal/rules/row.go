package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

func itoa(n int) string { return strconv.Itoa(n) }

// rowKeys are the keys of a row besides environments and the measure's list.
func rowKeys() []string {
	return []string{"when", "because", "owner", "fix", "aligns", "from", "grace", "through-freezes"}
}

// staleDefault is the limit of stale-advisories when the file has no such row:
// three days, so that a weekend without a fetch refuses nobody on Monday.
const staleDefault = 72 * time.Hour

func isMeasure(name string) bool { _, ok := measure(name); return ok }

// measure returns the built-in rule with the name.
func measure(name string) (touchstone.Measure, bool) {
	for _, m := range touchstone.Measures() {
		if m.Name == name {
			return m, true
		}
	}
	return touchstone.Measure{}, false
}

func measureNames() []string {
	var out []string
	for _, m := range touchstone.Measures() {
		out = append(out, m.Name)
	}
	return out
}

// rows reads the table of rules and adds the rows about ignorance.
func (l *loader) rows(root *node) {
	table := root.get("rules")
	switch {
	case table == nil:
		l.fault(root, "the file has no rules", "add rules: with rows such as cvss: {others: at most 8, "+l.last()+": below 7}")
		return
	case table.kind != kindTable:
		l.fault(table, "rules must be a table of rows, not "+table.kind.String(), "")
		return
	}
	l.twice(table)
	for _, e := range table.entries {
		l.row(e)
	}
	for _, name := range touchstone.Ignorance() {
		if table.get(name) == nil {
			row := l.implied(name)
			l.rules.Rows = append(l.rules.Rows, row)
			m, _ := measure(name)
			l.golden(row, nil, m)
		}
	}
}

func (l *loader) last() string { return l.rules.Environments[len(l.rules.Environments)-1] }

// implied is the row of a rule about ignorance that the file does not have.
func (l *loader) implied(name string) touchstone.Rule {
	row := touchstone.Rule{Name: name, Implied: true, Because: "what is not known never passes; these rules have no row of their own for it"}
	for i := range l.rules.Environments {
		cell := touchstone.Cell{Effect: touchstone.EffectWarn}
		if i == len(l.rules.Environments)-1 {
			cell.Effect = touchstone.EffectRefuse
		}
		if name == "stale-advisories" {
			cell.Limit = touchstone.Limit{Op: touchstone.AtMost, Value: staleDefault.Hours(), Unit: touchstone.UnitTime}
		}
		row.Cells = append(row.Cells, cell)
	}
	return row
}

// row reads one rule.
func (l *loader) row(e entry) {
	name, n := e.key.text, e.value
	m, builtIn := measure(name)
	if n.kind != kindTable {
		l.fault(n, "the row "+name+" must be a table, not "+n.kind.String(), name+": {others: …, "+l.last()+": …}")
		return
	}
	custom := n.get("when") != nil
	switch {
	case later(name) != "":
		l.fault(e.key, later(name), "take the row out until then")
		return
	case name == touchstone.RuleIntegrity || name == touchstone.RuleInspect || name == "others":
		l.fault(e.key, quote(name)+" is always asked and cannot be changed", "give your rule another name")
		return
	case builtIn && custom:
		l.fault(e.key, name+" is built in and takes no condition", "give your own rule a name of its own")
		return
	case !builtIn && !custom:
		l.fault(e.key, "there is no rule "+quote(name), orElse(meant(name), "a rule of your own says when it fails: when: CONDITION"))
		return
	case custom && !wordPattern.MatchString(name):
		l.fault(e.key, quote(name)+" cannot be the name of a rule", "letters, digits, dots and hyphens")
		return
	case custom:
		m = touchstone.Measure{Name: name, Takes: touchstone.TakesEffect}
	}
	rule := touchstone.Rule{Name: name}
	l.twice(n)
	rule.Cells = l.cells(e.key, n, m)
	for _, k := range n.entries {
		l.rowKey(k, m, &rule)
	}
	if m.List != "" && !m.Optional && n.get(m.List) == nil {
		l.fault(e.key, "the row "+name+" needs the list "+m.List, m.List+": [one, two]")
	}
	l.rules.Rows = append(l.rules.Rows, rule)
	l.golden(rule, n.get(goldenColumn), m)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// meant says which rule a word that is none was probably meant to be.
func meant(name string) string {
	switch name {
	case "promotion", "promotions":
		return "did you mean promoted, soak or approvals?"
	case "freeze", "freezes", "window", "windows":
		return "the row frozen says where they hold; freezes: and windows: stand beside rules:"
	case "improvement", "improvements", "improve":
		return "did you mean improves?"
	default:
		return nearestHint(name, measureNames())
	}
}

func nearestHint(word string, valid []string) string {
	if near := nearest(word, valid); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// rowKey reads what a row says besides its cells.
func (l *loader) rowKey(e entry, m touchstone.Measure, rule *touchstone.Rule) {
	key, n := e.key.text, e.value
	switch {
	case key == "others" || key == goldenColumn || slices.Contains(l.rules.Environments, key):
	case key == m.List && key != "":
		rule.List, _ = l.words(n, key)
		if len(rule.List) == 0 && n.kind == kindList {
			l.fault(n, key+" is empty", key+": [one, two]")
		}
	case key == "because":
		rule.Because, _ = l.word(n, key)
	case key == "owner":
		rule.Owner, _ = l.word(n, key)
	case key == "fix":
		rule.Fix, _ = l.word(n, key)
	case key == "aligns":
		rule.Aligns, _ = l.words(n, key)
	case key == "from":
		var ok bool
		rule.From, _, ok = l.day(n, key)
		if ok && !rule.From.After(l.now) {
			l.warn(n, rule.Name+" has refused since "+rule.From.Format(time.DateOnly)+"; from says nothing any more", "take it out")
		}
	case key == "grace":
		l.grace(e, rule)
	case key == "through-freezes" && rule.Name != touchstone.RuleReplaceDeadline:
		l.fault(e.key, "the row "+rule.Name+" takes no through-freezes", "it is for replace-deadline: whether a freeze holds even that")
	case key == "through-freezes":
		rule.ThroughFreezes = l.yes(n, key)
	case key == "when":
		rule.When = l.condition(n)
	case later(key) != "":
		l.fault(e.key, later(key), "take it out until then")
	default:
		valid := append(append(slices.Clone(l.rules.Environments), "others", goldenColumn), rowKeys()...)
		if m.List != "" {
			valid = append(valid, m.List)
		}
		hint := nearestHint(key, valid)
		switch {
		case n.kind == kindNull:
			hint = "a text that holds a comma needs quotes"
		case hint == "":
			hint = "environments are: " + strings.Join(l.rules.Environments, ", ") + ", others; besides: because, owner, fix, aligns, from"
		}
		l.fault(e.key, "a row has no key "+quote(key), hint)
	}
}

// cells reads one cell for each environment. Every environment must be named, or
// others.
func (l *loader) cells(key, n *node, m touchstone.Measure) []touchstone.Cell {
	cells := make([]touchstone.Cell, len(l.rules.Environments))
	others := n.get("others")
	var rest touchstone.Cell
	if others != nil {
		rest, _ = l.cellOf(others, m)
	}
	var missing []string
	for i, env := range l.rules.Environments {
		own := n.get(env)
		switch {
		case own != nil:
			cells[i], _ = l.cellOf(own, m)
		case others != nil:
			cells[i] = rest
		default:
			missing = append(missing, env)
		}
	}
	switch {
	case len(missing) > 0:
		l.fault(key, "the row "+m.Name+" says nothing for "+strings.Join(missing, ", "), "name every environment, or add others: "+mildest(m))
	case others != nil && named(n, l.rules.Environments):
		l.warn(others, "others says nothing: the row "+m.Name+" names every environment", "take it out")
	}
	return cells
}

// mildest is what a row says where it is to hold nobody back.
func mildest(m touchstone.Measure) string {
	switch {
	case m.Takes == touchstone.TakesEnd:
		return keep
	case m.Takes == touchstone.TakesLeave:
		return string(touchstone.EffectRefuse) // nothing is let through that would not be without the row
	case m.Takes.Limited():
		return "any"
	default:
		return "allow"
	}
}

func named(n *node, environments []string) bool {
	return !slices.ContainsFunc(environments, func(e string) bool { return n.get(e) == nil })
}
