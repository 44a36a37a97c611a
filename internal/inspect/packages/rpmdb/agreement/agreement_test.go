// Package agreement compares package rpmdb with another reader of the same
// databases. It is apart because that reader links a database engine, under which
// the fuzz tests of rpmdb would crawl.
package agreement

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	oracle "github.com/erikvarga/go-rpmdb/pkg"
	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the oracle reads SQLite through it

	"touchstone.dev/touchstone/internal/inspect/packages/rpmdb"
)

// ghost marks a file that a package only reserves a name for (RPMFILE_GHOST).
const ghost = 1 << 6

// entryOf is what is compared of a package.
type entryOf struct {
	Name, Version, Release, Arch, Source, Licence, Vendor string
	Epoch                                                 int
	Files                                                 []string
}

func readAll(t testing.TB, content []byte) []entryOf {
	t.Helper()
	var all []entryOf
	err := rpmdb.Each(context.Background(), bytes.NewReader(content), int64(len(content)), func(header []byte) error {
		p, err := rpmdb.Parse(header)
		if err != nil {
			return err
		}
		e := entryOf{p.Name, p.Version, p.Release, p.Arch, p.Source, p.Licence, p.Vendor, int(p.Epoch), nil}
		for path := range p.Files {
			e.Files = append(e.Files, path)
		}
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAgreesWithAnotherReader reads real databases of each form, as they lie in
// the module cache beside the reader that is the oracle.
func TestAgreesWithAnotherReader(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/erikvarga/go-rpmdb").Output()
	if err != nil {
		t.Skip("the module github.com/erikvarga/go-rpmdb is not in the module cache: ", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "pkg", "testdata")
	for _, name := range []string{
		"centos5-plain/Packages", "centos7-plain/Packages", "ubi8-s390x/Packages", // Berkeley DB: unsorted, sorted, big-endian
		"sle15-bci/Packages.db",
		"cbl-mariner-2.0/rpmdb.sqlite", "fedora35/rpmdb.sqlite",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(root, filepath.FromSlash(name))
			content, err := os.ReadFile(path)
			if err != nil {
				t.Skip("the module cache lacks its test data: ", err)
			}
			// SQLite writes beside a database that was not closed, and the
			// module cache may be read-only.
			copied := filepath.Join(t.TempDir(), filepath.Base(path))
			if err := os.WriteFile(copied, content, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := oracle.Open(copied)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			list, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			var want []entryOf
			for _, p := range list {
				e := entryOf{p.Name, p.Version, p.Release, p.Arch, p.SourceRpm, p.License, p.Vendor, p.EpochNum(), nil}
				for i, base := range p.BaseNames {
					if i < len(p.FileFlags) && p.FileFlags[i]&ghost == 0 {
						e.Files = append(e.Files, p.DirNames[p.DirIndexes[i]]+base)
					}
				}
				want = append(want, e)
			}
			if len(want) < 10 {
				t.Fatalf("the oracle found %d packages", len(want))
			}
			got := readAll(t, content)
			for _, l := range [][]entryOf{got, want} {
				slices.SortFunc(l, func(a, b entryOf) int { return strings.Compare(a.Name+a.Version+a.Arch, b.Name+b.Version+b.Arch) })
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-other +ours\n%.2000s", diff)
			}
		})
	}
}

func BenchmarkEach(b *testing.B) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/erikvarga/go-rpmdb").Output()
	if err != nil {
		b.Skip("the module github.com/erikvarga/go-rpmdb is not in the module cache: ", err)
	}
	content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "pkg", "testdata", "fedora35", "rpmdb.sqlite"))
	if err != nil {
		b.Skip("the module cache lacks its test data: ", err)
	}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, content)
	}
}
