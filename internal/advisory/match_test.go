package advisory

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func scored(m *touchstone.Match) string {
	return fmt.Sprintf("%.1f %s %s", m.Score, m.Severity, m.ScoreSource)
}

func TestRanges(t *testing.T) {
	tests := []struct {
		name, affected, ecosystem, version string
		want                               []string
	}{
		{"mended later", affects("Debian:12", "x", "introduced 0", "fixed 2.0-1"), "Debian:12", "1.9-1", []string{"A-1 x fixed 2.0-1"}},
		{"mended already", affects("Debian:12", "x", "introduced 0", "fixed 2.0-1"), "Debian:12", "2.0-1", nil},
		{"never mended", affects("Debian:12", "x", "introduced 0"), "Debian:12", "99", []string{"A-1 x"}},
		{"another release", affects("Debian:11", "x", "introduced 0"), "Debian:12", "1", nil},
		{"another package", affects("Debian:12", "y", "introduced 0"), "Debian:12", "1", nil},
		{"not introduced yet", affects("npm", "x", "introduced 1.5.0", "fixed 2.0.0"), "npm", "1.4.9", nil},
		{"several branches", affects("npm", "x", "introduced 0", "fixed 1.0.5", "introduced 2.0.0", "fixed 2.0.3"), "npm", "1.0.2", []string{"A-1 x fixed 1.0.5, 2.0.3"}},
		{"between branches", affects("npm", "x", "introduced 0", "fixed 1.0.5", "introduced 2.0.0", "fixed 2.0.3"), "npm", "1.1.0", nil},
		{"the second branch", affects("npm", "x", "introduced 0", "fixed 1.0.5", "introduced 2.0.0", "fixed 2.0.3"), "npm", "2.0.0", []string{"A-1 x fixed 2.0.3"}},
		{"events in any order", affects("npm", "x", "fixed 2.0.3", "introduced 2.0.0"), "npm", "2.0.1", []string{"A-1 x fixed 2.0.3"}},
		{"last affected", affects("npm", "x", "introduced 0", "last_affected 1.2.0"), "npm", "1.2.0", []string{"A-1 x"}},
		{"after the last affected", affects("npm", "x", "introduced 0", "last_affected 1.2.0"), "npm", "1.2.1", nil},
		{"a limit", affects("npm", "x", "introduced 0", "limit 2.0.0"), "npm", "2.0.0", nil},
		{"below a limit", affects("npm", "x", "introduced 0", "limit 2.0.0"), "npm", "1.9.0", []string{"A-1 x"}},
		{"a listed version", `{"package":{"ecosystem":"PyPI","name":"X_y"},"versions":["1.0","1.1"]}`, "PyPI", "1.0.0", []string{"A-1 x-Y"}},
		{"a version that is not listed", `{"package":{"ecosystem":"PyPI","name":"x-y"},"versions":["1.0"]}`, "PyPI", "1.2", nil},
		{"commits are passed over", `{"package":{"ecosystem":"PyPI","name":"x-y"},"ranges":[{"type":"GIT","repo":"https://x","events":[{"introduced":"0"}]}],"versions":["1.0"]}`, "PyPI", "1.2", nil},
		{"listed beside a range", `{"package":{"ecosystem":"npm","name":"x"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"}]}],"versions":["0.5.0","3.0.0"]}`, "npm", "3.0.0", []string{"A-1 x"}},
		{"unfixed in Debian's words", affects("Debian:12", "x", "introduced 0", "fixed <unfixed>"), "Debian:12", "1", []string{"A-1 x"}},
		{"not affected in Alpine's", affects("Alpine:v3.20", "x", "introduced 0", "fixed 0"), "Alpine:v3.20", "1.0-r0", nil},
		{"a version that cannot be read", affects("npm", "x", "introduced 0", "fixed 2.0.0"), "npm", "latest", []string{"A-1 x fixed 2.0.0"}},
		{"a fix that cannot be read", affects("npm", "x", "introduced 0", "fixed soon"), "npm", "1.0.0", []string{"A-1 x fixed soon"}},
		{"an ecosystem without an order", affects("OSS-Fuzz", "x", "introduced 1.0a", "fixed 2.0a"), "OSS-Fuzz", "1.5a", []string{"A-1 x fixed 2.0a"}},
		{"Go's leading v", affects("Go", "x", "introduced 0", "fixed 1.2.0"), "Go", "v1.1.0", []string{"A-1 x fixed 1.2.0"}},
		{"a pseudo-version", affects("Go", "x", "introduced 0", "fixed 0.0.0-20230801000000-aaaaaaaaaaaa"), "Go", "v0.0.0-20220801000000-bbbbbbbbbbbb", []string{"A-1 x fixed 0.0.0-20230801000000-aaaaaaaaaaaa"}},
		{"Red Hat's repositories are one release", affects("Red Hat:enterprise_linux:9::appstream", "x", "introduced 0", "fixed 0:2-1.el9"), "Red Hat:enterprise_linux:9::baseos", "1-1.el9", []string{"A-1 x fixed 0:2-1.el9"}},
		{"Maven", affects("Maven", "org.x:x", "introduced 0", "fixed 2.15.0"), "Maven", "2.14.1", []string{"A-1 org.x:x fixed 2.15.0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := "x"
			switch tt.ecosystem {
			case "PyPI":
				name = "x-Y"
			case "Maven":
				name = "org.x:x"
			}
			k := mustMatch(t, indexOf(t, record("A-1", "", tt.affected)), MatchOptions{}, touchstone.Package{Name: name, Version: tt.version, Ecosystem: tt.ecosystem})
			if diff := cmp.Diff(tt.want, brief(k)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for i := range k.Matches {
				if m := &k.Matches[i]; strings.Contains(tt.name, "cannot be read") != strings.Contains(m.Why, "could not be compared") && tt.ecosystem == "npm" {
					t.Errorf("why: %q", m.Why)
				}
			}
		})
	}
}

// TestSources has two sources that do not agree on one hole.
func TestSources(t *testing.T) {
	tests := []struct {
		name    string
		records []string
		want    []string
	}{
		{"the later fix mends", []string{record("A-1", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0", "fixed 1.5.0")), record("B-1", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0", "fixed 1.6.0"))},
			[]string{"CVE-2026-0001 x fixed 1.6.0"}},
		{"one that knows no fix", []string{record("A-1", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0", "fixed 1.5.0")), record("B-1", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0"))},
			[]string{"CVE-2026-0001 x fixed 1.5.0"}},
		{"one that calls it mended", []string{record("A-1", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0", "fixed 0.9.0")), record("B-1", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0", "fixed 1.6.0"))},
			[]string{"CVE-2026-0001 x fixed 1.6.0"}},
		{"one that denies it", []string{record("A-1", `"aliases":["CVE-2026-0001"]`, strings.Replace(affects("npm", "x", "introduced 0"), `"ranges"`, `"ecosystem_specific":{"status":"not-affected"},"ranges"`, 1)), record("B-1", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0", "fixed 1.6.0"))},
			[]string{"CVE-2026-0001 x fixed 1.6.0 (does not apply)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := mustMatch(t, indexOf(t, tt.records...), MatchOptions{}, touchstone.Package{Name: "x", Version: "1.0.0", Ecosystem: "npm"})
			if diff := cmp.Diff(tt.want, brief(k)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDistributions(t *testing.T) {
	ix := indexOf(t,
		record("DSA-1-1", `"upstream":["CVE-2026-0001"]`, affects("Debian:12", "openssl", "introduced 0", "fixed 3.0.2-1")),
		record("DEBIAN-CVE-2026-0009", "", strings.Replace(affects("Debian:12", "openssl", "introduced 0"), `"ranges"`, `"ecosystem_specific":{"urgency":"end-of-life"},"ranges"`, 1)),
		record("DEBIAN-CVE-2026-0002", "", affects("Debian:12", "linux", "introduced 0")),
		record("UBUNTU-CVE-2026-0003", "", affects("Ubuntu:18.04:LTS", "bash", "introduced 0"), affects("Ubuntu:Pro:18.04:LTS", "bash", "introduced 0", "fixed 4.4-1+esm2")),
		record("ALSA-2026:1", `"related":["CVE-2026-0004"]`, affects("AlmaLinux:9", "openssl-libs", "introduced 0", "fixed 1:3.0.7-25.el9")),
		record("RLSA-2026:1", `"upstream":["CVE-2026-0004"]`, affects("Rocky Linux:9", "openssl", "introduced 0", "fixed 1:3.0.7-25.el9")),
		record("SUSE-SU-2026:1-1", `"upstream":["CVE-2026-0005"]`, affects("SUSE:Linux Enterprise Module for Basesystem 15 SP7", "zlib", "introduced 0", "fixed 1.2.13-2")),
	)
	pkg := func(ecosystem, name, version, source, sourceVersion string) touchstone.Package {
		return touchstone.Package{Name: name, Version: version, Ecosystem: ecosystem, Source: source, SourceVersion: sourceVersion}
	}
	tests := []struct {
		pkg  touchstone.Package
		want []string
	}{
		{pkg("Debian:12", "libssl3", "3.0.1-1+b1", "openssl", "3.0.1-1"), []string{"CVE-2026-0001 libssl3 fixed 3.0.2-1", "CVE-2026-0009 libssl3"}},
		{pkg("Debian:12", "openssl", "3.0.2-1", "", ""), []string{"CVE-2026-0009 openssl"}},
		{pkg("Debian:12", "linux-image-6.1", "6.1.1-1", "linux", ""), []string{"CVE-2026-0002 linux-image-6.1"}},
		{pkg("Debian:12", "linux-libc-dev", "6.1.1-1", "linux", ""), nil},
		{pkg("Debian:12", "linux-headers-6.1.0-1-amd64", "6.1.1-1", "linux", ""), nil},
		{pkg("Ubuntu:18.04", "bash", "4.4-1", "", ""), []string{"CVE-2026-0003 bash"}},
		{pkg("Ubuntu:18.04", "bash", "4.4-1+esm1", "", ""), []string{"CVE-2026-0003 bash fixed 4.4-1+esm2"}},
		{pkg("Ubuntu:18.04", "bash", "4.4-1+esm2", "", ""), nil},
		{pkg("AlmaLinux:9.2", "openssl-libs", "1:3.0.7-24.el9", "openssl", "3.0.7-24.el9"), []string{"CVE-2026-0004 openssl-libs fixed 1:3.0.7-25.el9"}},
		{pkg("Rocky Linux:9", "openssl-libs", "1:3.0.7-24.el9", "openssl", "3.0.7-24.el9"), []string{"CVE-2026-0004 openssl-libs fixed 1:3.0.7-25.el9"}},
		{pkg("Rocky Linux:9", "openssl-libs", "1:3.0.7-25.el9", "openssl", "3.0.7-25.el9"), nil},
		{pkg("SUSE:15.7", "libz1", "1.2.13-1", "zlib", "1.2.13-1"), []string{"CVE-2026-0005 libz1 fixed 1.2.13-2"}},
	}
	for _, tt := range tests {
		k := mustMatch(t, ix, MatchOptions{}, tt.pkg)
		if diff := cmp.Diff(tt.want, brief(k)); diff != "" {
			t.Errorf("%s %s %s (-want +got):\n%s", tt.pkg.Ecosystem, tt.pkg.Name, tt.pkg.Version, diff)
		}
		for i := range k.Matches {
			if m := &k.Matches[i]; m.WontFix != (m.ID == "CVE-2026-0009") {
				t.Errorf("%s: won't be mended: %v", m.ID, m.WontFix)
			}
		}
	}
}

// table is a symbol table in memory.
type table map[string]bool

func (s table) Has(pkg, symbol string) bool { return s[pkg+"."+symbol] }

func (s table) HasPackage(pkg string) bool {
	for name := range s {
		if strings.HasPrefix(name, pkg+".") {
			return true
		}
	}
	return false
}

func TestSymbols(t *testing.T) {
	with := func(imports string) string {
		return strings.Replace(affects("Go", "example.com/m", "introduced 0", "fixed 2.0.0"), `"ranges"`, `"ecosystem_specific":{"imports":`+imports+`},"ranges"`, 1)
	}
	plain := affects("Go", "example.com/m", "introduced 0", "fixed 2.0.0")
	const alias = `"aliases":["CVE-2026-0001"]`
	decode := with(`[{"path":"example.com/m/a","symbols":["Decode","Decoder.Decode"]}]`)
	none, some := table{"example.com/m/b.Other": true}, table{"example.com/m/a.Decoder.Decode": true}
	tests := []struct {
		name    string
		records []string
		symbols Symbols
		err     error
		why     string // "" means that it applies
	}{
		{"absent", []string{record("GO-1", alias, decode)}, none, nil, "the binary holds none of what is vulnerable: example.com/m/a.Decode, example.com/m/a.Decoder.Decode"},
		{"present", []string{record("GO-1", alias, decode)}, some, nil, ""},
		{"a source that names no symbols says nothing of them", []string{record("GHSA-aaaa", alias, plain), record("GO-1", alias, decode)}, none, nil, "the binary holds none of what is vulnerable: example.com/m/a.Decode, example.com/m/a.Decoder.Decode"},
		{"nobody names symbols", []string{record("GHSA-aaaa", alias, plain)}, none, nil, ""},
		{"the whole module", []string{record("GO-1", alias, plain)}, none, nil, ""},
		{"a whole package, absent", []string{record("GO-1", alias, with(`[{"path":"example.com/m/a"}]`))}, none, nil, "the binary holds none of what is vulnerable: example.com/m/a"},
		{"a whole package, present", []string{record("GO-1", alias, with(`[{"path":"example.com/m/a"}]`))}, some, nil, ""},
		{"another system's code", []string{record("GO-1", alias, with(`[{"path":"example.com/m/a","symbols":["Decoder.Decode"],"goos":["windows"]}]`))}, some, nil, "the binary holds none of what is vulnerable: example.com/m/a for windows"},
		{"this system's code", []string{record("GO-1", alias, with(`[{"path":"example.com/m/a","symbols":["Decoder.Decode"],"goos":["windows","linux"],"goarch":["amd64"]}]`))}, some, nil, ""},
		{"another processor's code", []string{record("GO-1", alias, with(`[{"path":"example.com/m/a","goarch":["arm"]}]`))}, some, nil, "the binary holds none of what is vulnerable: example.com/m/a for arm"},
		{"a table that cannot be read proves nothing", []string{record("GO-1", alias, decode)}, none, errors.New("gone"), ""},
		{"imports of another form", []string{record("GO-1", alias, with(`{"odd":1}`))}, none, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opt := MatchOptions{Platform: "linux/amd64", Symbols: func(touchstone.Digest) (Symbols, error) { return tt.symbols, tt.err }}
			ix := indexOf(t, tt.records...)
			k := mustMatch(t, ix, opt, touchstone.Package{Name: "example.com/m", Version: "v1.0.0", Ecosystem: "Go", Symbols: "sha256:x"})
			if len(k.Matches) != 1 {
				t.Fatalf("%d matches", len(k.Matches))
			}
			if m := &k.Matches[0]; m.Why != tt.why || m.Applies != (tt.why == "") {
				t.Errorf("applies %v: %q, want %q", m.Applies, m.Why, tt.why)
			}
			if tt.why != "" && len(k.Upgrades) > 0 {
				t.Error("an upgrade for what does not apply")
			}
			k = mustMatch(t, ix, opt, touchstone.Package{Name: "example.com/m", Version: "v1.0.0", Ecosystem: "Go"})
			if !k.Matches[0].Applies {
				t.Error("a binary without a table proves something")
			}
		})
	}
}

func TestUpgrades(t *testing.T) {
	ix := indexOf(t,
		record("A-1", "", affects("npm", "x", "introduced 0", "fixed 1.0.5", "introduced 2.0.0", "fixed 2.0.3")),
		record("A-2", "", affects("npm", "x", "introduced 0", "fixed 1.0.9")),
		record("A-3", "", affects("npm", "x", "introduced 1.0.7", "fixed 1.1.0")),
		record("A-4", "", affects("npm", "x", "introduced 0")),
		record("B-1", "", affects("Debian:12", "openssl", "introduced 0", "fixed 2-1")),
		record("B-2", "", affects("Debian:12", "openssl", "introduced 0", "fixed 3-1")),
		record("B-3", "", affects("Debian:12", "openssl", "introduced 0", "fixed 3-1")),
		record("C-1", "", affects("Debian:12", "unmended", "introduced 0")),
	)
	k := mustMatch(t, ix, MatchOptions{},
		touchstone.Package{Name: "x", Version: "1.0.0", Ecosystem: "npm", PURL: "pkg:npm/x@1.0.0", Path: "a"},
		touchstone.Package{Name: "libssl3", Version: "1-1+b1", Source: "openssl", SourceVersion: "1-1", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/libssl3@1-1", Path: "d"},
		touchstone.Package{Name: "openssl", Version: "1-1", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/openssl@1-1", Path: "d"},
		touchstone.Package{Name: "unmended", Version: "1-1", Ecosystem: "Debian:12", Path: "d"},
	)
	want := []touchstone.Upgrade{
		{Package: "openssl", PURL: "pkg:deb/debian/libssl3@1-1", Path: "d", From: "1-1", To: "3-1", Clears: []string{"B-1", "B-2", "B-3"}, Origin: touchstone.OriginUnknown},
		{Package: "x", PURL: "pkg:npm/x@1.0.0", Path: "a", From: "1.0.0", To: "1.0.9", Clears: []string{"A-1", "A-2"}, Leaves: 1, Origin: touchstone.OriginUnknown},
	}
	if diff := cmp.Diff(want, k.Upgrades); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(k.Matches) != 3+6+1 {
		t.Errorf("%d matches: %v", len(k.Matches), brief(k))
	}
}

// TestOncePerPackage finds each hole once for each package, however many sources
// and names tell of it.
func TestOncePerPackage(t *testing.T) {
	ix := indexOf(t,
		record("GHSA-aaaa", `"aliases":["CVE-2026-0001"]`, affects("npm", "x", "introduced 0")),
		record("B-1", `"aliases":["GHSA-aaaa"]`, affects("npm", "x", "introduced 0"), affects("npm", "x", "introduced 0", "fixed 3.0.0")),
	)
	k := mustMatch(t, ix, MatchOptions{},
		touchstone.Package{Name: "x", Version: "1.0.0", Ecosystem: "npm", Path: "a"}, touchstone.Package{Name: "x", Version: "1.0.0", Ecosystem: "npm", Path: "b"})
	if len(k.Matches) != 2 {
		t.Errorf("%d matches: %v", len(k.Matches), brief(k))
	}
}

type says map[string]string

func (s says) Judge(m *touchstone.Match) (string, bool) { p, ok := s[m.ID]; return p, ok }

func TestStatements(t *testing.T) {
	ix := indexOf(t, record("A-1", "", affects("npm", "x", "introduced 0", "fixed 2.0.0")), record("A-2", "", affects("npm", "x", "introduced 0", "fixed 3.0.0")))
	k := mustMatch(t, ix, MatchOptions{Statements: says{"A-2": "the author says so"}}, touchstone.Package{Name: "x", Version: "1.0.0", Ecosystem: "npm"})
	if diff := cmp.Diff([]string{"A-1 x fixed 2.0.0", "A-2 x fixed 3.0.0 (does not apply)"}, brief(k)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if k.Matches[1].Why != "the author says so" || len(k.Upgrades) != 1 || k.Upgrades[0].To != "2.0.0" {
		t.Errorf("%+v", k)
	}
}
