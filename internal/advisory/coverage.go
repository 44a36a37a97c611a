package advisory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/release"
)

// coverage says for each ecosystem of the packages whether the index knows it.
func (ix *Index) coverage(packages []touchstone.Package, now time.Time) []touchstone.Coverage {
	list := []touchstone.Coverage{}
	at := map[string]int{}
	for i := range packages {
		p := &packages[i]
		n, ok := at[p.Ecosystem]
		if !ok {
			n = len(list)
			at[p.Ecosystem] = n
			list = append(list, ix.covers(p, now))
		}
		list[n].Packages++
	}
	slices.SortFunc(list, func(a, b touchstone.Coverage) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	return list
}

func (ix *Index) covers(p *touchstone.Package, now time.Time) touchstone.Coverage {
	c := touchstone.Coverage{Ecosystem: p.Ecosystem}
	if p.Ecosystem == "" {
		c.Why = "no source of advisories is known for these packages"
		return c
	}
	family := release.Family(p.Ecosystem)
	c.Remedy = updateCommand(family)
	confirmed, held := ix.confirmed(family)
	switch {
	case !held:
		c.Why = "no advisories for " + family + " are in the index"
		return c
	case release.Versioned(family) && len(release.Tiers(p.Ecosystem, p.Version, ix.ecosystems)) == 0:
		_, rel, _ := strings.Cut(p.Ecosystem, ":")
		if rel == "" {
			c.Why = "nothing says which release of " + family + " the packages are from"
			c.Remedy = ""
		} else {
			c.Why = fmt.Sprintf("the advisories for %s do not mention its release %s", family, rel)
		}
		return c
	}
	c.Covered, c.Confirmed, c.Remedy = true, confirmed, ""
	if last, ended := release.Ended(p.Ecosystem, p.Version, now); ended {
		c.EndOfLife = true
		c.Why = "out of support since " + last.Format(time.DateOnly) + ": no new advisories are written for it"
	}
	return c
}

// confirmed returns when the advisories of a family were last confirmed current.
// Where several sources hold some, the one that holds most speaks: a handful of
// records imported today does not make last year's feed current.
func (ix *Index) confirmed(family string) (time.Time, bool) {
	var at time.Time
	most := 0
	for i := range ix.sources {
		s := &ix.sources[i]
		n := s.Alone[family]
		if s.Name == "osv/"+family {
			n = s.Records
		}
		if n > most {
			most, at = n, s.Confirmed
		}
	}
	return at, most > 0
}

// updateCommand is what fetches the advisories of a family.
func updateCommand(family string) string {
	if strings.ContainsAny(family, " ") {
		return fmt.Sprintf("touchstone db update %q", family)
	}
	return "touchstone db update " + family
}

// Unknown is the knowledge about packages when the index cannot be asked: the
// reason, the command that mends it, and nothing covered.
func Unknown(err error, packages []touchstone.Package) touchstone.Knowledge {
	problem, remedy, _ := strings.Cut(err.Error(), "\nhint: ")
	if remedy == "" {
		remedy = "touchstone db update"
	}
	k := touchstone.Knowledge{
		Matches: []touchstone.Match{}, Upgrades: []touchstone.Upgrade{},
		Index: touchstone.IndexState{Problem: problem, Remedy: remedy},
	}
	k.Coverage = (&Index{}).coverage(packages, time.Time{})
	return k
}
