package advisory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/synthetic"
)

// osvRecord is one advisory about a package of Debian 12.
func osvRecord(id, pkg, fixed string) string {
	return fmt.Sprintf(`{"schema_version":"1.6.0","id":"DEBIAN-%[1]s","published":"2026-10-01T00:00:00Z","modified":"2026-10-01T00:00:00Z","upstream":["%[1]s"],
"affected":[{"package":{"ecosystem":"Debian:12","name":"%s"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"%s"}]}]}]}`, id, pkg, fixed)
}

func importRecords(t testing.TB, f *Folder, records ...string) *Index {
	t.Helper()
	dir := t.TempDir()
	// One archive, so that the next import replaces this one.
	archive := filepath.Join(dir, "records")
	if err := os.Mkdir(archive, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		if err := os.WriteFile(filepath.Join(archive, fmt.Sprintf("%d.json", i)), []byte(r), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Import(t.Context(), []string{archive}, ImportOptions{Now: day(2026, 11, 23)}); err != nil {
		t.Fatal(err)
	}
	ix, err := f.Index()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ix.Close() })
	return ix
}

func changes(t testing.TB, ix, old *Index, epss ...float64) []string {
	t.Helper()
	before, err := old.Summary(nil, epss)
	if err != nil {
		t.Fatal(err)
	}
	now, err := ix.Summary(before, epss)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range now.Changes(before) {
		out = append(out, k.Family+" "+k.Name)
	}
	slices.Sort(out)
	return out
}

func TestChangesNamesWhatIsSaidAnew(t *testing.T) {
	a, b, c := osvRecord("CVE-2026-2", "openssl", "3.0.2-1"), osvRecord("CVE-2026-5", "zlib", "1.2.13-1"), osvRecord("CVE-2026-7", "curl", "8.1-1")
	first := importRecords(t, OpenFolder(t.TempDir()), a, b, c)
	for _, test := range []struct {
		name    string
		records []string
		want    []string
	}{
		{"nothing", []string{a, b, c}, nil},
		{"another hole, which moves all numbers", []string{osvRecord("CVE-2026-1", "bash", "5.2-1"), a, b, c}, []string{"Debian bash"}},
		{"another hole in a package", []string{a, b, c, osvRecord("CVE-2026-9", "zlib", "1.2.13-1")}, []string{"Debian zlib"}},
		{"another fix", []string{a, osvRecord("CVE-2026-5", "zlib", "1.2.14-1"), c}, []string{"Debian zlib"}},
		{"withdrawn", []string{a, c}, []string{"Debian zlib"}},
		{"a new release", []string{a, b, c, `{"schema_version":"1.6.0","id":"X-1","modified":"2026-10-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:13","name":"dash"},"versions":["1"]}]}`},
			[]string{"Debian ", "Debian dash"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := importRecords(t, OpenFolder(t.TempDir()), test.records...)
			if diff := cmp.Diff(test.want, changes(t, next, first)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestChangesOfEPSSCountBeyondABound(t *testing.T) {
	scores := func(score string) *Index {
		f := OpenFolder(t.TempDir())
		importRecords(t, f, osvRecord("CVE-2026-2", "openssl", "3.0.2-1"))
		path := filepath.Join(t.TempDir(), "epss.csv")
		text := "#model_version:v2026.03.14,score_date:2026-11-22T12:00:00Z\ncve,epss,percentile\nCVE-2026-2," + score + ",0.5\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Import(t.Context(), []string{path}, ImportOptions{Now: day(2026, 11, 23)}); err != nil {
			t.Fatal(err)
		}
		ix, err := f.Index()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ix.Close() })
		return ix
	}
	before, now := scores("0.10000"), scores("0.20000")
	if got := changes(t, now, before); got != nil {
		t.Errorf("without bounds: %q", got)
	}
	if got := changes(t, now, before, 0.05, 0.3); got != nil {
		t.Errorf("between bounds: %q", got)
	}
	if got := changes(t, now, before, 0.15); len(got) != 1 {
		t.Errorf("across a bound: %q", got)
	}
}

func TestRevisionBeforeIsKept(t *testing.T) {
	f := OpenFolder(t.TempDir())
	first := importRecords(t, f, osvRecord("CVE-2026-2", "openssl", "3.0.2-1"))
	second := importRecords(t, f, osvRecord("CVE-2026-3", "zlib", "1"))
	old, err := f.Revision(first.State().Revision)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if diff := cmp.Diff([]string{"Debian zlib"}, changes(t, second, old)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if now, err := f.Current(); err != nil || now != second.State().Revision {
		t.Errorf("the current revision is %s, %v", now, err)
	}
}

func TestKeys(t *testing.T) {
	got := Keys([]touchstone.Package{
		{Name: "libssl3", Source: "openssl", Ecosystem: "Debian:12"},
		{Name: "Requests_Toolbelt", Ecosystem: "PyPI"},
		{Name: "nothing"},
		{Name: "openssl-libs", Source: "openssl", Ecosystem: "Red Hat:enterprise_linux:9::baseos"},
	})
	want := []PackageKey{{"Debian", ""}, {"Debian", "openssl"}, {"PyPI", ""}, {"PyPI", "requests-toolbelt"},
		{"Red Hat", ""}, {"Red Hat", "openssl"}, {"Red Hat", "openssl-libs"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestBatchAnswersAsMatch asks twice, so that the second answer comes from what
// the batch has kept.
func TestBatchAnswersAsMatch(t *testing.T) {
	ix := synthetics(t, 3000)
	batch := ix.Batch()
	o := MatchOptions{Now: day(2026, 11, 23)}
	for _, ecosystem := range []string{"Debian:12", "npm", "Debian:12", "Alpine:v3.20"} {
		packages := inventory(ix, ecosystem)
		want, err := ix.Match(t.Context(), packages, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := batch.Match(t.Context(), packages, o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want.Matches) == 0 {
			t.Errorf("%s, %d matches (-match +batch)\n%s", ecosystem, len(want.Matches), diff)
		}
	}
}

func synthetics(t testing.TB, n int) *Index {
	t.Helper()
	archives, err := synthetic.Write(t.TempDir(), n, 1)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, a := range archives {
		paths = append(paths, a.Path)
	}
	f := OpenFolder(t.TempDir())
	if _, err := f.Import(t.Context(), paths, ImportOptions{Now: day(2026, 11, 23)}); err != nil {
		t.Fatal(err)
	}
	ix, err := f.Index()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ix.Close() })
	return ix
}

// BenchmarkChanges compares an index with the one before, whose summary is at hand.
func BenchmarkChanges(b *testing.B) {
	before, err := synthetics(b, records(b)).Summary(nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	ix := synthetics(b, records(b)+100)
	b.ResetTimer()
	n := 0
	for b.Loop() {
		now, err := ix.Summary(before, nil)
		if err != nil {
			b.Fatal(err)
		}
		n = len(now.Changes(before))
	}
	b.ReportMetric(float64(n), "changed")
}
