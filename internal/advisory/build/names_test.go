package build

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLinks(t *testing.T) {
	list := strings.Fields
	tests := []struct {
		id, aliases, upstream, related string
		want                           links
	}{
		{"GHSA-a", "CVE-2026-0001 GHSA-a", "", "CVE-2026-0002", links{same: list("CVE-2026-0001")}},
		{"DEBIAN-CVE-2026-0001", "", "CVE-2026-0001", "", links{same: list("CVE-2026-0001 CVE-2026-0001")}},
		{"DSA-1-1", "", "CVE-2026-0001", "", links{same: list("CVE-2026-0001")}},
		{"DSA-1-1", "", "CVE-2026-0001 CVE-2026-0002", "", links{holes: list("CVE-2026-0001 CVE-2026-0002")}},
		{"DSA-1-1", "", "", "CVE-2026-0001 CVE-2026-0002 GHSA-b", links{holes: list("CVE-2026-0001 CVE-2026-0002")}},
		{"DSA-1-1", "", "", "", links{}},
		{"CGA-1", "", "CVE-2026-0001 GHSA-b", "", links{same: list("CVE-2026-0001 GHSA-b")}},
		{"CGA-1", "", "GHSA-a GHSA-b", "", links{holes: list("GHSA-a GHSA-b")}},
		{"X-1", "RHSA-2026:1 CVE-2026-0001", "", "", links{same: list("CVE-2026-0001"), mentions: list("RHSA-2026:1")}},
	}
	for _, tt := range tests {
		got := linksOf(tt.id, list(tt.aliases), list(tt.upstream), list(tt.related))
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(links{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.id, diff)
		}
	}
}

func TestCVEIn(t *testing.T) {
	for name, want := range map[string]string{
		"CVE-2026-0001": "CVE-2026-0001", "ALPINE-CVE-2026-12345": "CVE-2026-12345", "ROOT-OS-ALPINE-318-CVE-2007-4559": "CVE-2007-4559",
		"GHSA-aaaa": "", "CVE-2026-1": "", "CVE-26-0001": "", "CVE-2026-0001x": "", "X-CVE-": "", "DSA-2026-0001": "",
	} {
		if got := cveIn(name); got != want {
			t.Errorf("cveIn(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestGroups holds the merging of names to its law: the order in which names are
// joined changes nothing.
func TestGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOf(rapid.Custom(func(t *rapid.T) [2]int {
			return [2]int{rapid.IntRange(0, 12).Draw(t, "a"), rapid.IntRange(0, 12).Draw(t, "b")}
		})).Draw(t, "pairs")
		partition := func(seed uint64) string {
			g := newGroups()
			for i := range 13 {
				g.of(fmt.Sprint("N-", i))
			}
			shuffled := slices.Clone(pairs)
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			for _, p := range shuffled {
				g.join(uint32(p[0]), uint32(p[1]))
			}
			var roots []uint32
			for i := range uint32(13) {
				roots = append(roots, g.root(i))
			}
			return fmt.Sprint(roots)
		}
		if a, b := partition(1), partition(2); a != b {
			t.Fatalf("%s one way, %s the other", a, b)
		}
	})
}

// TestPackageOf drops the listed versions that a range says already, and keeps
// one rank for the texts of one version.
func TestPackageOf(t *testing.T) {
	s := statement{said: sayingOf(affected(t, `{"package":{"ecosystem":"PyPI","name":"x"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.2"}]}],"versions":["1.0","1.1","1.2.0","2.0"]}`))}
	p := packageOf("PyPI", "x", []statement{s})
	if diff := cmp.Diff([]string{"1.2", "2.0"}, p.Versions); diff != "" || p.Comparable != 2 || !p.Ordered {
		t.Errorf("(-want +got):\n%s%+v", diff, p)
	}
	if diff := cmp.Diff([]uint32{0, 1}, p.Statements[0].Exact); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
