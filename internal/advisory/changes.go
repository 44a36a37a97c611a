package advisory

import (
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/release"
)

// PackageKey is what advisories are filed under: the family of ecosystems without
// a release, and the package as the index spells it. Without a name it stands
// for the coverage of the family.
type PackageKey struct{ Family, Name string }

// String is the key as a tag of what holds the package.
func (k PackageKey) String() string { return k.Family + ":" + k.Name }

// Keys returns under which keys packages are looked up, each once and in order: a
// package of a distribution under its source, those of the RPM families under
// both names; and the coverage of each family. When nothing of them changes, Match
// finds the same.
func Keys(packages []touchstone.Package) []PackageKey {
	set := map[PackageKey]bool{}
	for i := range packages {
		p := &packages[i]
		if p.Ecosystem == "" {
			continue
		}
		family := release.Family(p.Ecosystem)
		set[PackageKey{Family: family}] = true
		if !concerns(p) {
			continue
		}
		for _, a := range names(p) {
			set[PackageKey{family, index.Key(family, a.name)}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b PackageKey) int {
		return strings.Compare(a.String(), b.String())
	})
}

// Changes yields the keys of which this index says something else than an older
// one. EPSS scores, which move every day, count as changed when they pass one of
// the bounds, which are in ascending order.
func (ix *Index) Changes(old *Index, epss []float64) iter.Seq2[PackageKey, error] {
	return func(yield func(PackageKey, error) bool) {
		if ix.reader.Revision() == old.reader.Revision() {
			return
		}
		was, is := old.releases(), ix.releases()
		for _, family := range slices.Sorted(maps.Keys(union(was, is))) {
			if was[family] != is[family] && !yield(PackageKey{Family: family}, nil) {
				return
			}
		}
		gone, fresh, err := index.Summer{Seed: maphash.MakeSeed(), EPSS: epss}.Changed(old.reader, ix.reader)
		if err != nil {
			yield(PackageKey{}, fmt.Errorf("compare the advisories with those before: %w", err))
			return
		}
		for _, side := range []struct {
			of   *Index
			refs []uint32
		}{{old, gone}, {ix, fresh}} {
			for _, ref := range side.refs {
				p, err := side.of.reader.PackageAt(ref)
				if err != nil {
					yield(PackageKey{}, fmt.Errorf("compare the advisories with those before: %w", err))
					return
				}
				if !yield(PackageKey{p.Family, p.Name}, nil) {
					return
				}
			}
		}
	}
}

// releases tells for each family which of its releases the index knows.
func (ix *Index) releases() map[string]string {
	out := map[string]string{}
	for _, e := range slices.Sorted(slices.Values(ix.ecosystems)) {
		out[release.Family(e)] += e + "\n"
	}
	return out
}

func union(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
