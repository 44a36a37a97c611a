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
		if !asked && !m.Running && !slices.Contains(touchstone.Ignorance(), row.Name) {
			l.warn(e.key, "no environment asks the rule "+row.Name, "take the row out, or say where it warns")
		}
	}
}

// order warns where a later environment lets pass what an earlier one does not.
func (l *loader) order(e entry, row *touchstone.Rule) {
	for i := 1; i < len(row.Cells); i++ {
		if !milder(row.Cells[i], row.Cells[i-1]) {
			continue
		}
		at := e.value.get(l.rules.Environments[i])
		if at == nil {
			at = e.value.get("others")
		}
		if at == nil {
			at = e.key
		}
		l.warn(at, row.Name+" is milder in "+l.rules.Environments[i]+" ("+row.Cells[i].String()+") than in "+
			l.rules.Environments[i-1]+" ("+row.Cells[i-1].String()+"), which comes before it", "environments go from mild to strict")
	}
}

// milder reports whether a lets something pass, or answers it more softly, that
// b does not.
func milder(a, b touchstone.Cell) bool {
	if hardness(b.Effect) == 0 {
		return false
	}
	if hardness(a.Effect) < hardness(b.Effect) {
		return true
	}
	if a.Limit.Op != "" && b.Limit.Op != "" {
		if a.Limit.Value > b.Limit.Value || a.Limit.Value == b.Limit.Value && a.Limit.Op == touchstone.AtMost && b.Limit.Op == touchstone.Below {
			return true
		}
	}
	return a.After > b.After && hardness(b.Effect) > 1
}

// hardness orders effects, mild to hard.
func hardness(e touchstone.Effect) int {
	switch e {
	case touchstone.EffectNone:
		return 0
	case touchstone.EffectWarn, touchstone.EffectAlert:
		return 1
	case touchstone.EffectApprove, touchstone.EffectBlock:
		return 2
	default:
		return 3
	}
}
