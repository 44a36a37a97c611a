package rules

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"touchstone.dev/touchstone"
)

func TestLoadOfWhatRuns(t *testing.T) {
	r := load(t, "testdata/show/running.yaml")
	writable := []touchstone.Writable{
		{Image: "shop/*", Paths: []string{"/data"}, Because: "uploads"},
		{Paths: []string{"/var/cache/**", "/srv/*/tmp"}, Cluster: "pay-*", Namespace: "shop", Class: "batch", Environments: []string{"prod"}, Because: "pages", Owner: "team-shop"},
	}
	if diff := cmp.Diff(writable, r.Writable); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	guard := touchstone.Guarding{KeepFiles: 500_000, KeepData: true, Managed: []touchstone.Managed{{By: "puppet", Program: "/opt/puppetlabs/**"}}}
	if diff := cmp.Diff(guard, r.Guard); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	all := []time.Weekday{0, 1, 2, 3, 4, 5, 6}
	replace := touchstone.Replacing{
		Budget: touchstone.Budget{Workload: touchstone.Share{Percent: 25}, Cluster: touchstone.Share{Count: 3}},
		Windows: []touchstone.Freeze{
			{ID: "night", Weekly: &touchstone.Weekly{Days: all, Start: 22 * 60, End: 6 * 60, Zone: "Europe/Berlin"}},
			{ID: "the window 2 of replace", Environments: []string{"prod"}, Weekly: &touchstone.Weekly{Days: []time.Weekday{6}, Zone: "UTC"}},
		},
		Announce: 24 * time.Hour,
	}
	if diff := cmp.Diff(replace, r.Replace, cmpopts.IgnoreUnexported(touchstone.Weekly{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if row := r.Row("run-unknown"); row.Grace != 90*time.Second {
		t.Errorf("grace %v", row.Grace)
	}
	if !r.Row("replace-deadline").ThroughFreezes {
		t.Error("freezes hold the deadline up")
	}
	for environment, want := range map[string]touchstone.Effect{"dev": touchstone.EffectNone, "prod": touchstone.EffectStop} {
		place := r.PlaceIn(environment)
		if cell, ok := r.Asks("after-deadline", &place); !ok || cell.Effect != want {
			t.Errorf("after-deadline in %s: %+v", environment, cell)
		}
	}
}
