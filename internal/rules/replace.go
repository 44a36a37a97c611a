package rules

import (
	"regexp"
	"slices"
	"strconv"

	"touchstone.dev/touchstone"
)

// replace reads what the rules say about replacing what runs, besides their rows.
// The windows of the file are read before.
func (l *loader) replace(n *node) {
	r := &l.rules.Replace
	if *r = touchstone.DefaultReplacing(); n == nil || !l.keys(n, []string{"budget", "windows", "announce"}, "replace") {
		return
	}
	if v := n.get("budget"); v != nil {
		l.budget(v, &r.Budget)
	}
	if v := n.get("windows"); v != nil {
		r.Windows = l.replaceWindows(v)
	}
	if v := n.get("announce"); v != nil {
		r.Announce = l.lengthOrNone(v, "announce")
	}
}

func (l *loader) budget(n *node, b *touchstone.Budget) {
	if !l.keys(n, []string{"workload", "namespace", "cluster"}, "budget") {
		return
	}
	for _, e := range n.entries {
		switch e.key.text {
		case "workload":
			b.Workload = l.share(e.value, "workload")
		case "namespace":
			b.Namespace = l.share(e.value, "namespace")
		case "cluster":
			b.Cluster = l.share(e.value, "cluster")
		}
	}
}

var sharePattern = regexp.MustCompile(`^(\d{1,6}) ?(%?)$`)

// share reads a count or a percentage.
func (l *loader) share(n *node, what string) touchstone.Share {
	text, ok := l.word(n, what)
	if !ok || text == "any" {
		return touchstone.Share{}
	}
	parts := sharePattern.FindStringSubmatch(text)
	if parts == nil {
		l.fault(n, "the budget of the "+what+" cannot be "+quote(text), "a count, a percentage or any: 1, 10%")
		return touchstone.Share{}
	}
	v, _ := strconv.Atoi(parts[1]) // at most six digits, says the pattern
	switch percent := parts[2] != ""; {
	case v == 0:
		l.fault(n, "with a budget of "+text+" nothing is ever replaced", "1 is the least; to replace nothing, write replace-after: {others: any}")
	case percent && v > 100:
		l.fault(n, text+" is more than there is", "100% at most, or any")
	case percent:
		return touchstone.Share{Percent: v}
	}
	return touchstone.Share{Count: v}
}

// replaceWindows reads a list of windows; a word stands for that of the file which
// has it as its name.
func (l *loader) replaceWindows(n *node) []touchstone.Freeze {
	items := n.items
	switch n.kind {
	case kindList:
	case kindScalar:
		items = []*node{n}
	default:
		l.fault(n, "windows must be a list, not "+n.kind.String(), "- {environments: [prod], every: Mon-Fri 09:00 to 16:00, zone: Europe/Berlin}")
		return nil
	}
	var out []touchstone.Freeze
	for i, item := range items {
		if item.kind == kindScalar {
			out = append(out, l.windowNamed(item)...)
			continue
		}
		one := l.freezes(&node{line: item.line, column: item.column, kind: kindList, items: []*node{item}}, windowKeys(), "window", l.rules.Environments)
		if len(one) > 0 && item.get("name") == nil {
			one[0].ID = "the window " + itoa(i+1) + " of replace"
		}
		out = append(out, one...)
	}
	return out
}

func (l *loader) windowNamed(n *node) []touchstone.Freeze {
	var names []string
	for i := range l.rules.Windows {
		if l.rules.Windows[i].ID == n.text {
			return []touchstone.Freeze{l.rules.Windows[i]}
		}
		names = append(names, l.rules.Windows[i].ID)
	}
	l.fault(n, "there is no window called "+quote(n.text), orElse(nearestHint(n.text, names),
		"name one of windows:, or write it here: {environments: [prod], every: Mon-Fri 09:00 to 16:00, zone: Europe/Berlin}"))
	return nil
}

// ages holds replace-after to being below replace-deadline, in each environment and
// class: what has no time between the two is always replaced regardless.
func (l *loader) ages(root *node) {
	after, deadline := l.rules.Row(touchstone.RuleReplaceAfter), l.rules.Row(touchstone.RuleReplaceDeadline)
	if deadline == nil {
		return
	}
	table := root.get("rules")
	if after == nil {
		i := slices.IndexFunc(table.entries, func(e entry) bool { return e.key.text == touchstone.RuleReplaceDeadline })
		l.fault(table.entries[i].key, "the rules have a "+touchstone.RuleReplaceDeadline+" and no "+touchstone.RuleReplaceAfter+": nothing would be replaced before it must be",
			"add the row: replace-after: {others: any, "+l.last()+": at most 7d}")
		return
	}
	for i, env := range l.rules.Environments {
		at := cellNode(table.get(touchstone.RuleReplaceAfter), env)
		l.age(at, "in "+env, after.Cells[i], deadline.Cells[i])
	}
	for i := range l.rules.Classes {
		class := &l.rules.Classes[i]
		entry := root.get("classes").get(string(class.Class))
		own, changes := class.Cells[touchstone.RuleReplaceAfter]
		end, ends := class.Cells[touchstone.RuleReplaceDeadline]
		at := entry.get(touchstone.RuleReplaceAfter)
		if !changes {
			at = entry.get(touchstone.RuleReplaceDeadline)
		}
		for k, env := range l.rules.Environments {
			if !changes && !ends || !slices.Contains(class.Where, env) {
				continue
			}
			a, d := after.Cells[k], deadline.Cells[k]
			if changes {
				a = own
			}
			if ends {
				d = end
			}
			l.age(at, "for "+string(class.Class)+" in "+env, a, d)
		}
	}
}

// age compares the two cells of one place.
func (l *loader) age(at *node, where string, after, deadline touchstone.Cell) {
	text := "(" + cellText(touchstone.RuleReplaceDeadline, deadline) + ")"
	switch {
	case at == nil || deadline.Limit.Op == "":
	case after.Effect == touchstone.EffectNone:
		l.fault(at, where+" there is a replace-deadline "+text+" and no time before it in which anything is replaced", "let replace-after be below it")
	case after.Limit.Op != "" && after.Limit.Value >= deadline.Limit.Value:
		l.fault(at, where+" replace-after ("+after.Limit.String()+") is not below replace-deadline "+text, "leave time between the two: windows, budgets and disruption budgets hold only before the deadline")
	}
}

// cellNode returns where the row says something for the environment.
func cellNode(row *node, env string) *node {
	if at := row.get(env); at != nil {
		return at
	}
	return row.get("others")
}

// replaced reports whether the rules replace what runs by its age.
func replaced(r *touchstone.Rules) bool {
	return r.Row(touchstone.RuleReplaceAfter) != nil || r.Row(touchstone.RuleReplaceDeadline) != nil
}

// replaceText says how what runs is replaced.
func replaceText(r *touchstone.Rules) titled {
	out := titled{title: "Replacing"}
	if !replaced(r) {
		return out
	}
	b := &r.Replace.Budget
	part := func(s touchstone.Share, of string) string {
		if s == (touchstone.Share{}) {
			return "any number of a " + of
		}
		return s.String() + " of a " + of
	}
	out.lines = append(out.lines, "at a time: "+part(b.Workload, "workload")+", "+part(b.Namespace, "namespace")+", "+part(b.Cluster, "cluster"))
	for i := range r.Replace.Windows {
		out.lines = append(out.lines, "window of "+freezeText(&r.Replace.Windows[i]))
	}
	if d := r.Replace.Announce; d > 0 && r.Row(touchstone.RuleReplaceDeadline) != nil {
		out.lines = append(out.lines, "a deadline is announced "+touchstone.Days(d)+" before")
	}
	return out
}
