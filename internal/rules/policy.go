package rules

import (
	"errors"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// usage is an error about what somebody typed, with what to do on its own line.
func usage(message, hint string) error {
	if hint != "" {
		message += "\nhint: " + hint
	}
	return errors.New(message)
}

// waiverPolicy reads how far waivers may go.
func (l *loader) waiverPolicy(n *node) {
	l.rules.Waiving.Longest = make([]time.Duration, len(l.rules.Environments))
	if n == nil || !l.keys(n, []string{"longest", "approved-by", "never", "announce"}, "waivers") {
		return
	}
	if longest := n.get("longest"); longest != nil {
		l.longest(longest)
	}
	if by := n.get("approved-by"); by != nil {
		l.rules.Waiving.ApprovedBy, _ = l.word(by, "approved-by")
	}
	if announce := n.get("announce"); announce != nil {
		l.announce(announce)
	}
	never := n.get("never")
	if never == nil {
		return
	}
	names, ok := l.words(never, "never")
	if !ok {
		return
	}
	for i, name := range names {
		if l.rules.Row(name) == nil && !isMeasure(name) && name != touchstone.RuleIntegrity {
			l.fault(never.items[i], "there is no rule "+quote(name), didYouMean(name, l.ruleNames()))
		}
	}
	l.rules.Waiving.Never = names
}

// announce reads how long before its end a waiver is announced to lapse.
func (l *loader) announce(n *node) {
	text, ok := l.word(n, "announce")
	if !ok {
		return
	}
	d, problem := lengthOf(text)
	if problem != "" {
		l.fault(n, problem, "days or hours: 7d")
	}
	l.rules.Waiving.Announce = d
}

// ruleNames are the rows of the file and the built-in rules.
func (l *loader) ruleNames() []string {
	out := measureNames()
	for i := range l.rules.Rows {
		if !slices.Contains(out, l.rules.Rows[i].Name) {
			out = append(out, l.rules.Rows[i].Name)
		}
	}
	return out
}

// longest reads how long a waiver may run in each environment.
func (l *loader) longest(n *node) {
	if n.kind != kindTable {
		l.fault(n, "longest must be a table of environments, not "+n.kind.String(), "longest: {others: 180d, "+l.last()+": 30d}")
		return
	}
	l.twice(n)
	length := func(v *node) time.Duration {
		text, ok := l.word(v, "longest")
		if !ok || text == "any" {
			return 0
		}
		d, problem := lengthOf(text)
		if problem != "" {
			l.fault(v, problem, "days or hours: 30d; or any")
		}
		return d
	}
	var rest time.Duration
	others := n.get("others")
	if others != nil {
		rest = length(others)
	}
	var missing []string
	for i, env := range l.rules.Environments {
		switch own := n.get(env); {
		case own != nil:
			l.rules.Waiving.Longest[i] = length(own)
		case others != nil:
			l.rules.Waiving.Longest[i] = rest
		default:
			missing = append(missing, env)
		}
	}
	if len(missing) > 0 {
		l.fault(n, "longest says nothing for "+strings.Join(missing, ", "), "name every environment, or add others: any")
	}
	for _, e := range n.entries {
		if e.key.text != "others" {
			l.environment(e.key, e.key.text, append(slices.Clone(l.rules.Environments), "others"))
		}
	}
}

// copies reads which repositories hold copies of the same thing.
func (l *loader) copies(n *node) {
	if n == nil {
		return
	}
	if n.kind != kindTable {
		l.fault(n, "names must be a table of groups, not "+n.kind.String(), "shop: [registry.example/shop, mirror.example/shop]")
		return
	}
	l.twice(n)
	l.rules.Copies = make(map[string][]string, len(n.entries))
	for _, e := range n.entries {
		if list, ok := l.words(e.value, e.key.text); ok {
			l.rules.Copies[e.key.text] = list
		}
	}
}

// vex reads whose statements about what does not apply are believed.
func (l *loader) vex(n *node) {
	if n == nil || !l.keys(n, []string{"authors"}, "vex") {
		return
	}
	if authors := n.get("authors"); authors != nil {
		l.rules.VEXAuthors, _ = l.words(authors, "authors")
	}
}

func (p *page) policy(r *touchstone.Rules) {
	p.b.WriteByte('\n')
	p.line("%s", p.bold("Waivers"))
	for _, s := range policyText(r) {
		p.line("  %s", s)
	}
}

// policyText says how far waivers may go, one sentence after the other.
func policyText(r *touchstone.Rules) []string {
	var out, longest []string
	for i, d := range r.Waiving.Longest {
		if d > 0 {
			longest = append(longest, Printable(r.Environments[i])+" "+touchstone.Days(d))
		}
	}
	if len(longest) > 0 {
		out = append(out, "run at most: "+strings.Join(longest, ", "))
	}
	if r.Waiving.ApprovedBy != "" {
		out = append(out, "need the approval of "+Printable(r.Waiving.ApprovedBy))
	}
	if len(r.Waiving.Never) > 0 {
		out = append(out, "never for: "+Printable(strings.Join(r.Waiving.Never, ", ")))
	}
	if d := r.Waiving.Announce; d > 0 {
		out = append(out, "are announced "+touchstone.Days(d)+" before they lapse")
	}
	if len(out) == 0 {
		out = append(out, "anybody, for as long as they like: the rules do not bound them")
	}
	return out
}
