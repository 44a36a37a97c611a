package packages

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gosym"
)

// TestGo builds a program with modules, reads it and looks into its symbols.
func TestGo(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main/go.mod":  "module example.com/shop\n\ngo 1.21\n\nrequire example.com/lib v1.2.3\n\nreplace example.com/lib v1.2.3 => ../lib\n",
		"main/main.go": "package main\n\nimport \"example.com/lib\"\n\nfunc main() { lib.Used() }\n",
		"lib/go.mod":   "module example.com/lib\n\ngo 1.21\n",
		"lib/lib.go":   "package lib\n\n//go:noinline\nfunc Used() { println(1) }\n\nfunc Unused() { println(2) }\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-trimpath=false", "-buildvcs=false", "-ldflags=-s -w", "-o", "shop", ".")
	cmd.Dir = filepath.Join(dir, "main")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "main", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	got := readOne(t, "usr/bin/shop", content)
	var names []string
	for _, p := range got.Packages {
		names = append(names, p.Name)
		if p.Name == "stdlib" && (p.Version == "" || p.PURL != "pkg:golang/stdlib@"+p.Version) {
			t.Errorf("%+v", p)
		}
	}
	if diff := cmp.Diff([]string{"example.com/lib", "example.com/shop", "stdlib"}, names); diff != "" {
		t.Error(diff)
	}
	if p := got.Packages[0]; p.Version != "1.2.3" || p.PURL != "pkg:golang/example.com/lib@v1.2.3" || p.Ecosystem != "Go" {
		t.Errorf("%+v", p)
	}
	if p := got.Packages[1]; p.Version != "(devel)" || p.PURL != "pkg:golang/example.com/shop" {
		t.Errorf("%+v", p)
	}
	set, err := gosym.Decode(got.Symbols)
	if err != nil {
		t.Fatal(err)
	}
	if !set.Has("example.com/lib", "Used") || set.Has("example.com/lib", "Unused") {
		t.Error("the symbols are not those of the program")
	}
	if len(got.Gaps) > 0 {
		t.Error(got.Gaps)
	}

	// Without its build information the program is still recognised.
	blind := bytes.ReplaceAll(content, []byte("\xff Go buildinf:"), []byte("\xff No buildinf:"))
	got = readOne(t, "usr/bin/shop", blind)
	if len(got.Packages) != 0 || len(got.Gaps) != 1 || got.Gaps[0].Kind != touchstone.GapUnsupported {
		t.Errorf("%v %v", got.Packages, got.Gaps)
	}
}

// TestGoToolchain reads programs of the toolchain that runs the test. Vet is built
// from packages of other modules that lie in the toolchain's own vendor folder.
func TestGoToolchain(t *testing.T) {
	for _, tool := range []string{"link", "vet"} {
		out, err := exec.Command("go", "tool", "-n", tool).Output()
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(strings.TrimSpace(string(out)))
		if err != nil {
			t.Fatal(err)
		}
		got := readOne(t, "usr/local/go/pkg/tool/"+tool, content)
		var names []string
		for _, p := range got.Packages {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff([]string{"stdlib", "toolchain"}, names); diff != "" || len(got.Gaps) > 0 {
			t.Error(tool, diff, got.Gaps)
		}
	}
}

func TestGoVersion(t *testing.T) {
	for in, want := range map[string]string{
		"go1.21":                    "1.21.0",
		"go1.21.3":                  "1.21.3",
		"go1.21rc2":                 "1.21.0-rc.2",
		"go1.19beta1":               "1.19.0-beta.1",
		"go1.22.1 X:boringcrypto":   "1.22.1",
		"go1.22.1-fips":             "1.22.1",
		"go1.25.0+auto":             "1.25.0",
		"devel go1.27-abc":          "",
		"devel +abc Mon Jan 2 2006": "",
		"go1":                       "",
		"go1.x":                     "",
		"":                          "",
		"unknown":                   "",
		"go1.21.3.4":                "",
	} {
		got, ok := goVersion(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
	}
}
