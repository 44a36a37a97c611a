package rules

import (
	"slices"

	"touchstone.dev/touchstone"
)

// review warns of what loads and is probably not meant: an environment that is
// milder than the one before it, and a rule that no environment asks.
func (l *loader) review(root *node) {
	table := root.get("rules")
	if table == nil || len(l.problems) > 0 {
		return
	}
	for _, e := range table.entries {
		row := l.rules.Row(e.key.text)
		if row == nil {
			continue
		}
		l.order(e, row)
		m, _ := measure(row.Name)
		asks := func(c touchstone.Cell) bool { return c.Effect != touchstone.EffectNone }
		asked := slices.ContainsFunc(row.Cells, asks)
		if base := l.rules.Golden.Row(row.Name); base != nil {
			asked = asked || asks(base.Cells[0])
		}
		if !asked && m.Of != touchstone.OfRunning && m.Takes != touchstone.TakesLeave && !slices.Contains(touchstone.Ignorance(), row.Name) {
			l.warn(e.key, "no environment asks the rule "+row.Name, "take the row out, or say where it warns")
		}
	}
	l.unasked(root)
	l.idle(root)
}

// idle warns of what nothing in the rules makes use of.
func (l *loader) idle(root *node) {
	for _, e := range root.entries {
		switch key := e.key.text; {
		case (key == "writable" || key == "guard") && !watched(l.rules):
			l.warn(e.key, key+" says nothing without the rows about acts on what runs", "add the row: change: {others: alert}")
		case key == "replace" && !replaced(l.rules):
			l.warn(e.key, "replace says nothing without the row replace-after", "add the row: replace-after: {others: any, "+l.last()+": at most 7d}")
		}
	}
	for _, e := range root.get("rules").entries {
		row := l.rules.Row(e.key.text)
		switch {
		case row.Name == touchstone.RuleAfterDeadline && l.rules.Row(touchstone.RuleReplaceDeadline) == nil:
			l.warn(e.key, "after-deadline says nothing without the row replace-deadline", "add the row: replace-deadline: {others: any, "+l.last()+": at most 14d}")
		case row.Grace > 0 && !l.hard(row):
			l.warn(e.value.get("grace"), "grace says nothing: the row "+row.Name+" stops nothing anywhere", "take it out")
		}
	}
}

// hard reports whether the row, or a class for it, says more than a warning.
func (l *loader) hard(row *touchstone.Rule) bool {
	hard := func(c touchstone.Cell) bool { return !c.Effect.Soft() }
	return slices.ContainsFunc(row.Cells, hard) ||
		slices.ContainsFunc(l.rules.Classes, func(c touchstone.ClassRule) bool { return hard(c.Cells[row.Name]) && c.Cells[row.Name].Effect != "" })
}

// unasked warns of freezes and windows that no row asks for.
func (l *loader) unasked(root *node) {
	row := l.rules.Row("frozen")
	if row != nil && slices.ContainsFunc(row.Cells, func(c touchstone.Cell) bool { return c.Effect != touchstone.EffectNone }) {
		return
	}
	for _, key := range []string{"freezes", "windows"} {
		for _, e := range root.entries {
			if e.key.text == key && len(e.value.items) > 0 {
				l.warn(e.key, key+" hold nobody back without the row frozen", "add the row: frozen: {others: allow, "+l.last()+": refuse}")
			}
		}
	}
}

// order warns where a later environment lets pass what an earlier one does not. Of
// keeping and stopping what cannot be replaced, neither is milder.
func (l *loader) order(e entry, row *touchstone.Rule) {
	if row.Name == touchstone.RuleAfterDeadline {
		return
	}
	for i := 1; i < len(row.Cells); i++ {
		if !row.Cells[i].Milder(row.Cells[i-1]) {
			continue
		}
		at := e.value.get(l.rules.Environments[i])
		if at == nil {
			at = e.value.get("others")
		}
		if at == nil {
			at = e.key
		}
		l.warn(at, row.Name+" is milder in "+l.rules.Environments[i]+" ("+cellText(row.Name, row.Cells[i])+") than in "+
			l.rules.Environments[i-1]+" ("+cellText(row.Name, row.Cells[i-1])+"), which comes before it", "environments go from mild to strict")
	}
}
