package report

import (
	"cmp"
	"slices"

	"touchstone.dev/touchstone"
)

// hole is one vulnerability of the artifact, in however many packages.
type hole struct {
	id       string
	matches  []*touchstone.Match // those that apply, best known first
	standing standing            // the worst that a rule says of it in any decision; idle if none does
	rules    []string            // the rules that say so
	urgency  touchstone.Urgency
}

// holes returns the vulnerabilities that apply, the most urgent first, judged
// for the place of the last decision, which is the strictest.
func holes(c *touchstone.Check) []hole {
	decisions := c.Decisions()
	var place touchstone.Place
	if len(decisions) > 0 {
		place = decisions[len(decisions)-1].Place
	}
	at := map[string]int{}
	var out []hole
	for i := range c.Matches {
		m := &c.Matches[i]
		if !m.Applies {
			continue
		}
		j, there := at[m.ID]
		if !there {
			j = len(out)
			at[m.ID] = j
			out = append(out, hole{id: m.ID, standing: idle, urgency: touchstone.Prioritize(m, &place)})
		}
		out[j].matches = append(out[j].matches, m)
	}
	for i := range decisions {
		blame(out, at, &decisions[i])
	}
	slices.SortStableFunc(out, compareHoles)
	return out
}

// blame notes on each hole which rules fail for it.
func blame(out []hole, at map[string]int, d *touchstone.Decision) {
	for i := range d.Reasons {
		r := &d.Reasons[i]
		for _, id := range r.Waived {
			if j, there := at[id]; there && out[j].standing == idle {
				out[j].standing, out[j].rules = waived, []string{r.Rule}
			}
		}
		st := stand(r)
		if st > warned {
			continue
		}
		for _, id := range r.Failing {
			j, there := at[id]
			if !there {
				continue
			}
			h := &out[j]
			if st < h.standing {
				h.standing, h.rules = st, nil
			}
			if st == h.standing && !slices.Contains(h.rules, r.Rule) {
				h.rules = append(h.rules, r.Rule)
			}
		}
	}
}

func compareHoles(a, b hole) int {
	switch {
	case a.urgency.Sooner(b.urgency):
		return -1
	case b.urgency.Sooner(a.urgency):
		return 1
	}
	m, n := a.matches[0], b.matches[0]
	known := 0
	if m.KnownExploited != n.KnownExploited {
		known = 1
		if m.KnownExploited {
			known = -1
		}
	}
	return cmp.Or(known, cmp.Compare(n.Score, m.Score), cmp.Compare(n.EPSS, m.EPSS), cmp.Compare(a.id, b.id))
}

// pressing returns the holes that matter for the verdict: those that refuse,
// else those that are warned of, else all.
func pressing(all []hole) []hole {
	for _, st := range []standing{refusing, warned} {
		var out []hole
		for _, h := range all {
			if h.standing == st {
				out = append(out, h)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return all
}
