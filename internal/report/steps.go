package report

import (
	"cmp"
	"slices"

	"touchstone.dev/touchstone"
)

// step is one thing to do: a package to upgrade, wherever it lies.
type step struct {
	name, from, to string // from is empty when the places have several versions
	paths          []string
	origin         touchstone.Origin
	clears         map[spot]bool
	closes         int // holes that are gone after this step and those before it
	helps          int // places of holes that it clears, also where others remain
}

// spot is one hole in one place.
type spot struct{ id, path string }

// steps returns the upgrades that close most of the holes, each counted for what
// those before it leave, at most mostSteps.
func steps(c *touchstone.Check, of []hole) []step {
	open := map[string]map[string]bool{}
	for _, h := range of {
		open[h.id] = map[string]bool{}
		for _, m := range h.matches {
			open[h.id][m.Package.Path] = true
		}
	}
	waiting := merged(c.Upgrades)
	var out []step
	for len(out) < mostSteps {
		best := -1
		for i := range waiting {
			waiting[i].weigh(open)
			if waiting[i].helps > 0 && (best < 0 || waiting[i].better(&waiting[best])) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		for s := range waiting[best].clears {
			delete(open[s.id], s.path)
			if len(open[s.id]) == 0 {
				delete(open, s.id)
			}
		}
		out = append(out, waiting[best])
		waiting = slices.Delete(waiting, best, best+1)
	}
	return out
}

// merged makes one step of the upgrades of one package to one version.
func merged(upgrades []touchstone.Upgrade) []step {
	type key struct{ name, to string }
	at := map[key]int{}
	var out []step
	for i := range upgrades {
		u := &upgrades[i]
		j, there := at[key{u.Package, u.To}]
		if !there {
			j = len(out)
			at[key{u.Package, u.To}] = j
			out = append(out, step{name: u.Package, from: u.From, to: u.To, origin: u.Origin, clears: map[spot]bool{}})
		}
		s := &out[j]
		s.paths = append(s.paths, u.Path)
		if s.from != u.From {
			s.from = ""
		}
		if s.origin != u.Origin {
			s.origin = touchstone.OriginUnknown
		}
		for _, id := range u.Clears {
			s.clears[spot{id, u.Path}] = true
		}
	}
	return out
}

// weigh counts what the step would do for what is still open.
func (s *step) weigh(open map[string]map[string]bool) {
	cleared := map[string]int{}
	s.closes, s.helps = 0, 0
	for at := range s.clears {
		if open[at.id][at.path] {
			cleared[at.id]++
			s.helps++
		}
	}
	for id, n := range cleared {
		if n == len(open[id]) {
			s.closes++
		}
	}
}

func (s *step) better(t *step) bool {
	return cmp.Or(cmp.Compare(s.closes, t.closes), cmp.Compare(s.helps, t.helps)) > 0
}
