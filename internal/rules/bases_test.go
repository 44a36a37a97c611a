package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A base is asked what its column says; without one, only what is about holes,
// secrets and ignorance, and that as the last environment is.
func TestGoldenColumn(t *testing.T) {
	r, _, err := Load("touchstone.yaml", []byte(`version: 1
environments: [dev, prod]
rules:
  cvss: {dev: any, prod: below 3}
  secrets: {dev: allow, prod: refuse, golden: warn}
  shells: {others: refuse}
  setuid: {others: allow, golden: refuse}
`), today())
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, row := range r.Golden.Rows {
		got[row.Name] = row.Cells[0].String()
	}
	want := map[string]string{
		"cvss": "below 3", "secrets": "warn", "setuid": "refuse",
		"unscored": "refuse", "no-advisories": "refuse", "gaps": "refuse", "stale-advisories": "at most 3d",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestGoldenColumnIsNoEnvironmentAndNotForWhatRuns(t *testing.T) {
	for name, file := range map[string]string{
		"environment": "version: 1\nenvironments: [dev, golden]\nrules:\n  cvss: {others: any}\n",
		"what runs":   "version: 1\nenvironments: [prod]\nrules:\n  login: {prod: kill, golden: kill}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Load("touchstone.yaml", []byte(file), today()); err == nil || !strings.Contains(err.Error(), "golden") {
				t.Errorf("error %v, want one about golden", err)
			}
		})
	}
}
