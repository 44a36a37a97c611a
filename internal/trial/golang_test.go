package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/makeimage"
)

// Programs as they were released years ago, which the module proxy keeps for good.
const (
	cfssl = "github.com/cloudflare/cfssl/cmd/cfssl@v1.6.0"
	hey   = "github.com/rakyll/hey@v0.1.4"
	jwt   = "github.com/dgrijalva/jwt-go/cmd/jwt@v3.2.0+incompatible"
	nats  = "github.com/nats-io/nats-server/v2@v2.2.0"
)

// newProgram has the Go toolchain install a program and returns its path.
func newProgram(t *testing.T, module, arch string) string {
	t.Helper()
	need(t, "go")
	pkg, _, _ := strings.Cut(module, "@")
	base := path.Base(pkg)
	if base == "v2" {
		base = path.Base(path.Dir(pkg))
	}
	modules := strings.TrimSpace(output(t, exec.Command("go", "env", "GOMODCACHE")))
	return cached(t, filepath.Join(runtime.Version(), arch, base), func(to string) error {
		gopath := to + "-gopath"
		defer os.RemoveAll(gopath)
		c := exec.Command("go", "install", "-trimpath", module)
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOPATH="+gopath, "GOMODCACHE="+modules, "GOBIN=", "GOFLAGS=")
		c.Dir = os.TempDir() // no go.mod of ours
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go install %s: %w: %s", module, err, out)
		}
		built := filepath.Join(gopath, "bin", base)
		if arch != runtime.GOARCH {
			built = filepath.Join(gopath, "bin", "linux_"+arch, base)
		}
		return os.Rename(built, to)
	})
}

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
// and returns what it finds: one hole for each of its groups of aliases.
func scanner(t *testing.T, archive, ecosystem, advisories string) []hole {
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
	return groups(t, out)
}

// groups reads the JSON of osv-scanner.
func groups(t *testing.T, data []byte) []hole {
	t.Helper()
	var doc struct {
		Results []struct {
			Packages []struct {
				Package struct{ Name, Version string }
				Groups  []struct{ IDs, Aliases []string }
			}
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatalf("reading osv-scanner's answer: %v", err)
	}
	var list []hole
	for _, r := range doc.Results {
		for _, p := range r.Packages {
			for _, g := range p.Groups {
				list = append(list, hole{p.Package.Name, p.Package.Version, append(g.IDs, g.Aliases...)})
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

// Given the same advisories, osv-scanner finds the same holes in Go programs.
// There is no difference to explain in these; where a program was built from a
// working copy ("(devel)") or by a toolchain that was never released, Touchstone
// counts what cannot be compared as vulnerable, and osv-scanner guesses.
func TestGoPrograms(t *testing.T) {
	t.Parallel()
	advisories := shared(t, "osv", "Go", "all.zip")
	for _, test := range []struct {
		module string
		holes  int // as of these advisories; those of the standard library come and go with the toolchain
		hole   string
	}{
		{cfssl, 50, "CVE-2020-29652"},
		{hey, 29, "CVE-2022-27664"},
		{jwt, 1, "CVE-2020-26160"},
		{nats, 45, "CVE-2022-24450"},
	} {
		t.Run(path.Base(test.module), func(t *testing.T) {
			t.Parallel()
			file := archive(t, image(t, makeimage.Image{Layers: []makeimage.Layer{program(t, newProgram(t, test.module, "amd64"))}}))
			code := 1
			if test.module == jwt {
				code = 0 // its one hole does not apply
			}
			doc := newMachine(t, advisories).check(code, file)
			ours := matches(doc)
			sameHoles(t, ours, scanner(t, file, "Go", advisories))
			outside := slices.DeleteFunc(slices.Clone(ours), func(h hole) bool { return h.name == "stdlib" })
			if len(outside) != test.holes {
				t.Errorf("%d holes outside the standard library, want %d", len(outside), test.holes)
			}
			if !slices.ContainsFunc(ours, func(h hole) bool { return slices.Contains(h.ids, test.hole) }) {
				t.Errorf("%s is not found", test.hole)
			}
			for i := range doc.Matches {
				if m := &doc.Matches[i]; !m.Applies && m.Why == "" {
					t.Errorf("%s does not apply, without a proof", m.ID)
				}
			}
			modules(t, doc, file, newProgram(t, test.module, "amd64"))
		})
	}
}

// modules holds the packages against what the Go toolchain says of the program.
func modules(t *testing.T, doc *touchstone.Check, file, binary string) {
	t.Helper()
	want := []string{"stdlib " + strings.TrimPrefix(runtime.Version(), "go")}
	for line := range strings.Lines(output(t, exec.Command("go", "version", "-m", binary))) {
		if f := strings.Fields(line); len(f) >= 3 && (f[0] == "dep" || f[0] == "mod") {
			want = append(want, f[1]+" "+strings.TrimPrefix(f[2], "v"))
		}
	}
	var got []string
	for _, p := range doc.Packages {
		got = append(got, p.Name+" "+p.Version)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("%s holds\n%v\nand go version -m says\n%v", file, got, want)
	}
}
