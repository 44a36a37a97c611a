package rules

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// each calls the function with every file that matches, under its own name.
func each(t *testing.T, pattern string, test func(t *testing.T, name string, data []byte)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			test(t, filepath.Base(f), data)
		})
	}
}

// told is what a person reads of warnings and of an error.
func told(warnings []Warning, err error) string {
	var b strings.Builder
	for _, w := range warnings {
		b.WriteString("warning: " + w.String() + "\n")
	}
	if err != nil {
		b.WriteString(err.Error() + "\n")
	}
	return b.String()
}

func TestLoadTells(t *testing.T) {
	each(t, "testdata/rules/*.yaml", func(t *testing.T, name string, data []byte) {
		r, warnings, err := Load(name, data, today())
		if (r == nil) != (err != nil) {
			t.Errorf("rules %v with error %v", r, err)
		}
		golden(t, "testdata/rules/"+strings.TrimSuffix(name, ".yaml")+".golden", told(warnings, err))
	})
}

func load(t testing.TB, path string) *touchstone.Rules {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := Load(filepath.Base(path), data, today())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLoadWaiversTells(t *testing.T) {
	r := load(t, "testdata/waivers/rules.yaml")
	each(t, "testdata/waivers/*.yaml", func(t *testing.T, name string, data []byte) {
		if name == "rules.yaml" {
			return // the rules that the others are held to
		}
		waivers, warnings, err := LoadWaivers(name, data, r, today())
		if err != nil && waivers != nil {
			t.Error("waivers beside an error")
		}
		golden(t, "testdata/waivers/"+strings.TrimSuffix(name, ".yaml")+".golden", told(warnings, err)+string(WriteWaivers(waivers)))
	})
}

func TestCasesTell(t *testing.T) {
	r, _, err := Load("example.yaml", Example(), today())
	if err != nil {
		t.Fatal(err)
	}
	each(t, "testdata/cases/*.yaml", func(t *testing.T, name string, data []byte) {
		cases, err := LoadCases(name, data, r, today())
		out := told(nil, err)
		if err == nil {
			for _, result := range RunCases(r, cases) {
				out += result.String()
			}
		}
		golden(t, "testdata/cases/"+strings.TrimSuffix(name, ".yaml")+".golden", out)
	})
}

func TestShow(t *testing.T) {
	r, warnings, err := Load("example.yaml", Example(), today())
	if err != nil || len(warnings) > 0 {
		t.Fatal("the example does not load as it should:", told(warnings, err))
	}
	hostile := load(t, "testdata/show/hostile.yaml")
	for name, show := range map[string]func(*bytes.Buffer) error{
		"example.txt":  func(b *bytes.Buffer) error { return Show(b, r, 0, false) },
		"narrow.txt":   func(b *bytes.Buffer) error { return Show(b, r, 50, false) },
		"colour.txt":   func(b *bytes.Buffer) error { return Show(b, r, 120, true) },
		"example.md":   func(b *bytes.Buffer) error { return ShowMarkdown(b, r) },
		"hostile.txt":  func(b *bytes.Buffer) error { return Show(b, hostile, 100, false) },
		"hostile.md":   func(b *bytes.Buffer) error { return ShowMarkdown(b, hostile) },
		"waivers.txt":  func(b *bytes.Buffer) error { return Show(b, load(t, "testdata/waivers/rules.yaml"), 100, false) },
		"running.txt":  func(b *bytes.Buffer) error { return Show(b, load(t, "testdata/show/running.yaml"), 100, false) },
		"running.md":   func(b *bytes.Buffer) error { return ShowMarkdown(b, load(t, "testdata/show/running.yaml")) },
		"warnings.txt": func(b *bytes.Buffer) error { return Show(b, load(t, "testdata/rules/warnings.yaml"), 100, false) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := show(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/show/"+name, b.String())
		})
	}
}

// Every built-in rule stands under one heading.
func TestGroups(t *testing.T) {
	seen := map[string]int{}
	for _, g := range groups() {
		for _, name := range g.rules {
			seen[name]++
			if !isMeasure(name) {
				t.Errorf("%s is no rule", name)
			}
		}
	}
	for _, name := range measureNames() {
		if seen[name] != 1 {
			t.Errorf("%s stands under %d headings", name, seen[name])
		}
	}
}
