package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func now() time.Time { return day(2026, 11, 23) }

// shared returns a path below the folder of real data that lies beside the
// repository, or skips.
func shared(t testing.TB, elem ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
	path := filepath.Join(append([]string{filepath.Dir(dir), "shared", "data"}, elem...)...)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the real advisories are missing: no %s", filepath.Join(append([]string{"shared", "data"}, elem...)...))
	}
	return path
}

var idOf = regexp.MustCompile(`"(?:id|cveId)": ?"([^"]+)"`)

// zipped makes an archive of records, named by their ids.
func zipped(t testing.TB, records ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, r := range records {
		name := fmt.Sprintf("record-%d.json", i)
		if m := idOf.FindStringSubmatch(r); m != nil {
			name = m[1] + ".json"
		}
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// put writes a file below a new folder and returns its path.
func put(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustImport(t testing.TB, f *Folder, paths ...string) Report {
	t.Helper()
	report, err := f.Import(context.Background(), paths, ImportOptions{Now: now(), Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func mustOpen(t testing.TB, f *Folder) *Index {
	t.Helper()
	ix, err := f.Index()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ix.Close() })
	return ix
}

// indexOf makes an index of records.
func indexOf(t testing.TB, records ...string) *Index {
	t.Helper()
	f := OpenFolder(t.TempDir())
	mustImport(t, f, put(t, "all.zip", zipped(t, records...)))
	return mustOpen(t, f)
}

func mustMatch(t testing.TB, ix *Index, opt MatchOptions, packages ...touchstone.Package) touchstone.Knowledge {
	t.Helper()
	if opt.Now.IsZero() {
		opt.Now = now()
	}
	k, err := ix.Match(context.Background(), packages, opt)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// brief writes matches in one line each: "CVE-1 openssl fixed 1.2, 1.3".
func brief(k touchstone.Knowledge) []string {
	var list []string
	for i := range k.Matches {
		m := &k.Matches[i]
		s := m.ID + " " + m.Package.Name
		if len(m.FixedVersions) > 0 {
			s += " fixed " + strings.Join(m.FixedVersions, ", ")
		}
		if !m.Applies {
			s += " (does not apply)"
		}
		list = append(list, s)
	}
	return list
}

// record writes an OSV record; more is what stands beside id and affected.
func record(id, more string, affected ...string) string {
	if more != "" {
		more += ","
	}
	return fmt.Sprintf(`{"id":%q,"modified":"2026-05-01T00:00:00Z",%s"affected":[%s]}`, id, more, strings.Join(affected, ","))
}

// affects writes one entry of affected; events are "introduced 0", "fixed 1.2".
func affects(ecosystem, name string, events ...string) string {
	var list []string
	for _, e := range events {
		kind, v, _ := strings.Cut(e, " ")
		list = append(list, fmt.Sprintf(`{%q:%q}`, kind, v))
	}
	return fmt.Sprintf(`{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[%s]}]}`, ecosystem, name, strings.Join(list, ","))
}

// archiveOf makes an archive of one file; without a name, of none.
func archiveOf(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if name != "" {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
