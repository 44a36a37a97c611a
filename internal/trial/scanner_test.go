package trial

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"touchstone.dev/touchstone"
)

// hole is one vulnerability in one package by every name that it has.
type hole struct {
	name, version string
	ids           []string
}

func (h hole) String() string { return h.name + " " + h.version + ": " + strings.Join(h.ids, " ") }

func (h hole) is(other hole) bool {
	return h.name == other.name && h.version == other.version &&
		slices.ContainsFunc(h.ids, func(id string) bool { return slices.Contains(other.ids, id) })
}

// scanner runs osv-scanner on an archive, with these advisories and no network,
// and returns its JSON.
func scanner(t *testing.T, archive, ecosystem, advisories string) []byte {
	t.Helper()
	bin, err := filepath.Abs(filepath.Join("..", "..", ".cache", "bin", "osv-scanner-v2.5.0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Skip("osv-scanner is not built; .ci/prepare builds it")
	}
	db := t.TempDir()
	zip := filepath.Join(db, "osv-scalibr", ecosystem, "all.zip")
	if err := os.MkdirAll(filepath.Dir(zip), 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(advisories)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(zip, data, 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), bin, "scan", "image", "--archive", archive, "--offline", "--format", "json")
	c.Env = append(os.Environ(), "OSV_SCALIBR_LOCAL_DB_CACHE_DIRECTORY="+db)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: it found holes
		t.Fatalf("osv-scanner: %v\n%s", err, stderr.String())
	}
	return out
}

// report is the JSON of osv-scanner.
type report struct {
	Results []struct {
		Packages []struct {
			Package         struct{ Name, Version string }
			Groups          []struct{ IDs, Aliases []string }
			Vulnerabilities []struct{ ID string }
		}
	}
}

func readReport(t *testing.T, data []byte) report {
	t.Helper()
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("reading osv-scanner's answer: %v", err)
	}
	return r
}

// groups are the holes that osv-scanner finds: one for each of its groups of
// aliases.
func groups(t *testing.T, data []byte) []hole {
	t.Helper()
	var list []hole
	for _, r := range readReport(t, data).Results {
		for _, p := range r.Packages {
			for _, g := range p.Groups {
				list = append(list, hole{p.Package.Name, p.Package.Version, append(g.IDs, g.Aliases...)})
			}
		}
	}
	return distinct(list)
}

// vulnerabilities are the records that osv-scanner finds to fit, each by its own
// id alone.
func vulnerabilities(t *testing.T, data []byte) []hole {
	t.Helper()
	var list []hole
	for _, r := range readReport(t, data).Results {
		for _, p := range r.Packages {
			for _, v := range p.Vulnerabilities {
				list = append(list, hole{p.Package.Name, p.Package.Version, []string{v.ID}})
			}
		}
	}
	return distinct(list)
}

// matches are the holes that Touchstone finds, whether they apply or not. As
// osv-scanner does, it names a package of a distribution by what it was built
// from.
func matches(doc *touchstone.Check) []hole {
	source := map[string]string{}
	for i := range doc.Packages {
		source[doc.Packages[i].PURL] = doc.Packages[i].Source
	}
	var list []hole
	for i := range doc.Matches {
		m := &doc.Matches[i]
		h := hole{m.Package.Name, m.Package.Version, append([]string{m.ID}, m.Aliases...)}
		if s := source[m.Package.PURL]; s != "" {
			h.name = s
		}
		list = append(list, h)
	}
	return distinct(list)
}

// distinct leaves out what is said again: several packages may be built from one
// source.
func distinct(list []hole) []hole {
	slices.SortFunc(list, func(a, b hole) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(list, func(a, b hole) bool { return a.String() == b.String() })
}

// sameHoles holds each hole of one list against exactly one of the other.
func sameHoles(t *testing.T, ours, theirs []hole) {
	t.Helper()
	for _, side := range []struct {
		who  string
		a, b []hole
	}{{"osv-scanner", theirs, ours}, {"touchstone", ours, theirs}} {
		for _, h := range side.a {
			var same []hole
			for _, o := range side.b {
				if h.is(o) {
					same = append(same, o)
				}
			}
			if len(same) != 1 {
				t.Errorf("%s finds %s; the other has %d of it: %v", side.who, h, len(same), same)
			}
		}
	}
}
