package version

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"
	"pgregory.net/rapid"
)

// forms generates realistic versions of each ecosystem that the index holds.
func forms() map[string]*rapid.Generator[string] {
	semver := rapid.StringMatching(`(0|[1-9]\d?)\.(0|[1-9]\d?)\.(0|[1-9]\d?)(-(alpha|beta|rc|0)(\.(0|[1-9]))?)?(\+[a-z]{1,3})?`)
	deb := rapid.StringMatching(`([1-2]:)?\d{1,2}\.\d{1,2}(\.\d{1,2})?([a-z]|~rc\d|\+dfsg|\+git2021)?(-\d(\.\d)?(\+deb1[0-2]u\d|ubuntu\d(\.\d)?|~bpo\d|\+b\d|build\d)?)?`)
	apk := rapid.StringMatching(`\d{1,2}\.\d{1,2}(\.\d{1,3})?[a-d]?(_(alpha|beta|pre|rc|git|p)\d{0,3})?-r\d{1,2}`)
	rpm := rapid.StringMatching(`([0-2]:)?\d{1,2}\.\d{1,2}(\.\d)?(~rc\d|\^git\d|[a-z])?-\d{1,2}(\.\d)?\.(el[89](_\d)?|fc40|lp15)(\.\d)?`)
	return map[string]*rapid.Generator[string]{
		"Debian:12": deb, "Ubuntu:22.04:LTS": deb,
		"Alpine:v3.20": apk, "Wolfi": apk, "Chainguard": apk,
		"Red Hat:enterprise_linux:9::baseos": rpm, "AlmaLinux:9": rpm, "Rocky Linux:9": rpm, "SUSE:Linux Enterprise Server 15 SP5": rpm, "openSUSE:Leap 15.6": rpm,
		"Go":  rapid.StringMatching(`v?[0-3]\.\d{1,2}\.\d{1,2}(-rc\.?\d|-0\.20(19|2\d)0[1-9]1[0-9]150405-[0-9a-f]{12})?(\+incompatible)?`),
		"npm": semver, "crates.io": semver, "Hex": semver, "SwiftURL": semver, "Pub": semver, "ConanCenter": semver, "GHC": semver,
		"NuGet":     rapid.StringMatching(`[0-9]\.\d{1,2}\.\d(\.\d)?(-(Preview|beta|rc)\.?\d)?`),
		"PyPI":      rapid.StringMatching(`([12]!)?\d(\.\d{1,2}){0,3}((a|b|rc)\d)?(\.post\d)?(\.dev\d)?(\+[a-z0-9]{1,3})?`),
		"Maven":     rapid.StringMatching(`\d(\.\d{1,2}){1,3}(-(alpha|beta|M|rc|RC|SNAPSHOT)-?\d?|\.(Final|RELEASE|GA|Alpha1))?`),
		"RubyGems":  rapid.StringMatching(`\d(\.\d{1,2}){1,3}(\.(pre|beta|rc)\d?)?`),
		"Packagist": rapid.StringMatching(`v?\d(\.\d{1,2}){1,2}(-(alpha|beta|RC)\d)?`),
		"Hackage":   rapid.StringMatching(`\d(\.\d{1,2}){1,4}`),
		"CRAN":      rapid.StringMatching(`\d(\.\d{1,2}){1,2}(-\d)?`),
	}
}

// TestOrderIsTotal holds the order of every ecosystem to its laws: ranges are
// answered by binary search, which is wrong wherever the order is not total.
func TestOrderIsTotal(t *testing.T) {
	for ecosystem, form := range forms() {
		t.Run(strings.ReplaceAll(ecosystem, ":", "_"), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				a, b, c := form.Draw(t, "a"), form.Draw(t, "b"), form.Draw(t, "c")
				cmp := func(x, y string) int {
					got, err := Compare(ecosystem, x, y)
					if err != nil {
						t.Fatalf("compare %q with %q: %v", x, y, err)
					}
					return got
				}
				if cmp(a, a) != 0 {
					t.Fatalf("%q differs from itself", a)
				}
				if cmp(a, b) != -cmp(b, a) {
					t.Fatalf("%q and %q: %d one way, %d the other", a, b, cmp(a, b), cmp(b, a))
				}
				if cmp(a, b) <= 0 && cmp(b, c) <= 0 && cmp(a, c) > 0 {
					t.Fatalf("%q <= %q <= %q, but %q > %q", a, b, c, a, c)
				}
			})
		})
	}
}

// TestShortCutsAgree holds the short cuts to the library's answer.
func TestShortCutsAgree(t *testing.T) {
	dotted := rapid.StringMatching(`(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){0,4}`)
	apk := rapid.StringMatching(`(0|[1-9]\d{0,2})(\.\d{1,2}){0,4}[a-c]?(_p\d)?(-r\d{1,2})?`)
	deb := rapid.StringMatching(`([0-2]{1,2}:)?\d{1,2}(\.\d{1,3}){0,2}[a-zA-Z+~.:-]{0,3}\d{0,2}([.+~-]{0,2}[a-z0-9.+~]{0,6})?(-\d{0,2}[a-z+~.]{0,4}\d?)?`)
	for ecosystem := range forms() {
		rapid.Check(t, func(t *rapid.T) {
			form := dotted
			switch {
			case ecosystem == "Debian:12" || ecosystem == "Ubuntu:22.04:LTS":
				form = rapid.OneOf(dotted, deb, forms()["Debian:12"])
			case ecosystem == "Alpine:v3.20":
				form = rapid.OneOf(dotted, apk, forms()[ecosystem])
			}
			a, b := form.Draw(t, "a"), form.Draw(t, "b")
			got, err := Compare(ecosystem, a, b)
			v, err1 := semantic.Parse(a, ecosystem)
			w, err2 := semantic.Parse(b, ecosystem)
			if err != nil || err1 != nil || err2 != nil {
				if err1 == nil && err2 == nil {
					t.Fatalf("%s: %q against %q: %v", ecosystem, a, b, err)
				}
				return
			}
			want, err := v.Compare(w)
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Fatalf("%s: %q against %q: %d, the library says %d", ecosystem, a, b, got, want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	tests := []struct {
		ecosystem, a, b string
		want            int
	}{
		{"Go", "v1.21.10", "1.21.9", 1},
		{"Go", "go1.22.3", "1.22.4", -1},
		{"Go", "1.22.0-0", "1.22.0", -1},
		{"Go", "2.0.0+incompatible", "2.0.0", 0},
		{"Debian:11", "1:2.30.2-1+deb11u2", "1:2.30.2-1", 1},
		{"Debian:12", "3.0.11-1~deb12u2", "3.0.11-1", -1},
		{"Ubuntu:22.04:LTS", "3.0.2-0ubuntu1.15", "3.0.2-0ubuntu1.9", 1},
		{"Alpine:v3.11", "1.1.1d-r3", "1.1.1g-r0", -1},
		{"Red Hat:enterprise_linux:8::baseos", "0:1.1.1k-9.el8_7", "1:1.1.1k-6.el8", -1},
		{"Rocky Linux:9", "3.0.7-24.el9", "3.0.7-6.el9_2", 1},
		{"npm", "4.17.21", "4.17.9", 1},
		{"npm", "1.0.0-beta.2", "1.0.0-beta.11", -1},
		{"PyPI", "2.0rc1", "2.0", -1},
		{"PyPI", "1.0", "1.0.0", 0},
		{"Maven", "2.14.1", "2.15.0", -1},
		{"Maven", "1.0-SNAPSHOT", "1.0", -1},
		{"Azure Linux:3", "1.2-3.azl3", "1.2-10.azl3", -1},
		{"GitHub Actions", "4.1.0", "10.0.0", -1},
	}
	for _, tt := range tests {
		got, err := Compare(tt.ecosystem, tt.a, tt.b)
		if err != nil || got != tt.want {
			t.Errorf("%s: Compare(%q, %q) = %d, %v; want %d", tt.ecosystem, tt.a, tt.b, got, err, tt.want)
		}
	}
}

func TestIncomparable(t *testing.T) {
	tests := []struct{ ecosystem, text string }{
		{"Go", "(devel)"}, {"Go", ""}, {"npm", "latest"}, {"Maven", "${project.version}"}, {"PyPI", "latest-1"},
		{"Debian:12", "x:1.0"}, {"Alpine:v3.20", "edge1"}, {"Hackage", "1.2-rc"}, {"No such ecosystem", "1.0a"},
		{"npm", strings.Repeat("1", 1000)}, {"Debian:12", "1.0\x1b[31m"},
	}
	for _, tt := range tests {
		if _, err := Parse(tt.ecosystem, tt.text); !errors.Is(err, ErrIncomparable) {
			t.Errorf("Parse(%q, %q): %v, want ErrIncomparable", tt.ecosystem, tt.text, err)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("1.0", "2.0-rc1")
	f.Add("1:2.3-4~5", "…")
	f.Add("1_alpha_p", "1!2.dev+a")
	ecosystems := make([]string, 0, 32)
	for e := range forms() {
		ecosystems = append(ecosystems, e)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, e := range ecosystems {
			if _, err := Compare(e, a, b); err != nil && !errors.Is(err, ErrIncomparable) {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	for _, bb := range [][3]string{{"Debian:12", "3.0.11-1~deb12u2", "3.0.15-1~deb12u1"}, {"Alpine:v3.20", "1.1.1d-r3", "1.1.1g-r0"}, {"npm", "4.17.21", "4.17.9"}, {"Go", "0.0.0-20210101150405-0123456789ab", "0.1.2"}} {
		b.Run(fmt.Sprintf("%s_%s", bb[0], bb[1]), func(b *testing.B) {
			for b.Loop() {
				if _, err := Compare(bb[0], bb[1], bb[2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
