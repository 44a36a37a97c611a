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

// order warns where a later environment lets pass what an earlier one does not.
func (l *loader) order(e entry, row *touchstone.Rule) {
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
