package advisory

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// TestReal asks the real advisories about holes that everybody knows.
func TestReal(t *testing.T) {
	f := OpenFolder(t.TempDir())
	report := mustImport(t, f, shared(t, "osv"), shared(t, "cve"), shared(t, "kev.json"))
	malformed := 0
	for _, c := range report.Changed {
		malformed += c.Malformed
	}
	if report.Records != 4291-17+2443+1502 || malformed > 0 {
		t.Errorf("%d records, %d malformed", report.Records, malformed)
	}
	ix := mustOpen(t, f)
	if size, json := ix.reader.Size(), int64(5457541+1996476+583428); size*4 > json {
		t.Errorf("the index has %d bytes, more than a quarter of %d", size, json)
	}
	tests := []struct {
		pkg       touchstone.Package
		has, lack string // names of holes
	}{
		{touchstone.Package{Name: "libssl1.1", Version: "1.1.1d-r0", Source: "openssl", Ecosystem: "Alpine:v3.11"}, "CVE-2019-1551 ALPINE-CVE-2019-1551 CVE-2019-1547", "CVE-2019-1543"},
		{touchstone.Package{Name: "libssl1.1", Version: "1.1.1d-r1", Source: "openssl", Ecosystem: "Alpine:v3.11"}, "CVE-2019-1551", "CVE-2019-1547"},
		{touchstone.Package{Name: "libssl1.1", Version: "1.1.1d-r3", Source: "openssl", Ecosystem: "Alpine:v3.11"}, "", "CVE-2019-1551"},
		{touchstone.Package{Name: "libssl1.1", Version: "1.1.1a-r0", Source: "openssl", Ecosystem: "Alpine:v3.9"}, "CVE-2019-1543 CVE-2019-1549", "CVE-2018-0734"},
		{touchstone.Package{Name: "apache-log4j2", Version: "2.13.3-1", Ecosystem: "Debian:11"}, "CVE-2021-44228 CVE-2021-45046 DSA-5020-1", ""},
		{touchstone.Package{Name: "apache-log4j2", Version: "2.17.0-1~deb11u1", Ecosystem: "Debian:11"}, "", "CVE-2021-44228 CVE-2021-45105"},
		{touchstone.Package{Name: "stdlib", Version: "1.22.3", Ecosystem: "Go"}, "CVE-2024-24790 GO-2024-2887 CVE-2024-24789", "CVE-2023-39325"},
		{touchstone.Package{Name: "stdlib", Version: "go1.20.5", Ecosystem: "Go"}, "CVE-2023-39325 CVE-2024-24790", ""},
		{touchstone.Package{Name: "golang.org/x/net", Version: "v0.16.0", Ecosystem: "Go"}, "CVE-2023-39325 GHSA-4374-p667-p6c8", "CVE-2023-44487"},
		{touchstone.Package{Name: "golang.org/x/net", Version: "v0.17.0", Ecosystem: "Go"}, "CVE-2023-45288", "CVE-2023-39325"},
		{touchstone.Package{Name: "k8s.io/kubernetes", Version: "v1.19.0", Ecosystem: "Go"}, "", "GO-2022-0617"}, // withdrawn
	}
	for _, tt := range tests {
		k := mustMatch(t, ix, MatchOptions{}, tt.pkg)
		named := func(name string) bool {
			for i := range k.Matches {
				if k.Matches[i].Named(name) {
					return true
				}
			}
			return false
		}
		for name := range strings.FieldsSeq(tt.has) {
			if !named(name) {
				t.Errorf("%s %s lacks %s: %q", tt.pkg.Name, tt.pkg.Version, name, brief(k))
			}
		}
		for name := range strings.FieldsSeq(tt.lack) {
			if named(name) {
				t.Errorf("%s %s has %s", tt.pkg.Name, tt.pkg.Version, name)
			}
		}
	}
	for name, want := range map[string]int{"CVE-2021-44228": 1, "DSA-5020-1": 1, "GO-2022-0617": 0, "CVE-2024-24790": 1} {
		got, err := ix.Find(name)
		if err != nil || len(got) != want {
			t.Errorf("%s finds %d holes, want %d (%v)", name, len(got), want, err)
		}
	}
	log4j, err := ix.Find("CVE-2021-44228")
	if err != nil {
		t.Fatal(err)
	}
	want := []Affected{
		{Package: "apache-log4j2", Ecosystems: []string{"Debian:11"}, Source: "DSA-5020-1", Ranges: []string{"< 2.15.0-1~deb11u1"}},
		{Package: "apache-log4j2", Ecosystems: []string{"Debian:10"}, Source: "DSA-5020-1", Ranges: []string{"< 2.15.0-1~deb10u1"}},
	}
	if diff := cmp.Diff(want, log4j[0].Affected, cmp.Transformer("sorted", func(l []Affected) map[string]Affected {
		m := map[string]Affected{}
		for _, a := range l {
			m[a.Ecosystems[0]] = a
		}
		return m
	})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !log4j[0].KnownExploited {
		t.Error("CVE-2021-44228 is not known to be exploited")
	}
	bulletin, err := ix.Find("DSA-4661-1")
	if err != nil || len(bulletin) != 1 || bulletin[0].ID != "CVE-2020-1967" {
		t.Errorf("%+v %v", bulletin, err)
	}
}
