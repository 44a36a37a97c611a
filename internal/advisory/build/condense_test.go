package build

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone/internal/advisory/cve"
	"touchstone.dev/touchstone/internal/advisory/osv"
	"touchstone.dev/touchstone/internal/advisory/score"
	"touchstone.dev/touchstone/internal/advisory/wire"
)

func affected(t *testing.T, text string) *osv.Affected {
	t.Helper()
	var a osv.Affected
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return &a
}

// TestSpilled writes a record of every field and reads it again.
func TestSpilled(t *testing.T) {
	c := &condensed{
		id: "A-1", aliases: []string{"B-1"}, upstream: []string{"C-1"}, related: []string{"D-1"}, affects: true,
		published: time.Unix(1e9, 0).UTC(), modified: time.Unix(1.1e9, 0).UTC(), summary: "x", score: score.Score{Grade: score.V2, Value: 9.8, Vector: "v", Source: "s"},
		said: []said{{
			family: "Go", name: "x", ecosystems: []string{"Go"}, wontFix: true, versions: []string{"1"},
			ranges:  []osv.Range{{Events: []osv.Event{{Introduced: "0"}, {Fixed: "1"}, {LastAffected: "2"}, {Limit: "3"}}}},
			imports: []osv.Import{{Path: "p", Symbols: []string{"s"}, GOOS: []string{"linux"}, GOARCH: []string{"arm"}}},
		}},
	}
	r := wire.NewReader(c.append(nil))
	if diff := cmp.Diff(c, readCondensed(r), cmp.AllowUnexported(condensed{}, said{})); diff != "" || r.Err() != nil || r.Left() > 0 {
		t.Errorf("%v, %d bytes left (-want +got):\n%s", r.Err(), r.Left(), diff)
	}
	e := &cve.Enrichment{ID: "CVE-2026-0001", Rejected: true, Score: c.score, KnownExploited: true, Summary: "x", Published: c.published}
	e.SSVC.Source = "CISA-ADP"
	r = wire.NewReader(appendEnrichment(nil, e))
	if diff := cmp.Diff(e, readEnrichment(r)); diff != "" || r.Err() != nil || r.Left() > 0 {
		t.Errorf("%v, %d bytes left (-want +got):\n%s", r.Err(), r.Left(), diff)
	}
}
