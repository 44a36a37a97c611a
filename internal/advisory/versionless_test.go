package advisory

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// A program that does not tell its version is one thing unknown, not a match for
// every hole that was ever found in it; one that nobody writes advisories for is
// as good as any other.
func TestVersionless(t *testing.T) {
	ix := indexOf(t, record("GO-1", "", affects("Go", "k8s.io/kubernetes", "introduced 0", "fixed 1.20.0")),
		record("GO-2", "", affects("Go", "k8s.io/kubernetes", "introduced 1.21.0")))
	tests := map[string]struct {
		name, version string
		want          []string // ecosystems in the coverage
		matches       int
	}{
		"devel":                     {"k8s.io/kubernetes", "(devel)", []string{"Go", Versionless}, 0},
		"no version":                {"k8s.io/kubernetes", "", []string{"Go", Versionless}, 0},
		"placeholder":               {"k8s.io/kubernetes", "0.0.0", []string{"Go", Versionless}, 0},
		"pseudo-version":            {"k8s.io/kubernetes", "0.0.0-20200101000000-abcdefabcdef", []string{"Go"}, 1},
		"nobody writes about it":    {"example.com/own", "(devel)", []string{"Go"}, 0},
		"a version that is told":    {"k8s.io/kubernetes", "1.19.0", []string{"Go"}, 1},
		"a version that is mended":  {"k8s.io/kubernetes", "1.20.5", []string{"Go"}, 0},
		"a version that is unknown": {"k8s.io/kubernetes", "nonsense", []string{"Go"}, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := mustMatch(t, ix, MatchOptions{}, touchstone.Package{Name: tt.name, Version: tt.version, Ecosystem: "Go"})
			var got []string
			for _, c := range k.Coverage {
				got = append(got, c.Ecosystem)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || len(k.Matches) != tt.matches {
				t.Errorf("%d matches, want %d; coverage (-want +got)\n%s", len(k.Matches), tt.matches, diff)
			}
		})
	}
}
