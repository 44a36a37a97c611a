package advisory

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

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
		t.Skipf("the real advisories are missing: %s", path)
	}
	return path
}

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func TestTryReal(t *testing.T) {
	f := OpenFolder(t.TempDir())
	t0 := time.Now()
	rep, err := f.Import(context.Background(), []string{shared(t)}, ImportOptions{Now: day(2026, 11, 23)})
	t.Log(time.Since(t0), err)
	for _, c := range rep.Changed {
		t.Logf("%s %s %s rec %d cve %d rows %d conf %v alone %v", c.Name, c.Kind, c.Action, c.Records, c.CVEs, c.Rows, c.Confirmed, c.Alone)
	}
	t.Log(rep.Ignored)
	ix, err := f.Index()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ix.Match(context.Background(), []touchstone.Package{
		{Name: "libssl1.1", Version: "1.1.1d-r2", Source: "openssl", Ecosystem: "Alpine:v3.11", Path: "lib/apk/db/installed"},
		{Name: "apache-log4j2", Version: "2.13.3-1", Ecosystem: "Debian:11"},
		{Name: "stdlib", Version: "1.22.3", Ecosystem: "Go"},
		{Name: "x", Version: "1", Ecosystem: "npm"},
		{Name: "x", Version: "1", Ecosystem: "Debian:12"},
		{Name: "x", Version: "1", Ecosystem: ""},
	}, MatchOptions{Now: day(2026, 11, 23)})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range k.Matches {
		t.Logf("%s %v %s %v %v %q fixed %v %v %v", m.ID, m.Aliases, m.Package.Name, m.Score, m.KnownExploited, m.ScoreSource, m.FixedVersions, m.Applies, m.Why)
	}
	for _, m := range k.Upgrades {
		t.Logf("%+v", m)
	}
	for _, m := range k.Coverage {
		t.Logf("%+v", m)
	}
	t.Logf("%+v", k.Index)
}
