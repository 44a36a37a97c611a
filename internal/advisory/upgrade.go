package advisory

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// upgrades returns for each package the lowest version that clears all of its
// holes that have a fix, the upgrade that clears most first. Packages of a
// distribution that are built from one source are upgraded together.
func (q *query) upgrades() []touchstone.Upgrade {
	type key struct {
		asked
		path string
	}
	groups := map[key][]*candidate{}
	var order []key
	for _, c := range q.out {
		if !c.match.Applies {
			continue
		}
		k := key{c.asked, c.pkg.Path}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], c)
	}
	list := []touchstone.Upgrade{}
	for _, k := range order {
		if u, ok := upgradeOf(groups[k]); ok {
			list = append(list, u)
		}
	}
	slices.SortStableFunc(list, func(a, b touchstone.Upgrade) int {
		switch {
		case len(a.Clears) != len(b.Clears):
			return len(b.Clears) - len(a.Clears)
		case a.Package != b.Package:
			return strings.Compare(a.Package, b.Package)
		}
		return strings.Compare(a.Path, b.Path)
	})
	return list
}

// upgradeOf finds the version for matches of one package; ok is false when none
// of them has a fix.
func upgradeOf(list []*candidate) (touchstone.Upgrade, bool) {
	f := list[0].found
	holes := map[uint32]*candidate{}
	leaves := map[uint32]bool{}
	var ranks []int
	lowest := 0 // no version below this rank clears all
	for _, c := range list {
		fixes := f.fixes(c.hit)
		if len(fixes) == 0 {
			leaves[c.hit.hole] = true
			continue
		}
		holes[c.hit.hole] = c
		ranks = append(ranks, fixes...)
		lowest = max(lowest, fixes[0])
	}
	if len(holes) == 0 {
		return touchstone.Upgrade{}, false
	}
	slices.Sort(ranks)
	best, most := lowest, -1
	for _, r := range slices.Compact(ranks) {
		if r < lowest {
			continue
		}
		n := 0
		for _, c := range holes {
			if clears(f, c.hit, r) {
				n++
			}
		}
		if n > most {
			best, most = r, n
		}
		if n == len(holes) {
			break
		}
	}
	u := touchstone.Upgrade{
		Package: list[0].asked.name, PURL: list[0].pkg.PURL, Path: list[0].pkg.Path,
		From: list[0].asked.version, To: f.pkg.Versions[best], Origin: touchstone.OriginUnknown, Leaves: len(leaves),
	}
	for _, c := range holes {
		if clears(f, c.hit, best) {
			u.Clears = append(u.Clears, c.match.ID)
		} else {
			u.Leaves++
		}
	}
	slices.Sort(u.Clears)
	return u, len(u.Clears) > 0
}

// clears reports whether the version of a rank mends the hole: no source calls
// it vulnerable, or it is the fix that the only source names.
func clears(f *found, h *hit, rank int) bool {
	return f.mends(h, rank) || slices.Contains(f.fixes(h), rank)
}
