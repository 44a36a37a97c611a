package release

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTiers(t *testing.T) {
	known := []string{
		"Debian:12", "Debian:13", "Ubuntu:22.04:LTS", "Ubuntu:Pro:22.04:LTS", "Ubuntu:Pro:18.04:LTS", "Alpine:v3.20", "Alpine:edge",
		"Red Hat:enterprise_linux:9::baseos", "Red Hat:enterprise_linux:9::appstream", "Red Hat:enterprise_linux:8::baseos", "Red Hat:rhel_eus:9.2::baseos",
		"AlmaLinux:9", "Rocky Linux:9", "SUSE:Linux Enterprise Server 15 SP5", "SUSE:Linux Enterprise Module for Basesystem 15 SP5", "SUSE:Linux Enterprise Server 15 SP5-LTSS",
		"SUSE:Linux Enterprise Micro 5.5", "SUSE:Linux Enterprise Server 15 SP4-LTSS", "openSUSE:Leap 15.6", "Go", "npm", "Wolfi", "Maven", "Debian",
		"Red Hat:enterprise_linux:9::baseos-x",
	}
	tests := []struct {
		ecosystem, version string
		want               [][]string
	}{
		{"Debian:12", "1", [][]string{{"Debian:12"}, {"Debian"}}},
		{"Debian:12.5", "1", [][]string{{"Debian:12"}, {"Debian"}}},
		{"Debian:1", "1", nil},
		{"Debian:14", "1", nil},
		{"Ubuntu:22.04", "1", [][]string{{"Ubuntu:22.04:LTS"}}},
		{"Ubuntu:22.04:LTS", "1", [][]string{{"Ubuntu:22.04:LTS"}}},
		{"Ubuntu:22.04", "1+esm1", [][]string{{"Ubuntu:Pro:22.04:LTS"}, {"Ubuntu:22.04:LTS"}}},
		{"Ubuntu:18.04", "1", [][]string{{"Ubuntu:Pro:18.04:LTS"}}},
		{"Ubuntu:20.04", "1", nil},
		{"Alpine:v3.20", "1", [][]string{{"Alpine:v3.20"}}},
		{"Alpine:3.20.3", "1", [][]string{{"Alpine:v3.20"}}},
		{"Alpine:v3.2", "1", nil},
		{"Alpine:edge", "1", [][]string{{"Alpine:edge"}}},
		{"Red Hat:9.4", "1", [][]string{{"Red Hat:enterprise_linux:9::baseos", "Red Hat:enterprise_linux:9::appstream", "Red Hat:enterprise_linux:9::baseos-x"}}},
		{"Red Hat:enterprise_linux:9::baseos", "1", [][]string{{"Red Hat:enterprise_linux:9::baseos"}, {"Red Hat:enterprise_linux:9::appstream", "Red Hat:enterprise_linux:9::baseos-x"}}},
		{"Red Hat:rhel_eus:9.2::appstream", "1", [][]string{{"Red Hat:rhel_eus:9.2::baseos"}}},
		{"Red Hat:7", "1", nil},
		{"AlmaLinux:9.2", "1", [][]string{{"AlmaLinux:9"}}},
		{"Rocky Linux:9.3", "1", [][]string{{"Rocky Linux:9"}}},
		{"SUSE:15.5", "1", [][]string{{"SUSE:Linux Enterprise Server 15 SP5", "SUSE:Linux Enterprise Module for Basesystem 15 SP5"}}},
		{"SUSE:15.4", "1", [][]string{{"SUSE:Linux Enterprise Server 15 SP4-LTSS"}}},
		{"openSUSE:Leap 15.6", "1", [][]string{{"openSUSE:Leap 15.6"}}},
		{"openSUSE:Tumbleweed", "1", nil},
		{"Go", "1", [][]string{{"Go"}}},
		{"Maven:https://repo.example", "1", [][]string{{"Maven"}}},
		{"PyPI", "1", nil},
		{"Debian", "1", [][]string{{"Debian"}}},
	}
	for _, tt := range tests {
		var got [][]string
		for _, tier := range Tiers(tt.ecosystem, tt.version, known) {
			var names []string
			for _, i := range tier {
				names = append(names, known[i])
			}
			got = append(got, names)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Tiers(%q, %q) (-want +got):\n%s", tt.ecosystem, tt.version, diff)
		}
	}
}

func TestEnded(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		ecosystem, version string
		want               bool
	}{
		{"Debian:10", "1", true}, {"Debian:11", "1", true}, {"Debian:12.5", "1", false}, {"Debian:99", "1", false},
		{"Ubuntu:18.04:LTS", "1", true}, {"Ubuntu:18.04", "1+esm2", false}, {"Ubuntu:24.04", "1", false},
		{"Alpine:v3.11", "1", true}, {"Alpine:3.22.1", "1", false}, {"Alpine:edge", "1", false},
		{"Red Hat:enterprise_linux:7::server", "1", true}, {"Red Hat:rhel_els:7", "1", false}, {"Rocky Linux:9", "1", false},
		{"SUSE:15.5", "1", true}, {"SUSE:Linux Enterprise Server 15 SP5-LTSS", "1", false}, {"openSUSE:Leap 15.5", "1", true}, {"Go", "1", false},
	}
	for _, tt := range tests {
		if _, got := Ended(tt.ecosystem, tt.version, now); got != tt.want {
			t.Errorf("Ended(%q, %q) = %v, want %v", tt.ecosystem, tt.version, got, tt.want)
		}
	}
	last := time.Date(2026, 8, 31, 23, 59, 0, 0, time.UTC)
	if _, got := Ended("Debian:11", "1", last); got {
		t.Error("Debian 11 has ended on its last day")
	}
}

// TestTableIsWellFormed reads every day of the table.
func TestTableIsWellFormed(t *testing.T) {
	for _, family := range []string{"Debian", "Ubuntu", "Ubuntu Pro", "Alpine", "Red Hat", "AlmaLinux", "Rocky Linux", "SUSE", "openSUSE"} {
		rows := supported(family)
		if len(rows) == 0 {
			t.Errorf("%s has no rows", family)
		}
		for _, s := range rows {
			if _, err := time.Parse(time.DateOnly, s.Until); err != nil {
				t.Errorf("%s %s: %v", family, s.Release, err)
			}
		}
	}
}
