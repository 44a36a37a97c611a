package advisory

import (
	"fmt"
	"hash/maphash"
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

// Summary is what an index says of each package, in a few bytes: enough to tell
// what another says otherwise.
type Summary struct {
	Revision touchstone.Digest
	summer   index.Summer
	sums     []index.Sum
	releases map[string]string
}

// Summary returns that of the index. EPSS scores, which move every day, are told
// apart by the bounds alone, which are in ascending order. It compares with those
// that were made like it; nil is like none before.
func (ix *Index) Summary(like *Summary, epss []float64) (*Summary, error) {
	s := &Summary{Revision: ix.reader.Revision(), releases: ix.releases(), summer: index.Summer{EPSS: epss}}
	if like != nil {
		s.summer.Seed = like.summer.Seed
	} else {
		s.summer.Seed = maphash.MakeSeed()
	}
	var err error
	if s.sums, err = s.summer.Sums(ix.reader); err != nil {
		return nil, fmt.Errorf("summing up the advisories: %w", err)
	}
	return s, nil
}

// Tells reports whether the summary is of the revision, with the bounds.
func (s *Summary) Tells(revision touchstone.Digest, epss []float64) bool {
	return s != nil && s.Revision == revision && slices.Equal(s.summer.EPSS, epss)
}

// Changes returns the keys of which the index says something else than an older
// one.
func (s *Summary) Changes(old *Summary) []PackageKey {
	var out []PackageKey
	for _, family := range slices.Sorted(maps.Keys(union(old.releases, s.releases))) {
		if old.releases[family] != s.releases[family] {
			out = append(out, PackageKey{Family: family})
		}
	}
	for _, one := range index.Differing(old.sums, s.sums) {
		out = append(out, PackageKey{one.Family, one.Name})
	}
	return out
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
