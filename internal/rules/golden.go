package rules

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// goldenColumn is the key of a row under which it says what it asks of a base
// that is to be approved.
const goldenColumn = "golden"

// askedOfBases are the rules that ask of a base what they ask of the last
// environment, unless their row says otherwise. The others are about what a base
// naturally has, such as a shell or root, or about standing on one.
func askedOfBases() []string {
	return []string{"cvss", "unfixable", "known-exploited", "epss", "unscored", "fix-available-for",
		"no-advisories", "stale-advisories", "gaps", "secrets", "licences", "denied-packages"}
}

// golden is the row for bases: what its own column says, else what it asks in
// the last environment if it is one that is asked of bases.
func (l *loader) golden(row touchstone.Rule, own *node, m touchstone.Measure) {
	cell := row.Cells[len(row.Cells)-1]
	switch {
	case own != nil && m.Of != touchstone.OfArtifact:
		l.fault(own, row.Name+" is about "+subject(m.Of)+", and a base is an image", "take golden out of the row")
		return
	case own != nil:
		var ok bool
		if cell, ok = l.cellOf(own, m); !ok {
			return
		}
	case !slices.Contains(askedOfBases(), row.Name):
		return
	}
	row.Cells = []touchstone.Cell{cell}
	l.rules.Golden.Rows = append(l.rules.Golden.Rows, row)
}

// subject says what a rule is asked about.
func subject(s touchstone.Subject) string {
	switch s {
	case touchstone.OfRoad:
		return "the way from one environment to the next"
	case touchstone.OfWorkload:
		return "what a workload sets"
	case touchstone.OfRunning:
		return "what runs"
	default:
		return "an artifact"
	}
}

// goldenText tells in a line or two what is asked of a base.
func goldenText(r *touchstone.Rules) []string {
	if r.Golden == nil || len(r.Golden.Rows) == 0 {
		return nil
	}
	var cells []string
	for i := range r.Golden.Rows {
		row := &r.Golden.Rows[i]
		cells = append(cells, Printable(row.Name)+" "+cellText(row.Name, row.Cells[0]))
	}
	return []string{"a base is approved only by these: " + strings.Join(cells, ", ")}
}
