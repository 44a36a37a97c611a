package advisory

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// holes writes the holes of a package as "id: aliases".
func holes(k touchstone.Knowledge) []string {
	var list []string
	for i := range k.Matches {
		list = append(list, strings.TrimSuffix(k.Matches[i].ID+": "+strings.Join(k.Matches[i].Aliases, " "), ": "))
	}
	return list
}

func TestMerge(t *testing.T) {
	deb := affects("Debian:12", "x", "introduced 0", "fixed 2")
	tests := []struct {
		name    string
		records []string
		want    []string
	}{
		{"aliases are transitive", []string{
			record("GHSA-aaaa", `"aliases":["CVE-2026-0001"]`, deb), record("GO-1", `"aliases":["GHSA-aaaa"]`, deb), record("PYSEC-1", `"aliases":["CVE-2026-0001"]`, deb),
		}, []string{"CVE-2026-0001: GHSA-aaaa GO-1 PYSEC-1"}},
		{"an alias that has no record of its own", []string{record("GO-1", `"aliases":["CVE-2026-0001"]`, deb), record("GHSA-aaaa", `"aliases":["CVE-2026-0001"]`, deb)}, []string{"CVE-2026-0001: GHSA-aaaa GO-1"}},
		{"one upstream is an alias", []string{record("DEBIAN-CVE-2026-0001", `"upstream":["CVE-2026-0001"]`, deb)}, []string{"CVE-2026-0001: DEBIAN-CVE-2026-0001"}},
		{"a name holds the CVE", []string{record("ALPINE-CVE-2026-0001", "", deb)}, []string{"CVE-2026-0001: ALPINE-CVE-2026-0001"}},
		{"a CVE under two databases' names is one", []string{record("CGA-1", `"upstream":["CVE-2026-0001","GHSA-aaaa"]`, deb)}, []string{"CVE-2026-0001: CGA-1 GHSA-aaaa"}},
		{"a bulletin is split", []string{record("DSA-1-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"]`, deb)}, []string{"CVE-2026-0001: DSA-1-1", "CVE-2026-0002: DSA-1-1"}},
		{"a bulletin with transitive upstreams", []string{record("USN-1-1", `"upstream":["CVE-2026-0001","UBUNTU-CVE-2026-0001","CVE-2026-0002","UBUNTU-CVE-2026-0002"]`, deb)},
			[]string{"CVE-2026-0001: UBUNTU-CVE-2026-0001 USN-1-1", "CVE-2026-0002: UBUNTU-CVE-2026-0002 USN-1-1"}},
		{"an older bulletin has its CVEs in related", []string{record("RHSA-2020:1", `"related":["CVE-2026-0001","CVE-2026-0002"]`, deb)}, []string{"CVE-2026-0001: RHSA-2020:1", "CVE-2026-0002: RHSA-2020:1"}},
		{"or in aliases", []string{record("SUSE-SU-2020:1-1", `"aliases":["CVE-2026-0001","CVE-2026-0002"]`, deb)}, []string{"CVE-2026-0001: SUSE-SU-2020:1-1", "CVE-2026-0002: SUSE-SU-2020:1-1"}},
		{"related says nothing elsewhere", []string{record("GHSA-aaaa", `"aliases":["CVE-2026-0001"],"related":["CVE-2026-0002"]`, deb)}, []string{"CVE-2026-0001: GHSA-aaaa"}},
		{"a bulletin does not join what it names", []string{
			record("DSA-1-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"]`, deb), record("DEBIAN-CVE-2026-0001", `"upstream":["CVE-2026-0001"]`, deb), record("DEBIAN-CVE-2026-0002", `"upstream":["CVE-2026-0002"]`, deb),
		}, []string{"CVE-2026-0001: DEBIAN-CVE-2026-0001 DSA-1-1", "CVE-2026-0002: DEBIAN-CVE-2026-0002 DSA-1-1"}},
		{"nor where others call it an alias", []string{record("A-1", `"aliases":["CVE-2026-0001","DSA-1-1"]`, deb), record("A-2", `"aliases":["CVE-2026-0002","DSA-1-1"]`, deb)},
			[]string{"CVE-2026-0001: A-1 DSA-1-1", "CVE-2026-0002: A-2 DSA-1-1"}},
		{"a bulletin about nothing that has a name", []string{record("DSA-1-2", `"upstream":[]`, deb)}, []string{"DSA-1-2"}},
		{"two names of one hole in a bulletin", []string{record("DSA-1-1", `"upstream":["CVE-2026-0001","GHSA-aaaa","GHSA-bbbb"]`, deb), record("GHSA-aaaa", `"aliases":["CVE-2026-0001","GHSA-bbbb"]`, deb)},
			[]string{"CVE-2026-0001: DSA-1-1 GHSA-aaaa GHSA-bbbb"}},
		{"withdrawn records are left out", []string{record("GHSA-aaaa", `"withdrawn":"2026-01-01T00:00:00Z"`, deb), record("GHSA-bbbb", "", deb)}, []string{"GHSA-bbbb"}},
		{"rejected CVEs too", []string{
			record("DEBIAN-CVE-2026-0001", `"upstream":["CVE-2026-0001"]`, deb), record("DSA-1-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"]`, deb),
			`{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2026-0001","state":"REJECTED"},"containers":{"cna":{}}}`,
		}, []string{"CVE-2026-0002: DSA-1-1"}},
		{"a valid advisory outlives a rejected CVE", []string{
			record("GHSA-aaaa", `"aliases":["CVE-2026-0001"]`, deb), `{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2026-0001","state":"REJECTED"},"containers":{"cna":{}}}`,
		}, []string{"GHSA-aaaa: CVE-2026-0001"}},
		{"spelling", []string{record("ghsa-AAAA", `"aliases":["cve-2026-0001"]`, deb)}, []string{"CVE-2026-0001: GHSA-aaaa"}},
		{"the newest of two copies counts", []string{record("A-1", `"modified":"2026-09-01T00:00:00Z"`, deb), record("A-1", `"withdrawn":"2026-01-01T00:00:00Z"`, deb)}, []string{"A-1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := mustMatch(t, indexOf(t, tt.records...), MatchOptions{}, touchstone.Package{Name: "x", Version: "1", Ecosystem: "Debian:12"})
			if diff := cmp.Diff(tt.want, holes(k)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBulletinFindsItsHoles(t *testing.T) {
	ix := indexOf(t, record("DSA-1-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"]`, affects("Debian:12", "x", "introduced 0", "fixed 2")))
	for name, want := range map[string]int{"DSA-1-1": 2, "CVE-2026-0002": 1, "cve-2026-0001": 1, "CVE-2026-0003": 0} {
		got, err := ix.Find(name)
		if err != nil || len(got) != want {
			t.Errorf("%s finds %d holes, want %d (%v)", name, len(got), want, err)
		}
	}
	got, err := ix.Find("CVE-2026-0001")
	if err != nil {
		t.Fatal(err)
	}
	want := []Affected{{Package: "x", Ecosystems: []string{"Debian:12"}, Source: "DSA-1-1", Ranges: []string{"< 2"}}}
	if diff := cmp.Diff(want, got[0].Affected); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const (
	low  = `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:N"}]`                    // 4.4
	high = `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}]`                    // 7.5
	old  = `"severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"}]`                                      // 10.0
	four = `"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}]` // 9.3
)

func cveRecord(id, metrics string) string {
	return `{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"` + id + `","state":"PUBLISHED","datePublished":"2026-01-02T00:00:00Z"},"containers":{"cna":{"title":"A title","providerMetadata":{"shortName":"acme"},"metrics":[` + metrics + `]},
	"adp":[{"providerMetadata":{"shortName":"CISA-ADP"},"metrics":[{"other":{"type":"ssvc","content":{"options":[{"Exploitation":"poc"},{"Automatable":"yes"},{"Technical Impact":"total"}]}}}]}]}}`
}

func TestScores(t *testing.T) {
	npm := affects("npm", "x", "introduced 0", "fixed 2.0.0")
	alias := `"aliases":["CVE-2026-0001"],`
	tests := []struct {
		name    string
		records []string
		want    string // score, source
	}{
		{"a score travels across aliases", []string{record("GHSA-aaaa", alias+high, affects("npm", "y", "introduced 0")), record("B-1", `"aliases":["CVE-2026-0001"]`, npm)}, "7.5 high GHSA-aaaa, CVSS 3.1"},
		{"the highest counts", []string{record("GHSA-aaaa", alias+low, npm), record("B-1", alias+high, npm)}, "7.5 high B-1, CVSS 3.1"},
		{"CVSS 4 beside 3", []string{record("GHSA-aaaa", alias+four, npm), record("B-1", alias+high, npm)}, "9.3 critical GHSA-aaaa, CVSS 4.0"},
		{"CVSS 2 only where it stands alone", []string{record("GHSA-aaaa", alias+low, npm), record("B-1", alias+old, npm)}, "4.4 medium GHSA-aaaa, CVSS 3.1"},
		{"CVSS 2 alone", []string{record("B-1", alias+old, npm)}, "10.0 critical B-1, CVSS 2.0"},
		{"a word is the top of its band", []string{record("GHSA-aaaa", alias+`"database_specific":{"severity":"MODERATE"}`, npm)}, "6.9 medium GHSA-aaaa, the word moderate"},
		{"a word only without CVSS", []string{record("GHSA-aaaa", alias+`"database_specific":{"severity":"CRITICAL"},`+low, npm)}, "4.4 medium GHSA-aaaa, CVSS 3.1"},
		{"a distribution's word", []string{record("U-1", alias+`"severity":[{"type":"Ubuntu","score":"low"}]`, npm)}, "3.9 low U-1, the word low"},
		{"severity of one package", []string{record("B-1", alias[:len(alias)-1], npm[:len(npm)-1]+`,`+high+`}`)}, "7.5 high B-1, CVSS 3.1"},
		{"the CVE record's", []string{record("B-1", alias[:len(alias)-1], npm), cveRecord("CVE-2026-0001", `{"cvssV3_1":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H","baseScore":10}}`)}, "10.0 critical CVE record (acme), CVSS 3.1"},
		{"a number without its vector", []string{record("B-1", alias[:len(alias)-1], npm), cveRecord("CVE-2026-0001", `{"cvssV4_0":{"baseScore":6.3}}`)}, "6.3 medium CVE record (acme), CVSS 4.0"},
		{"nobody's", []string{record("B-1", alias[:len(alias)-1], npm)}, "0.0 unknown "},
		{"a vector that is none", []string{record("B-1", alias+`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:X"}]`, npm)}, "0.0 unknown "},
		{"severity of another form", []string{record("B-1", alias+`"severity":"bad","database_specific":["odd"]`, npm)}, "0.0 unknown "},
		{"of a whole bulletin, where the hole has none", []string{record("SUSE-SU-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"],`+high, npm), record("B-1", `"aliases":["CVE-2026-0002"],`+low, npm)}, "7.5 high SUSE-SU-1, CVSS 3.1, of the whole bulletin"},
		{"whatever the order", []string{record("B-1", alias+low, npm), record("SUSE-SU-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"],`+high, npm)}, "4.4 medium B-1, CVSS 3.1"},
		{"of both orders", []string{record("SUSE-SU-1", `"upstream":["CVE-2026-0001","CVE-2026-0002"],`+high, npm), record("B-1", alias+low, npm)}, "4.4 medium B-1, CVSS 3.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := mustMatch(t, indexOf(t, tt.records...), MatchOptions{}, touchstone.Package{Name: "x", Version: "1.0.0", Ecosystem: "npm"})
			for i := range k.Matches {
				if m := &k.Matches[i]; m.Named("CVE-2026-0001") {
					if got := scored(m); got != tt.want {
						t.Errorf("%q, want %q", got, tt.want)
					}
					if m.Scored == (m.Severity == "unknown") {
						t.Errorf("scored %v with severity %s", m.Scored, m.Severity)
					}
					return
				}
			}
			t.Error("no match")
		})
	}
}

func TestEnrichment(t *testing.T) {
	f := OpenFolder(t.TempDir())
	mustImport(t, f,
		put(t, "a.zip", zipped(t, record("DEBIAN-CVE-2026-0001", "", affects("Debian:12", "x", "introduced 0")))),
		put(t, "b.zip", zipped(t, cveRecord("CVE-2026-0001", `{"cvssV3_1":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}}`))),
		put(t, "k.json", []byte(`{"title":"x","catalogVersion":"1","dateReleased":"2026-11-01T00:00:00Z","vulnerabilities":[{"cveID":"CVE-2026-0001"}]}`)),
		put(t, "e.csv", []byte("#model_version:v1,score_date:2026-11-20T00:00:00Z\ncve,epss,percentile\nCVE-2026-0001,0.25,0.9\nCVE-x\n")),
	)
	ix := mustOpen(t, f)
	k := mustMatch(t, ix, MatchOptions{}, touchstone.Package{Name: "x", Version: "1", Ecosystem: "Debian:12"})
	want := touchstone.Match{
		ID: "CVE-2026-0001", Aliases: []string{"DEBIAN-CVE-2026-0001"}, Package: touchstone.PackageRef{Name: "x", Version: "1", Ecosystem: "Debian:12"},
		Summary: "A title", Score: 10, Scored: true, ScoreSource: "CVE record (acme), CVSS 3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Severity: "critical",
		KnownExploited: true, EPSS: 0.25, Published: day(2026, 1, 2), Modified: day(2026, 5, 1), FixedVersions: []string{}, Origin: touchstone.OriginUnknown, Applies: true,
		SSVC: touchstone.SSVC{Exploitation: "poc", Automatable: "yes", TechnicalImpact: "total", Source: "CISA-ADP"},
	}
	if diff := cmp.Diff([]touchstone.Match{want}, k.Matches); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if st := ix.State(); !st.KEV.Equal(day(2026, 11, 1)) || !st.EPSS.Equal(day(2026, 11, 20)) {
		t.Errorf("KEV of %v, EPSS of %v", st.KEV, st.EPSS)
	}
}
