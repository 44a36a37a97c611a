package trial

import (
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
	return cached(t, filepath.Join(runtime.Version(), arch, base), func(to string) error {
		modules, err := exec.Command("go", "env", "GOMODCACHE").Output()
		if err != nil {
			return fmt.Errorf("go env: %w", err)
		}
		gopath := to + "-gopath"
		defer os.RemoveAll(gopath)
		c := exec.Command("go", "install", module)
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOPATH="+gopath, "GOMODCACHE="+strings.TrimSpace(string(modules)), "GOBIN=", "GOFLAGS=")
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
			sameHoles(t, ours, groups(t, scanner(t, file, "Go", advisories)))
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
