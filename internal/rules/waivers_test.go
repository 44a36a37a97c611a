package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

// anyWaiver draws a waiver that testdata/waivers/rules.yaml allow.
func anyWaiver(t *rapid.T) touchstone.Waiver {
	text := func(name string) string {
		s := rapid.StringN(1, 20, 60).Draw(t, name)
		if strings.TrimSpace(s) == "" || strings.ContainsRune(s, 0) {
			return "x"
		}
		return strings.TrimSpace(s)
	}
	w := touchstone.Waiver{
		ID: text("id"), Rule: "cvss", Owner: text("owner"), Reason: text("reason"), ApprovedBy: text("by"),
		Until: today().Add(time.Duration(rapid.Int64Range(-int64(100*24*time.Hour), int64(29*24*time.Hour)).Draw(t, "until"))),
	}
	if rapid.Bool().Draw(t, "day") {
		w.Until = w.Until.Truncate(24 * time.Hour)
	}
	if rapid.Bool().Draw(t, "whole") {
		w.WholeRule = true
	} else {
		w.Package = text("package")
		w.Advisory = rapid.SampledFrom([]string{"", "CVE-2026-1"}).Draw(t, "advisory")
	}
	if rapid.Bool().Draw(t, "named") {
		w.Artifact = "registry.example/" + text("artifact")
	}
	if rapid.Bool().Draw(t, "bound") {
		w.ScoreAbove = float64(rapid.IntRange(1, 100).Draw(t, "score")) / 10
	}
	for _, env := range []string{"dev", "stage", "prod"} {
		if rapid.Bool().Draw(t, env) {
			w.Environments = append(w.Environments, env)
		}
	}
	return w
}

// What is written loads again to the same waivers.
func TestWriteWaivers(t *testing.T) {
	r := load(t, "testdata/waivers/rules.yaml")
	rapid.Check(t, func(t *rapid.T) {
		waivers := rapid.SliceOfNDistinct(rapid.Custom(anyWaiver), 0, 5, func(w touchstone.Waiver) string { return w.ID }).Draw(t, "waivers")
		data := WriteWaivers(waivers)
		got, _, err := LoadWaivers("written.yaml", data, r, today())
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if diff := cmp.Diff(waivers, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, data)
		}
	})
}

func TestDerivedID(t *testing.T) {
	r := load(t, "testdata/waivers/rules.yaml")
	one := "- {rule: cvss, package: x, owner: a, reason: b, approved-by: c, until: 2026-12-01}\n"
	first, _, err := LoadWaivers("w.yaml", []byte(one), r, today())
	if err != nil {
		t.Fatal(err)
	}
	same, _, err := LoadWaivers("w.yaml", []byte("- until: 2026-12-01T24:00:00Z\n"), r, today())
	if err == nil {
		t.Errorf("there is no hour 24: %v", same)
	}
	same, _, err = LoadWaivers("w.yaml", []byte("# moved\n\n- {reason: b, until: '2026-12-02T01:00:00+01:00', approved-by: c, rule: cvss, package: x, owner: a}\n"), r, today())
	if err != nil || same[0].ID != first[0].ID {
		t.Errorf("the same waiver has the ids %v and %v (%v)", first, same, err)
	}
	other, _, err := LoadWaivers("w.yaml", []byte(strings.Replace(one, "12-01", "12-02", 1)), r, today())
	if err != nil || other[0].ID == first[0].ID {
		t.Errorf("a longer waiver has the same id (%v)", err)
	}
	if want := time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC); !first[0].Until.Equal(want) {
		t.Errorf("until is %s, want the end of the day, %s", first[0].Until, want)
	}
}

func TestAppendWaivers(t *testing.T) {
	r := load(t, "testdata/waivers/rules.yaml")
	more := []touchstone.Waiver{{ID: "new", Rule: "cvss", Package: "y", Owner: "a", Reason: "b", ApprovedBy: "c", Until: time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC)}}
	item := "{id: old, rule: cvss, package: x, owner: a, reason: b, approved-by: c, until: 2026-12-01}"
	for name, c := range map[string]struct {
		old  string
		want int
		ids  string
	}{
		"nothing":  {"", 1, "new"},
		"brackets": {"# ours\n[]\n", 1, "new"},
		"comment":  {"# ours\n", 1, "new"},
		"list":     {"# ours\n- " + item + " # because\n", 2, "old new"},
		"no end":   {"- " + item, 2, "old new"},
		"indented": {"# ours\n  - " + item + "\n", 2, "old new"},
		"trailing": {"- " + item + "\n\n# the end\n", 2, "old new"},
	} {
		out, err := AppendWaivers([]byte(c.old), more)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, _, err := LoadWaivers("w.yaml", out, r, today())
		var ids []string
		for _, w := range got {
			ids = append(ids, w.ID)
		}
		if err != nil || strings.Join(ids, " ") != c.ids {
			t.Errorf("%s: %v %v\n%s", name, ids, err, out)
		}
		if strings.Contains(c.old, "# ours") && !strings.Contains(string(out), "# ours") {
			t.Errorf("%s: the comment is lost:\n%s", name, out)
		}
	}
	for _, old := range []string{"[" + item + "]", "a: b\n", "- {", "words"} {
		if out, err := AppendWaivers([]byte(old), more); err == nil {
			t.Errorf("%q takes waivers:\n%s", old, out)
		}
	}
}

// A baseline of a large estate is a large file.
func TestManyWaivers(t *testing.T) {
	r := load(t, "testdata/waivers/rules.yaml")
	var waivers []touchstone.Waiver
	for i := range 5000 {
		waivers = append(waivers, touchstone.Waiver{ID: fmt.Sprint("w", i), Rule: "cvss", Artifact: "registry.example/shop/cart", Advisory: fmt.Sprint("CVE-2026-", i),
			Package: "openssl", Owner: "cart", Reason: "the baseline", ApprovedBy: "ann", Until: time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC), Environments: []string{"prod"}, ScoreAbove: 9.8})
	}
	got, _, err := LoadWaivers("w.yaml", WriteWaivers(waivers), r, today())
	if err != nil || len(got) != len(waivers) {
		t.Errorf("%d waivers, %v", len(got), err)
	}
}

func FuzzLoadWaivers(f *testing.F) {
	r := load(f, "testdata/waivers/rules.yaml")
	f.Add([]byte("- {rule: cvss, package: x, owner: a, reason: b, approved-by: c, until: 2026-12-01}\n"))
	f.Add([]byte("- rule: cvss\n  reason: |\n    so\n  until: 2026-12-01T00:00:00Z\n  environments: dev\n"))
	f.Add([]byte("[]"))
	f.Add([]byte("- \"\\ud800\": ["))
	f.Fuzz(func(t *testing.T, data []byte) {
		waivers, _, err := LoadWaivers("fuzz.yaml", data, r, today())
		if err != nil {
			_ = err.Error()
			return
		}
		for _, w := range waivers {
			if w.ID == "" || w.Rule == "" || w.Owner == "" || w.Reason == "" || w.ApprovedBy == "" || w.Until.IsZero() {
				t.Fatalf("incomplete: %+v", w)
			}
			if w.WholeRule == (w.Advisory != "" || w.Package != "") {
				t.Fatalf("without a scope, or with two: %+v", w)
			}
		}
		again, _, err := LoadWaivers("again.yaml", WriteWaivers(waivers), r, today())
		if diff := cmp.Diff(waivers, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s\n%s", err, diff, WriteWaivers(waivers))
		}
	})
}
