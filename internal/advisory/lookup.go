package advisory

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/release"
	"touchstone.dev/touchstone/internal/advisory/version"
)

// asked is a package as advisories name it.
type asked struct {
	ecosystem, name, version string
}

// names returns under which names and versions a package is looked up. Debian,
// Ubuntu and Alpine file their advisories under source packages; the RPM
// families file some under either.
func names(p *touchstone.Package) []asked {
	own := asked{p.Ecosystem, p.Name, p.Version}
	if p.Source == "" {
		return []asked{own}
	}
	source := asked{p.Ecosystem, p.Source, p.SourceVersion}
	if source.version == "" {
		source.version = p.Version
	}
	if !rpm(release.Family(p.Ecosystem)) {
		return []asked{source}
	}
	// The name of a source RPM does not carry the epoch.
	if epoch, _, ok := strings.Cut(p.Version, ":"); ok && !strings.Contains(source.version, ":") {
		source.version = epoch + ":" + source.version
	}
	if source == own {
		return []asked{own}
	}
	return []asked{own, source}
}

func rpm(family string) bool {
	switch family {
	case "Red Hat", "AlmaLinux", "Rocky Linux", "SUSE", "openSUSE", "Mageia", "openEuler", "Azure Linux", "Photon OS":
		return true
	}
	return false
}

// found is everything that the index says of one version of a package.
type found struct {
	pkg   *index.Package
	place index.Place
	text  string
	hits  []hit // by number of the hole
}

// hit is a hole that fits, or that some statement says is there while another
// says it is not.
type hit struct {
	hole   uint32
	tier   int8 // whose statements count
	answer index.Answer
	// affecting are the statements that make it fit; all are those that say
	// anything of the hole in the releases that count.
	affecting, all []*index.Statement
	denied         *index.Statement // says in as many words that it is not there
	fixed          []int            // ranks, once fixes was asked
	asked          bool
}

// look asks the index. It returns nil when nothing is said of the package.
func (ix *Index) look(a asked, tiers []int8) (*found, error) {
	family := release.Family(a.ecosystem)
	p, err := ix.reader.Package(family, index.Key(family, a.name))
	if err != nil || p == nil {
		return nil, err
	}
	f := &found{pkg: p, place: placeOf(p, a.version), text: a.version}
	several := slices.Max(append(tiers[:len(tiers):len(tiers)], 0)) > 1
	at := map[uint32]int{} // hole → place in hits
	for i := range p.Statements {
		s := &p.Statements[i]
		tier := tierOf(s, tiers)
		if tier == 0 {
			continue
		}
		answer := s.Affects(f.place, f.text, p.Versions)
		if answer == index.No && !several && !s.NotAffected {
			continue // by far the most
		}
		for _, h := range s.Holes {
			n, ok := at[h]
			if !ok {
				n = len(f.hits)
				at[h] = n
				f.hits = append(f.hits, hit{hole: h, tier: tier})
			}
			switch was := f.hits[n].tier; {
			case tier > was:
				continue // an earlier tier has spoken
			case tier < was:
				f.hits[n] = hit{hole: h, tier: tier}
			}
			f.hits[n].take(s, answer)
		}
	}
	f.hits = slices.DeleteFunc(f.hits, func(h hit) bool { return h.answer == index.No })
	slices.SortFunc(f.hits, func(a, b hit) int { return int(a.hole) - int(b.hole) })
	f.complete(tiers)
	return f, nil
}

func (h *hit) take(s *index.Statement, answer index.Answer) {
	if s.NotAffected && h.denied == nil {
		h.denied = s
	}
	if answer != index.No {
		h.affecting = append(h.affecting, s)
	}
	h.answer = max(h.answer, answer)
}

// complete gives each hit every statement about its hole, those included that do
// not call the installed version vulnerable: they may call a fix so.
func (f *found) complete(tiers []int8) {
	if len(f.hits) == 0 {
		return
	}
	for i := range f.pkg.Statements {
		s := &f.pkg.Statements[i]
		for _, hole := range s.Holes {
			n, ok := slices.BinarySearchFunc(f.hits, hole, func(h hit, hole uint32) int { return int(h.hole) - int(hole) })
			if ok && tierOf(s, tiers) == f.hits[n].tier {
				f.hits[n].all = append(f.hits[n].all, s)
			}
		}
	}
}

// tierOf returns the earliest tier of a statement's ecosystems; 0 when none of
// them concerns the package.
func tierOf(s *index.Statement, tiers []int8) int8 {
	best := int8(0)
	for _, e := range s.Ecosystems {
		if int(e) >= len(tiers) {
			continue
		}
		if t := tiers[e]; t != 0 && (best == 0 || t < best) {
			best = t
		}
	}
	return best
}

// placeOf finds where a version lies among those of the package.
func placeOf(p *index.Package, text string) index.Place {
	v, err := version.Parse(p.Family, text)
	if err != nil {
		return index.Unknown()
	}
	compare := func(i int) (int, error) {
		w, err := version.Parse(p.Family, p.Versions[i])
		if err != nil {
			return 0, err
		}
		return v.Compare(w)
	}
	find := index.FindEach
	if p.Ordered {
		find = index.Find
	}
	place, err := find(p.Comparable, compare)
	if err != nil {
		return index.Unknown()
	}
	return place
}

// fixes returns the ranks of the versions above the installed one that mend the
// hole, lowest first. A version that one source calls mended and another still
// calls vulnerable counts only when there is no other.
func (f *found) fixes(h *hit) []int {
	if h.asked {
		return h.fixed
	}
	h.asked = true
	for _, r := range f.fixedBy(h.all) {
		if f.mends(h, r) {
			h.fixed = append(h.fixed, r)
		}
	}
	if len(h.fixed) == 0 {
		h.fixed = f.fixedBy(h.affecting)
	}
	return h.fixed
}

// fixedBy returns the ranks above the installed version that statements call
// fixes.
func (f *found) fixedBy(list []*index.Statement) []int {
	var ranks []int
	for _, s := range list {
		for _, r := range s.Ranges {
			for _, e := range r {
				if e.Kind != index.Fixed || e.Rank == index.Beginning || slices.Contains(ranks, e.Rank) {
					continue
				}
				if c, ok := f.place.Compare(e.Rank); !ok || c < 0 {
					ranks = append(ranks, e.Rank)
				}
			}
		}
	}
	slices.Sort(ranks)
	return ranks
}

// mends reports whether no source calls the version of a rank vulnerable.
func (f *found) mends(h *hit, rank int) bool {
	if rank >= f.pkg.Comparable {
		return false
	}
	at := index.At(rank, f.pkg.Comparable)
	for _, s := range h.all {
		if s.Affects(at, f.pkg.Versions[rank], f.pkg.Versions) != index.No {
			return false
		}
	}
	return true
}

func (f *found) versions(ranks []int) []string {
	list := make([]string, 0, len(ranks))
	for _, r := range ranks {
		list = append(list, f.pkg.Versions[r])
	}
	return list
}
