package touchstone

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// comparePackages pairs the packages of the two sides by ecosystem and name:
// those with the same version and path, then with the same version, then at the
// same path, then what remains when it is one on either side.
func comparePackages(from, to []Package, order VersionOrder) []PackageChange {
	type sides struct{ from, to []*Package }
	groups := map[string]*sides{}
	group := func(p *Package) *sides {
		family, _, _ := strings.Cut(p.Ecosystem, ":") // a release is no difference
		key := family + "\x00" + p.Name
		if groups[key] == nil {
			groups[key] = &sides{}
		}
		return groups[key]
	}
	for i := range from {
		g := group(&from[i])
		g.from = append(g.from, &from[i])
	}
	for i := range to {
		g := group(&to[i])
		g.to = append(g.to, &to[i])
	}
	changes := packageChanges{}
	same := func(_, _ *Package) {} // nothing to tell
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		changed := func(a, b *Package) { changes.note(a, b, order) }
		g.from, g.to = pair(g.from, g.to, func(p *Package) string { return p.Version + "\x00" + p.Path }, same)
		g.from, g.to = pair(g.from, g.to, func(p *Package) string { return p.Version }, same)
		g.from, g.to = pair(g.from, g.to, func(p *Package) string { return p.Path }, changed)
		if len(g.from) == 1 && len(g.to) == 1 {
			changed(g.from[0], g.to[0])
			continue
		}
		for _, p := range g.from {
			changed(p, nil)
		}
		for _, p := range g.to {
			changed(nil, p)
		}
	}
	return changes.sorted()
}

// pair hands each two packages that have the same key to paired, and returns
// what is left over on either side.
func pair(from, to []*Package, key func(*Package) string, paired func(a, b *Package)) (restFrom, restTo []*Package) {
	waiting := make(map[string][]*Package, len(from))
	for _, p := range from {
		waiting[key(p)] = append(waiting[key(p)], p)
	}
	matched := make(map[*Package]bool, len(from))
	for _, p := range to {
		k := key(p)
		if len(waiting[k]) == 0 {
			restTo = append(restTo, p)
			continue
		}
		paired(waiting[k][0], p)
		matched[waiting[k][0]] = true
		waiting[k] = waiting[k][1:]
	}
	for _, p := range from {
		if !matched[p] {
			restFrom = append(restFrom, p)
		}
	}
	return restFrom, restTo
}

// packageChanges merges changes that differ only in where the package lies.
type packageChanges map[packageStep]*PackageChange

type packageStep struct{ name, ecosystem, from, to string }

// note files what became of a package; a is nil when it is new, b when it is
// gone.
func (c packageChanges) note(a, b *Package, order VersionOrder) {
	change := PackageChange{Change: Changed}
	if a != nil {
		change.Name, change.Ecosystem, change.From = a.Name, a.Ecosystem, a.Version
		change.Paths = []string{a.Path}
	}
	if b != nil {
		change.Name, change.Ecosystem, change.To = b.Name, b.Ecosystem, b.Version
		change.Paths = []string{b.Path}
	}
	switch {
	case a == nil:
		change.Change = Added
	case b == nil:
		change.Change = Removed
	case order != nil:
		if n, known := order(b.Ecosystem, a.Version, b.Version); known && n < 0 {
			change.Change = Upgraded
		} else if known && n > 0 {
			change.Change = Downgraded
		}
	}
	key := packageStep{change.Name, change.Ecosystem, change.From, change.To}
	if there, ok := c[key]; ok {
		there.Paths = append(there.Paths, change.Paths...)
		return
	}
	c[key] = &change
}

func (c packageChanges) sorted() []PackageChange {
	out := make([]PackageChange, 0, len(c))
	for _, change := range c {
		slices.Sort(change.Paths)
		change.Paths = slices.Compact(change.Paths)
		out = append(out, *change)
	}
	slices.SortFunc(out, func(a, b PackageChange) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}
