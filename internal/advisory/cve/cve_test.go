package cve

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/score"
)

func TestEnrichment(t *testing.T) {
	const text = `{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2026-0001","state":"PUBLISHED","datePublished":"2026-01-02T00:00:00.123Z","dateUpdated":"2026-03-04T00:00:00Z"},
	"containers":{"cna":{"descriptions":[{"lang":"de","value":"Ein Loch."},{"lang":"en-US","value":"A hole\nin a program."}],"providerMetadata":{"shortName":"acme"},
	  "metrics":[{"cvssV2_0":{"vectorString":"AV:N/AC:L/Au:N/C:C/I:C/A:C","baseScore":10}},{"cvssV3_1":{"vectorString":7,"baseScore":"high"}},{"other":{"type":"acme severity","content":"bad"}}]},
	 "adp":[{"providerMetadata":{"shortName":"CISA-ADP"},"metrics":[{"cvssV3_1":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H","baseScore":9.8}},
	   {"other":{"type":"ssvc","content":{"options":[{"Exploitation":"Active"},{"Automatable":"maybe"},{"Technical Impact":"total"}]}}},{"other":{"type":"kev","content":{"dateAdded":"2026-02-01"}}}]}]}}`
	var r Record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	got, err := r.Enrichment()
	if err != nil {
		t.Fatal(err)
	}
	want := &Enrichment{
		ID: "CVE-2026-0001", KnownExploited: true, Summary: "A hole in a program.",
		Score:     score.Score{Grade: score.Modern, Value: 9.8, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Source: "CVE record (CISA-ADP), CVSS 3.1"},
		SSVC:      touchstone.SSVC{Exploitation: "active", TechnicalImpact: "total", Source: "CISA-ADP"},
		Published: time.Date(2026, 1, 2, 0, 0, 0, 123e6, time.UTC), Modified: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEPSS(t *testing.T) {
	const text = "#model_version:v2026.03.14,score_date:2026-11-22T12:00:00+0000\ncve,epss,percentile\nCVE-2026-0001,0.5,0.9\nCVE-2026-0002,1.5,0.9\nnonsense\nCVE-2026-0003,NaN,0\n\nCVE-2026-0004,0,0\n"
	got := map[string]float64{}
	date, malformed, err := ReadEPSS(strings.NewReader(text), func(id string, p float64) { got[id] = p })
	if err != nil || malformed != 3 || !date.Equal(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%v, %d malformed, %v", date, malformed, err)
	}
	if diff := cmp.Diff(map[string]float64{"CVE-2026-0001": 0.5, "CVE-2026-0004": 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "<html>", "cve,epss,percentile\n", strings.Repeat("a", 1<<16)} {
		if _, _, err := ReadEPSS(strings.NewReader(bad), func(string, float64) {}); err == nil {
			t.Errorf("%.20q is taken for scores", bad)
		}
	}
}

func TestCatalog(t *testing.T) {
	if c, err := ParseCatalog([]byte(`{"catalogVersion":"1","dateReleased":"2025-08-25T17:04:19.9796Z","vulnerabilities":[{"cveID":"CVE-2025-48384"}]}`)); err != nil || c.Released.Year() != 2025 || len(c.Vulnerabilities) != 1 {
		t.Errorf("%+v %v", c, err)
	}
	for _, bad := range []string{"", "{}", `{"vulnerabilities":[{"cveID":""}]}`, `{"vulnerabilities":7}`} {
		if _, err := ParseCatalog([]byte(bad)); err == nil {
			t.Errorf("%q is taken for the list", bad)
		}
	}
}

func FuzzEPSS(f *testing.F) {
	f.Add("#model_version:v1,score_date:2026-11-22\ncve,epss,percentile\nCVE-2026-0001,0.5,0.9\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, _, _ = ReadEPSS(strings.NewReader(text), func(id string, p float64) {
			if !(p >= 0 && p <= 1) || len(id) > 32 {
				t.Fatalf("%q %v", id, p)
			}
		})
	})
}
