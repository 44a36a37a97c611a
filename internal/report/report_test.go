package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

// TestReadOldSample reads a check that was saved when version 1 of the schema
// was made. The file is never written again: what it says must be readable as
// long as there is a v1.
func TestReadOldSample(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "check-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if c.Verdict() != touchstone.Refused || len(c.Matches) != 7 || len(c.Packages) != 5 || c.Decision.Reasons[0].Rule != "cvss" {
		t.Errorf("read as %+v", c)
	}
	for _, format := range Formats() {
		if err := Write(io.Discard, format, c, Options{}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestReadBackIsTheSame(t *testing.T) {
	for _, c := range []*touchstone.Check{refused(), allowed(), road()} {
		saved := written(t, "json", c)
		back, err := Read(bytes.NewReader(saved))
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range Formats() {
			if diff := cmp.Diff(string(written(t, format, c)), string(written(t, format, back))); diff != "" {
				t.Errorf("%s of a saved check differs:\n%s", format, diff)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for in, want := range map[string]string{
		``:                                     "not JSON",
		`<html>`:                               "not JSON",
		`[]`:                                   "not JSON",
		`{}`:                                   "names no schema",
		`{"schema":"touchstone.dev/check/v9"}`: `this program reads "touchstone.dev/check/v1"`,
		`{"schema":"touchstone.dev/evidence/v1"}`:                       "not a check",
		`{"schema":"touchstone.dev/check/v1"}`:                          "holds no decision",
		`{"schema":"touchstone.dev/check/v1","decision":{"at":"soon"}}`: "reading a saved check",
	} {
		_, err := Read(strings.NewReader(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%s) = %v, want %q", in, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":"touchstone.dev/check/v1","road":[{"reasons":[{"failing":["x"]}]}],"matches":[{"id":"x","applies":true}]}`))
	f.Add([]byte(`{"schema":"touchstone.dev/check/v1","decision":{},"packages":[{"layer":-9}],"secrets":[{"layer":99}],"lineage":{"layers":-1,"base":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, format := range Formats() {
			var b bytes.Buffer
			if err := Write(&b, format, c, Options{Verbose: true}); err != nil && !strings.HasPrefix(err.Error(), "writing") {
				t.Errorf("%s: %v", format, err)
			}
			heldAgainst(t, format, b.String())
		}
	})
}

func TestUnknownFormat(t *testing.T) {
	for _, err := range []error{
		Write(io.Discard, "pdf", allowed(), Options{}),
		WriteDiff(io.Discard, "sarif", new(touchstone.Diff), Options{}),
		WriteEvidence(io.Discard, "openvex", touchstone.Artifact{}, new(touchstone.Evidence), "", Options{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "hint: one of ") {
			t.Errorf("got %v", err)
		}
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteTellsOfAFullDisk(t *testing.T) {
	if err := Write(full{}, "json", allowed(), Options{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

// TestListsAreNeverNull looks at every list that a check, evidence or a diff can
// hold, also where nothing was put in.
func TestListsAreNeverNull(t *testing.T) {
	var c, e, d bytes.Buffer
	check := &touchstone.Check{Decision: &touchstone.Decision{Reasons: make([]touchstone.Reason, 1)}, Matches: make([]touchstone.Match, 1), Upgrades: make([]touchstone.Upgrade, 1), Next: make([]touchstone.NextVerdict, 1), Lineage: touchstone.Lineage{Base: &touchstone.Base{}}}
	if err := errors.Join(
		Write(&c, "json", check, Options{}),
		WriteEvidence(&e, "json", touchstone.Artifact{}, &touchstone.Evidence{}, "", Options{}),
		WriteDiff(&d, "json", &touchstone.Diff{Matches: &touchstone.MatchChange{}, Packages: make([]touchstone.PackageChange, 1)}, Options{}),
	); err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{c.String(), e.String(), d.String()} {
		if strings.Contains(doc, "null") {
			t.Errorf("a null in:\n%s", doc)
		}
	}
}

// TestOrder shuffles what a check holds; no document may change, and the check
// itself is left as it was.
func TestOrder(t *testing.T) {
	want := map[string]string{}
	for _, format := range Formats() {
		want[format] = string(written(t, format, refused()))
	}
	rapid.Check(t, func(r *rapid.T) {
		c := refused()
		c.Matches = rapid.Permutation(c.Matches).Draw(r, "matches")
		c.Packages = rapid.Permutation(c.Packages).Draw(r, "packages")
		c.Upgrades = rapid.Permutation(c.Upgrades).Draw(r, "upgrades")
		before, err := json.Marshal(c)
		if err != nil {
			r.Fatal(err)
		}
		for _, format := range Formats() {
			if diff := cmp.Diff(want[format], string(written(t, format, c))); diff != "" {
				r.Errorf("%s depends on the order:\n%s", format, diff)
			}
		}
		if after, err := json.Marshal(c); err != nil || !bytes.Equal(before, after) {
			r.Error("the check was changed by rendering it")
		}
	})
}

func TestWithListsSharesNothing(t *testing.T) {
	c := refused()
	copied := withLists(c)
	fill(reflect.ValueOf(copied).Elem().FieldByName("Matches"), "x")
	if diff := cmp.Diff(refused(), c); diff != "" {
		t.Errorf("the original was changed:\n%s", diff)
	}
}

func TestSteps(t *testing.T) {
	c := refused()
	all := holes(c)
	got := steps(c, pressing(all))
	if len(got) != 1 || got[0].name != "openssl" || got[0].closes != 2 {
		t.Errorf("steps = %+v", got)
	}
	// A hole in two places is closed only when both are mended, and upgrades to
	// one version are one step.
	m := goMatch("CVE-1", "stdlib", "1.19", "1.20")
	n := m
	n.Package.Path = "usr/bin/other"
	c.Matches = []touchstone.Match{m, n}
	c.Upgrades = []touchstone.Upgrade{{Package: "stdlib", From: "1.19", To: "1.20", Path: m.Package.Path, Clears: []string{"CVE-1"}}}
	if got := steps(c, holes(c)); len(got) != 1 || got[0].closes != 0 || got[0].helps != 1 {
		t.Errorf("half of a hole: %+v", got)
	}
	c.Upgrades = append(c.Upgrades, touchstone.Upgrade{Package: "stdlib", From: "1.18", To: "1.20", Path: n.Package.Path, Clears: []string{"CVE-1"}})
	if got := steps(c, holes(c)); len(got) != 1 || got[0].closes != 1 || got[0].actionable("->") != "upgrade stdlib to 1.20 in 2 places" {
		t.Errorf("both halves: %+v", got)
	}
}

// TestTableFits checks that no line is wider than the screen, at any width, with
// whatever names, with colour or without.
func TestTableFits(t *testing.T) {
	for _, c := range append(filled("日本語 "+hostile), refused(), road(), crowded(20, 40)) {
		for width := 60; width <= 200; width += 7 {
			var b, painted bytes.Buffer
			if err := errors.Join(
				Write(&b, "table", c, Options{Width: width}),
				Write(&painted, "table", c, Options{Width: width, Color: true}),
			); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if n := shown(strings.TrimSuffix(line, "\n")); n > width {
					t.Fatalf("%d columns where there are %d: %q", n, width, line)
				}
			}
			if unpainted := escapes.ReplaceAllString(painted.String(), ""); unpainted != b.String() {
				t.Fatalf("colour changes the text:\n%s", cmp.Diff(b.String(), unpainted))
			}
		}
	}
}

func TestPerformanceIsLinear(t *testing.T) {
	// 4,000 vulnerabilities would take long if anything were quadratic.
	c := crowded(2000, 4000)
	for _, format := range Formats() {
		if err := Write(io.Discard, format, c, Options{}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	c := crowded(1000, 2000)
	for _, format := range Formats() {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				if err := Write(io.Discard, format, c, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
