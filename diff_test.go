package touchstone

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func alphabetical(_, a, b string) (int, bool) { return strings.Compare(a, b), a != "?" && b != "?" }

func pkg(ecosystem, name, version, path string) Package {
	return Package{Name: name, Version: version, Ecosystem: ecosystem, Path: path}
}

func TestComparePackages(t *testing.T) {
	const db = "var/lib/dpkg/status"
	for name, c := range map[string]struct {
		from, to []Package
		want     []string
	}{
		"nothing":    {[]Package{pkg("npm", "a", "1", "x")}, []Package{pkg("npm", "a", "1", "x")}, nil},
		"moved":      {[]Package{pkg("npm", "a", "1", "x")}, []Package{pkg("npm", "a", "1", "y")}, nil},
		"upgraded":   {[]Package{pkg("npm", "a", "1", "x")}, []Package{pkg("npm", "a", "2", "x")}, []string{"upgraded a 1 2 x"}},
		"downgraded": {[]Package{pkg("npm", "a", "2", "x")}, []Package{pkg("npm", "a", "1", "x")}, []string{"downgraded a 2 1 x"}},
		"no order":   {[]Package{pkg("npm", "a", "?", "x")}, []Package{pkg("npm", "a", "1", "x")}, []string{"changed a ? 1 x"}},
		"a new release of the distribution": {
			[]Package{pkg("Debian:11", "a", "1", db)}, []Package{pkg("Debian:12", "a", "2", db)}, []string{"upgraded a 1 2 " + db},
		},
		"same name elsewhere": {
			[]Package{pkg("npm", "a", "1", "x")}, []Package{pkg("PyPI", "a", "2", "x")}, []string{"removed a 1  x", "added a  2 x"},
		},
		"upgraded and moved": {[]Package{pkg("Go", "a", "1", "bin/x-1")}, []Package{pkg("Go", "a", "2", "bin/x-2")}, []string{"upgraded a 1 2 bin/x-2"}},
		"two programs": {
			[]Package{pkg("Go", "a", "1", "x"), pkg("Go", "a", "1", "y")}, []Package{pkg("Go", "a", "2", "x"), pkg("Go", "a", "2", "y")},
			[]string{"upgraded a 1 2 x y"},
		},
		"one of two programs": {
			[]Package{pkg("Go", "a", "1", "x"), pkg("Go", "a", "1", "y")}, []Package{pkg("Go", "a", "1", "x"), pkg("Go", "a", "2", "y")},
			[]string{"upgraded a 1 2 y"},
		},
		"a second kernel": {
			[]Package{pkg("Red Hat", "kernel", "1", db)}, []Package{pkg("Red Hat", "kernel", "1", db), pkg("Red Hat", "kernel", "2", db)},
			[]string{"added kernel  2 " + db},
		},
		"several that cannot be paired": {
			[]Package{pkg("npm", "a", "1", "x"), pkg("npm", "a", "2", "y")}, []Package{pkg("npm", "a", "3", "z")},
			[]string{"removed a 1  x", "removed a 2  y", "added a  3 z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range Compare(&Evidence{Packages: c.from}, &Evidence{Packages: c.to}, alphabetical).Packages {
				got = append(got, string(p.Change)+" "+p.Name+" "+p.From+" "+p.To+" "+strings.Join(p.Paths, " "))
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompareLaws: nothing differs from itself, the order of packages does not
// matter, and the way back undoes the way there.
func TestCompareLaws(t *testing.T) {
	packages := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Package {
		return pkg("npm", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), strconv.Itoa(rapid.IntRange(1, 3).Draw(t, "version")), rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "path"))
	}), 0, 8)
	rapid.Check(t, func(t *rapid.T) {
		a, b := &Evidence{Packages: packages.Draw(t, "a")}, &Evidence{Packages: packages.Draw(t, "b")}
		if d := Compare(a, a, alphabetical); len(d.Packages) > 0 {
			t.Fatalf("it differs from itself: %+v", d.Packages)
		}
		there, back := Compare(a, b, alphabetical), Compare(b, a, alphabetical)
		counts := func(d *Diff, of ...Change) (n int) {
			for i := range d.Packages {
				if slices.Contains(of, d.Packages[i].Change) {
					n++
				}
			}
			return n
		}
		if len(b.Packages) > 0 && len(a.Packages) == 0 && counts(&there, Added) != len(there.Packages) {
			t.Fatalf("something from nothing is not an addition: %+v", there.Packages)
		}
		if (len(there.Packages) == 0) != (len(back.Packages) == 0) {
			t.Fatalf("there %+v, back %+v", there.Packages, back.Packages)
		}
	})
}

func TestCompareTheRest(t *testing.T) {
	from := &Evidence{
		Layers:  []Layer{{DiffID: "sha256:a", Size: 1}, {DiffID: "sha256:b", Size: 2}},
		Surface: Surface{Shells: []string{"bin/sh"}, Setuid: []string{"bin/su"}},
		Configuration: Configuration{
			User: "1000", Environment: []string{"TOKEN=secret", "A=1", "GONE=1"}, Ports: []string{"80/tcp"}, Labels: map[string]string{"v": "1"},
		},
		Secrets: []Secret{{Kind: "private-key", Path: "a", Fingerprint: "1"}, {Kind: "private-key", Path: "b", Fingerprint: "2"}},
	}
	to := &Evidence{
		Layers:        []Layer{{DiffID: "sha256:a", Size: 1}, {DiffID: "sha256:c", Size: 4}},
		Surface:       Surface{Shells: []string{"bin/sh", "bin/bash"}},
		Configuration: Configuration{Environment: []string{"TOKEN=other", "A=1", "NEW=1"}, Ports: []string{"443/tcp"}, Labels: map[string]string{"v": "2"}},
		Secrets:       []Secret{{Kind: "private-key", Path: "moved", Fingerprint: "1"}, {Kind: "password", Path: "c", Fingerprint: "3"}},
	}
	want := Diff{
		Schema:   SchemaDiff,
		Layers:   LayerChange{From: 2, To: 2, Shared: 1, FromSize: 3, ToSize: 5},
		Packages: []PackageChange{},
		Files:    FileChanges{Executables: []FileChange{}},
		Surface: []ListChange{
			{List: "setuid", Added: []string{}, Removed: []string{"bin/su"}},
			{List: "shells", Added: []string{"bin/bash"}, Removed: []string{}},
		},
		Configuration: []SettingChange{
			{Change: Changed, Setting: "user", From: "1000"},
			{Change: Removed, Setting: "environment", Name: "GONE"},
			{Change: Added, Setting: "environment", Name: "NEW"},
			{Change: Changed, Setting: "environment", Name: "TOKEN"}, // and neither value
			{Change: Added, Setting: "ports", Name: "443/tcp"},
			{Change: Removed, Setting: "ports", Name: "80/tcp"},
			{Change: Changed, Setting: "labels", Name: "v", From: "1", To: "2"},
		},
		Secrets: SecretChange{
			Added:   []Secret{{Kind: "password", Path: "c", Fingerprint: "3"}},
			Removed: []Secret{{Kind: "private-key", Path: "b", Fingerprint: "2"}},
		},
	}
	if diff := cmp.Diff(want, Compare(from, to, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCompareMatches(t *testing.T) {
	match := func(id, pkg string, aliases ...string) Match {
		return Match{ID: id, Aliases: aliases, Package: PackageRef{Name: pkg}}
	}
	got := CompareMatches(
		[]Match{match("GHSA-1", "a"), match("CVE-2", "a"), match("CVE-3", "b")},
		[]Match{match("CVE-1", "a", "GHSA-1"), match("CVE-3", "c")},
	)
	want := &MatchChange{New: []Match{match("CVE-3", "c")}, Gone: []Match{match("CVE-2", "a"), match("CVE-3", "b")}, Kept: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNote(t *testing.T) {
	var f FileChanges
	f.Note(nil, nil)
	f.Note(&File{Path: "a"}, nil)
	f.Note(nil, &File{Path: "b"})
	f.Note(&File{Path: "c"}, &File{Path: "c"})
	f.Note(&File{Path: "d", Mode: 0o644}, &File{Path: "d", Exec: ExecScript, Mode: 0o755})
	f.Note(&File{Path: "e", Exec: ExecELF}, nil)
	want := FileChanges{
		Others: FileCounts{Added: 1, Removed: 1, Changed: 1},
		Executables: []FileChange{
			{Change: Changed, Path: "d", Exec: ExecScript, FromMode: 0o644, ToMode: 0o755},
			{Change: Removed, Path: "e", Exec: ExecELF},
		},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
