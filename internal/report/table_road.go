package report

import (
	"slices"

	"touchstone.dev/touchstone"
)

// road writes the answer for every environment: one column for each, one row for
// each rule that does more than pass.
func (s *screen) road(c *touchstone.Check) {
	label := c.Artifact.Label()
	for _, v := range []touchstone.Verdict{touchstone.Refused, touchstone.Undecided, touchstone.Allowed} {
		var places []string
		for i := range c.Road {
			if c.Road[i].Verdict == v {
				places = append(places, c.Road[i].Place.Environment)
			}
		}
		if len(places) > 0 {
			s.verdict(v, places, label)
			label = ""
		}
	}
	s.blank()
	s.facts(c, assumptions(c.Road))
	rows := rowsOf(c.Road)
	s.marks(c.Road, rows)
	s.whys(rows)
	s.todo(c)
	s.spared(c)
	s.gaps(c)
}

// assumptions are what was assumed of every place of the road; of one alone it
// would not be worth a line.
func assumptions(road []touchstone.Decision) []string {
	var out []string
	for _, a := range road[0].Place.Assumed {
		everywhere := true
		for i := range road {
			everywhere = everywhere && slices.Contains(road[i].Place.Assumed, a)
		}
		if everywhere {
			out = append(out, a)
		}
	}
	return out
}

// roadRow is one rule along the road.
type roadRow struct {
	rule    string
	reasons []*touchstone.Reason // one for each environment; nil where it was not asked
}

// worst is the hardest standing that the rule has anywhere.
func (r *roadRow) worst() standing {
	w := idle
	for _, why := range r.reasons {
		if why != nil {
			w = min(w, stand(why))
		}
	}
	return w
}

// rowsOf turns the decisions into rows, worst first.
func rowsOf(road []touchstone.Decision) []roadRow {
	at := map[string]int{}
	var rows []roadRow
	for env := len(road) - 1; env >= 0; env-- { // the strictest has the order that matters
		for i := range road[env].Reasons {
			why := &road[env].Reasons[i]
			j, there := at[why.Rule]
			if !there {
				j = len(rows)
				at[why.Rule] = j
				rows = append(rows, roadRow{why.Rule, make([]*touchstone.Reason, len(road))})
			}
			rows[j].reasons[env] = why
		}
	}
	slices.SortStableFunc(rows, func(a, b roadRow) int { return int(a.worst()) - int(b.worst()) })
	return rows
}

// marks writes the grid of rules and environments; in blocks where the screen
// is too narrow for all environments.
func (s *screen) marks(road []touchstone.Decision, rows []roadRow) {
	rule, each := len("verdict"), len("x unknown")
	for i := range rows {
		if rows[i].worst() < passing || s.o.Verbose {
			rule = min(max(rule, shown(visible(rows[i].rule))), widest)
		}
	}
	for i := range road {
		each = min(max(each, len("x "+road[i].Verdict), shown(visible(road[i].Place.Environment))), labelWidth)
	}
	block := max(1, (s.o.Width-2-rule)/(each+2))
	for from := 0; from < len(road); from += block {
		to := min(from+block, len(road))
		s.blank()
		widths := []int{rule}
		head := []cell{{"rule", faint}}
		for i := from; i < to; i++ {
			widths = append(widths, each)
			head = append(head, cell{road[i].Place.Environment, strong})
		}
		s.row(2, widths, head...)
		s.row(2, widths, s.verdicts(road[from:to])...)
		for i := range rows {
			if st := rows[i].worst(); st < passing || s.o.Verbose {
				s.row(2, widths, s.standings(&rows[i], from, to)...)
			}
		}
	}
	quiet := 0
	for i := range rows {
		if rows[i].worst() >= passing {
			quiet++
		}
	}
	if quiet > 0 && !s.o.Verbose {
		s.text(2, faint, s.ellipsis()+" and "+counted(quiet, "rule")+" that no environment has anything against")
	}
}

func (s *screen) verdicts(road []touchstone.Decision) []cell {
	cells := []cell{{"verdict", normal}}
	for i := range road {
		l := verdictLook(road[i].Verdict)
		cells = append(cells, cell{l.sign(s.o.ASCII) + " " + string(road[i].Verdict), l.style})
	}
	return cells
}

func (s *screen) standings(r *roadRow, from, to int) []cell {
	cells := []cell{{r.rule, normal}}
	for _, why := range r.reasons[from:to] {
		l := idle.look()
		if why != nil {
			l = stand(why).look()
		}
		cells = append(cells, cell{l.sign(s.o.ASCII) + " " + l.word, l.style})
	}
	return cells
}

// whys writes the reasons of each rule that does not pass, told by its hardest
// environment.
func (s *screen) whys(rows []roadRow) {
	titled := standing(-1)
	for i := range rows {
		st := rows[i].worst()
		if st >= passing && !s.o.Verbose {
			continue
		}
		if st != titled {
			titled = st
			s.heading(roadHeading(st))
		}
		s.reason(st, rows[i].spokesman())
	}
}

func roadHeading(st standing) string {
	switch st {
	case refusing:
		return "Why it is refused"
	case stalling:
		return "What could not be asked"
	case warned:
		return "What is warned of"
	case waived:
		return "What is waived"
	case passing:
		return "What passes"
	default:
		return "What is not applicable"
	}
}

// spokesman is the reason that tells most: of the hardest standing, the one of
// the strictest environment.
func (r *roadRow) spokesman() *touchstone.Reason {
	worst := r.worst()
	var best *touchstone.Reason
	for _, why := range r.reasons {
		if why != nil && stand(why) == worst {
			best = why
		}
	}
	return best
}
