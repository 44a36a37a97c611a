package advisory

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// TestPublishedForms imports records in the forms in which databases publish
// them (testdata/osv, written by hand after the real ones).
func TestPublishedForms(t *testing.T) {
	f := OpenFolder(t.TempDir())
	mustImport(t, f, "testdata/osv")
	ix := mustOpen(t, f)
	tests := []struct {
		pkg  touchstone.Package
		want []string
	}{
		{touchstone.Package{Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1", Ecosystem: "Maven"}, []string{"CVE-2021-44228 org.apache.logging.log4j:log4j-core fixed 2.15.0"}},
		{touchstone.Package{Name: "org.apache.logging.log4j:log4j-core", Version: "2.11.2", Ecosystem: "Maven"}, []string{"CVE-2021-44228 org.apache.logging.log4j:log4j-core fixed 2.12.2, 2.15.0"}},
		{touchstone.Package{Name: "org.apache.logging.log4j:log4j-core", Version: "2.12.2", Ecosystem: "Maven"}, nil},
		{touchstone.Package{Name: "com.guicedee.services:log4j-core", Version: "1.2.1.2-jre17", Ecosystem: "Maven"}, []string{"CVE-2021-44228 com.guicedee.services:log4j-core"}},
		{touchstone.Package{Name: "liblog4j2-java", Version: "2.11.2-1", Source: "apache-log4j2", Ecosystem: "Ubuntu:20.04:LTS"}, []string{"CVE-2021-44228 liblog4j2-java fixed 2.15.0-0.20.04.1"}},
		{touchstone.Package{Name: "liblog4j2-java", Version: "2.4-2", Source: "apache-log4j2", Ecosystem: "Ubuntu:16.04:LTS"}, []string{"CVE-2021-44228 liblog4j2-java fixed 2.4-2ubuntu0.1~esm1"}},
		{touchstone.Package{Name: "log4j", Version: "2.13.0-1", Ecosystem: "SUSE:Linux Enterprise Server 15 SP7"}, []string{"CVE-2021-44228 log4j fixed 2.16.0-4.13.1", "CVE-2021-45046 log4j fixed 2.16.0-4.13.1"}},
	}
	for _, tt := range tests {
		k := mustMatch(t, ix, MatchOptions{}, tt.pkg)
		if diff := cmp.Diff(tt.want, brief(k)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.pkg.Name, tt.pkg.Version, diff)
		}
		for i := range k.Matches {
			if m := &k.Matches[i]; m.ID == "CVE-2021-44228" {
				want := []string{"GHSA-jfh8-c2jp-5v3q", "SUSE-SU-2021:4111-1", "UBUNTU-CVE-2021-44228", "USN-5192-1"}
				if diff := cmp.Diff(want, m.Aliases); diff != "" || m.Score != 10 || m.Summary != "Remote code injection in Log4j" {
					t.Errorf("%v %q (-want +got):\n%s", m.Score, m.Summary, diff)
				}
			}
		}
	}
}
