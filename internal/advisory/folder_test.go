package advisory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/source"
)

func debian(id string) string { return record(id, "", affects("Debian:12", "x", "introduced 0")) }

var digestOf = regexp.MustCompile("[0-9a-f]{64}")

// content lists the files of the folder, digests replaced.
func content(t *testing.T, f *Folder) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(f.Dir(), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(f.Dir(), path)
			list = append(list, digestOf.ReplaceAllString(name, "…"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func TestImportReplaces(t *testing.T) {
	f := OpenFolder(t.TempDir())
	if _, err := f.Index(); !errors.Is(err, ErrNoIndex) || !strings.Contains(err.Error(), "\nhint: touchstone db update") {
		t.Errorf("an empty folder: %v", err)
	}
	first := mustImport(t, f, put(t, "all.zip", zipped(t, debian("A-1"), debian("A-2"))))
	if len(first.Changed) != 1 || first.Changed[0].Action != Added || first.Changed[0].Name != "osv/Debian" || first.Records != 2 {
		t.Errorf("%+v", first)
	}
	second := mustImport(t, f, put(t, "all.zip", zipped(t, debian("A-2"), debian("A-3"))), put(t, "npm.zip", zipped(t, record("N-1", "", affects("npm", "x", "introduced 0")))))
	if got := []Action{second.Changed[0].Action, second.Changed[1].Action}; !slices.Equal(got, []Action{Replaced, Added}) {
		t.Errorf("%v", got)
	}
	k := mustMatch(t, mustOpen(t, f), MatchOptions{}, touchstone.Package{Name: "x", Version: "1", Ecosystem: "Debian:12"})
	if diff := cmp.Diff([]string{"A-2 x", "A-3 x"}, brief(k)); diff != "" {
		t.Errorf("what is no longer published is still there (-want +got):\n%s", diff)
	}
	want := []string{"index-…", "index-…", "lock", "sources/….zip", "sources/….zip", "state.json"}
	if diff := cmp.Diff(want, content(t, f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The same again is the same revision.
	if again := mustImport(t, f); again.Revision != second.Revision {
		t.Error("the same sources give another index")
	}
}

func TestOrderAndWorkersChangeNothing(t *testing.T) {
	records := []string{debian("A-1"), record("DSA-1-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"]`, affects("Debian:12", "y", "introduced 0")), record("GHSA-aaaa", `"aliases":["CVE-2026-0002"]`, affects("npm", "z", "introduced 0"))}
	path := put(t, "x.zip", zipped(t, records...))
	var revisions []touchstone.Digest
	for _, workers := range []int{1, 2, 7} {
		report, err := OpenFolder(t.TempDir()).Import(context.Background(), []string{path}, ImportOptions{Now: now(), Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, report.Revision)
	}
	if len(slices.Compact(revisions)) != 1 {
		t.Errorf("%v", revisions)
	}
}

func TestImportForms(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"single/A-1.json": debian("A-1"), "single/B-1.txt": debian("B-1"), "single/README": "# no advisory", "single/.git/A-9.json": debian("A-9"),
		"single/cut.json": debian("A-3")[:40],
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "npm.bin"), zipped(t, record("N-1", "", affects("npm", "x", "introduced 0")), `{"id":7}`, `{"id":""}`), 0o644); err != nil {
		t.Fatal(err)
	}
	f := OpenFolder(t.TempDir())
	report := mustImport(t, f, dir)
	var got []string
	for _, c := range report.Changed {
		name, _, _ := strings.Cut(c.Name, "-")
		got = append(got, name)
	}
	slices.Sort(got)
	if len(got) != 2 || report.Records != 3 || len(report.Ignored) != 1 || filepath.Base(report.Ignored[0]) != "README" {
		t.Errorf("%q: %d records, ignored %q", got, report.Records, report.Ignored)
	}
	malformed := 0
	for _, c := range report.Changed {
		malformed += c.Malformed
		if c.Malformed != len(c.First) {
			t.Errorf("%d malformed, %d named", c.Malformed, len(c.First))
		}
	}
	if malformed != 3 {
		t.Errorf("%d malformed records, want 3: %+v", malformed, report.Changed)
	}
}

func TestArchiveOfArchives(t *testing.T) {
	inner := zipped(t, debian("A-1"))
	f := OpenFolder(t.TempDir())
	report := mustImport(t, f, put(t, "x.zip.zip", archiveOf(t, "cves.zip", inner)))
	if report.Records != 1 {
		t.Errorf("%+v", report)
	}
	deep := archiveOf(t, "1.zip", archiveOf(t, "2.zip", archiveOf(t, "3.zip", inner)))
	if _, err := f.Import(context.Background(), []string{put(t, "x.zip", deep)}, ImportOptions{Now: now()}); !errors.Is(err, source.ErrArchive) {
		t.Errorf("archives in archives in archives: %v", err)
	}
}

// TestNothingComesOfABadImport has imports that must fail, and leave what is
// there as it is.
func TestNothingComesOfABadImport(t *testing.T) {
	good := zipped(t, debian("A-1"), debian("A-2"), debian("A-3"), debian("A-4"), debian("A-5"))
	altered := slices.Clone(good)
	altered[60] ^= 0xff
	f := OpenFolder(t.TempDir())
	before := mustImport(t, f, put(t, "all.zip", good))
	tests := map[string][]byte{
		"cut short":     good[:len(good)/2],
		"altered":       altered,
		"a web page":    []byte("<html>sign in</html>"),
		"nothing":       nil,
		"no records":    archiveOf(t, "README", []byte("hello")),
		"an empty zip":  archiveOf(t, "", nil),
		"VEX":           []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`),
		"too few":       zipped(t, debian("A-1")),
		"an empty KEV":  []byte(`{"catalogVersion":"1","vulnerabilities":[]}`),
		"an empty EPSS": []byte("#model_version:v1,score_date:2026-11-20\ncve,epss,percentile\n"),
	}
	for name, b := range tests {
		if report, err := f.Import(context.Background(), []string{put(t, "all.zip", b)}, ImportOptions{Now: now()}); err == nil {
			t.Errorf("%s: taken: %+v", name, report)
		}
		st, err := f.Status()
		if err != nil || st.Index.Revision != before.Revision || st.Index.Problem != "" || len(st.Sources) != 1 {
			t.Errorf("%s: the folder has changed: %+v %v", name, st, err)
		}
	}
	if _, err := f.Import(context.Background(), []string{filepath.Join(t.TempDir(), "none")}, ImportOptions{Now: now()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	want := []string{"index-…", "lock", "sources/….zip", "state.json"}
	if diff := cmp.Diff(want, content(t, f)); diff != "" {
		t.Errorf("something was left behind (-want +got):\n%s", diff)
	}
	if _, err := f.Import(context.Background(), []string{put(t, "all.zip", tests["too few"])}, ImportOptions{Now: now(), Replace: true}); err != nil {
		t.Errorf("replacing all the same: %v", err)
	}
}

// TestKilled has what a killed process leaves: files that no state names.
func TestKilled(t *testing.T) {
	f := OpenFolder(t.TempDir())
	before := mustImport(t, f, put(t, "all.zip", zipped(t, debian("A-1"))))
	for _, name := range []string{"tmp-index-1", ".state.json-1", "index-" + strings.Repeat("0", 64), "sources/" + strings.Repeat("0", 64) + ".zip", "sources/part-osv-Go"} {
		if err := os.WriteFile(filepath.Join(f.Dir(), name), []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(f.Dir(), "tmp-import-1", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if st, err := f.Status(); err != nil || st.Index.Revision != before.Revision || st.Index.Problem != "" {
		t.Errorf("%+v %v", st, err)
	}
	mustImport(t, f)
	want := []string{"index-…", "lock", "sources/part-osv-Go", "sources/….zip", "state.json"}
	if diff := cmp.Diff(want, content(t, f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDamaged breaks the index in every way: whoever asks is told, with the
// command that mends it, and an import of nothing mends it.
func TestDamaged(t *testing.T) {
	for name, break1 := range map[string]func(path string) error{
		"removed":   os.Remove,
		"cut short": func(p string) error { return errors.Join(os.Chmod(p, 0o644), os.Truncate(p, 5000)) },
		"emptied":   func(p string) error { return errors.Join(os.Chmod(p, 0o644), os.Truncate(p, 0)) },
		"altered": func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[100] ^= 1
			return errors.Join(os.Chmod(p, 0o644), os.WriteFile(p, b, 0o644))
		},
		"another's": func(p string) error {
			return errors.Join(os.Chmod(p, 0o644), os.WriteFile(p, make([]byte, 9000), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := OpenFolder(t.TempDir())
			report := mustImport(t, f, put(t, "all.zip", zipped(t, debian("A-1"))))
			if err := break1(f.indexPath(report.Revision)); err != nil {
				t.Fatal(err)
			}
			_, err := f.Index()
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			k := Unknown(err, []touchstone.Package{{Name: "x", Ecosystem: "Debian:12"}})
			if k.Index.Problem == "" || k.Index.Remedy != "touchstone db import" || len(k.Coverage) != 1 || k.Coverage[0].Covered {
				t.Errorf("%+v", k)
			}
			mustImport(t, f)
			mustOpen(t, f)
		})
	}
}

func TestStateIsChecked(t *testing.T) {
	for name, text := range map[string]string{
		"garbage": "{", "another schema": `{"schema":"touchstone.dev/advisories/v9"}`,
		"a way out": `{"schema":"touchstone.dev/advisories/v1","sources":[{"name":"x","file":"../../etc/passwd"}]}`,
	} {
		f := OpenFolder(t.TempDir())
		if err := os.WriteFile(filepath.Join(f.Dir(), "state.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Index(); err == nil || errors.Is(err, ErrNoIndex) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadersWhileSwapping asks while the index is replaced again and again.
func TestReadersWhileSwapping(t *testing.T) {
	f := OpenFolder(t.TempDir())
	a, b := put(t, "a.zip", zipped(t, debian("A-1"))), put(t, "b.zip", zipped(t, debian("A-2")))
	mustImport(t, f, a)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				ix, err := f.Index()
				if err != nil {
					t.Error(err)
					return
				}
				k, err := ix.Match(context.Background(), []touchstone.Package{{Name: "x", Version: "1", Ecosystem: "Debian:12"}}, MatchOptions{Now: now()})
				if err != nil || len(k.Matches) != 1 {
					t.Errorf("%d matches, %v", len(k.Matches), err)
				}
				if err := ix.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 5 {
		mustImport(t, f, []string{a, b}[i%2])
	}
	close(done)
	wg.Wait()
}

// TestImportsAtOnce lets several imports wait for each other: none gets lost.
func TestImportsAtOnce(t *testing.T) {
	f := OpenFolder(t.TempDir())
	var wg sync.WaitGroup
	for _, e := range []string{"Debian:12", "npm", "Go", "PyPI"} {
		path := put(t, "all.zip", zipped(t, record("A-"+e[:2], "", affects(e, "x", "introduced 0"))))
		wg.Go(func() { mustImport(t, OpenFolder(f.Dir()), path) })
	}
	wg.Wait()
	if st, err := f.Status(); err != nil || st.Records != 4 || len(st.Sources) != 4 {
		t.Errorf("%d records of %d sources, %v", st.Records, len(st.Sources), err)
	}
}

func TestLockIsGivenUp(t *testing.T) {
	f := OpenFolder(t.TempDir())
	_, unlock, err := f.open(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(context.Background())
	opt := ImportOptions{Now: now(), Progress: func(what string, _ int64) {
		if what == "waiting for another import" {
			cancel()
		}
	}}
	if _, err := f.Import(ctx, nil, opt); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCoverage(t *testing.T) {
	f := OpenFolder(t.TempDir())
	mustImport(t, f,
		put(t, "a.zip", zipped(t, record("A-1", `"published":"2026-01-01T00:00:00Z"`, affects("Debian:12", "x", "introduced 0"), affects("Debian:10", "x", "introduced 0")))),
		put(t, "b.zip", zipped(t, record("B-1", "", affects("Go", "x", "introduced 0")), record("B-2", "", affects("Go", "y", "introduced 0"), affects("npm", "y", "introduced 0")))),
		put(t, "c.json", []byte(record("C-1", "", affects("PyPI", "x", "introduced 0")))),
	)
	k := mustMatch(t, mustOpen(t, f), MatchOptions{},
		touchstone.Package{Name: "a", Version: "1", Ecosystem: "Debian:12"}, touchstone.Package{Name: "b", Version: "1", Ecosystem: "Debian:12"},
		touchstone.Package{Name: "a", Version: "1", Ecosystem: "Debian:10"}, touchstone.Package{Name: "a", Version: "1", Ecosystem: "Debian:13"}, touchstone.Package{Name: "a", Version: "1", Ecosystem: "Debian"},
		touchstone.Package{Name: "a", Version: "1", Ecosystem: "Go"}, touchstone.Package{Name: "a", Version: "1", Ecosystem: "npm"}, touchstone.Package{Name: "a", Version: "1", Ecosystem: "PyPI"},
		touchstone.Package{Name: "a", Version: "1", Ecosystem: "Rocky Linux:9"}, touchstone.Package{Name: "a", Version: "1"},
	)
	may := day(2026, 5, 1)
	want := []touchstone.Coverage{
		{Packages: 1, Why: "no source of advisories is known for these packages"},
		{Ecosystem: "Debian", Packages: 1, Why: "nothing says which release of Debian the packages are from"},
		{Ecosystem: "Debian:10", Packages: 1, Covered: true, Confirmed: may, EndOfLife: true, Why: "out of support since 2024-06-30: no new advisories are written for it"},
		{Ecosystem: "Debian:12", Packages: 2, Covered: true, Confirmed: may},
		{Ecosystem: "Debian:13", Packages: 1, Why: "the advisories for Debian do not mention its release 13", Remedy: "touchstone db update Debian"},
		{Ecosystem: "Go", Packages: 1, Covered: true, Confirmed: may},
		{Ecosystem: "PyPI", Packages: 1, Why: "no advisories for PyPI are in the index", Remedy: "touchstone db update PyPI"},
		{Ecosystem: "Rocky Linux:9", Packages: 1, Why: "no advisories for Rocky Linux are in the index", Remedy: `touchstone db update "Rocky Linux"`},
		{Ecosystem: "npm", Packages: 1, Why: "no advisories for npm are in the index", Remedy: "touchstone db update npm"},
	}
	if diff := cmp.Diff(want, k.Coverage); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConfirmed(t *testing.T) {
	f := OpenFolder(t.TempDir())
	confirmed := func() string {
		at, _ := mustOpen(t, f).confirmed("Debian")
		return at.Format("2006-01-02")
	}
	newer := strings.Replace(debian("A-2"), "2026-05-01", "2026-06-01", 1)
	future := strings.Replace(debian("A-3"), "2026-05-01", "2036-06-01", 1)
	mustImport(t, f, put(t, "all.zip", zipped(t, debian("A-1"), newer, future)))
	if got := confirmed(); got != "2026-06-01" {
		t.Errorf("by the youngest record that is not of the future: %s", got)
	}
	// A few records that are younger do not make the feed younger.
	dir := filepath.Dir(put(t, "x.json", []byte(strings.Replace(debian("A-4"), "2026-05-01", "2026-11-01", 1))))
	mustImport(t, f, dir)
	if got := confirmed(); got != "2026-06-01" {
		t.Errorf("by a handful of records: %s", got)
	}
	if _, err := f.Import(context.Background(), []string{put(t, "all.zip", zipped(t, debian("A-1"), newer, future))}, ImportOptions{Now: now(), AsOf: day(2026, 10, 1)}); err != nil {
		t.Fatal(err)
	}
	if got := confirmed(); got != "2026-10-01" {
		t.Errorf("as the user says: %s", got)
	}
}
