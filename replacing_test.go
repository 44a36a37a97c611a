package touchstone

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestShare(t *testing.T) {
	tests := []struct {
		share Share
		of    int
		want  int
		text  string
	}{
		{Share{}, 7, 7, "any"},
		{Share{Count: 3}, 7, 3, "3"},
		{Share{Percent: 10}, 100, 10, "10%"},
		{Share{Percent: 10}, 5, 1, "10%"},
		{Share{Percent: 10}, 0, 1, "10%"},
		{Share{Percent: 33}, 10, 3, "33%"},
		{Share{Percent: 100}, 1 << 40, 1 << 40, "100%"},
	}
	for _, test := range tests {
		if got := test.share.Of(test.of); got != test.want || test.share.String() != test.text {
			t.Errorf("%s of %d is %d, want %d", test.share, test.of, got, test.want)
		}
	}
}

func TestOpensForReplacing(t *testing.T) {
	night, err := time.Parse(time.RFC3339, "2026-11-23T22:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	everyDay := []time.Weekday{0, 1, 2, 3, 4, 5, 6}
	nightly := Freeze{Environments: []string{"prod"}, Weekly: weekly(t, "UTC", 22*60, 6*60, nil, everyDay...)}
	release := Freeze{Environments: []string{"dev", "prod"}, Weekly: weekly(t, "UTC", 9*60, 10*60, nil, everyDay...)}
	r := &Rules{Environments: []string{"dev", "prod"}, Windows: []Freeze{release}, Replace: Replacing{Windows: []Freeze{nightly}}}
	for environment, want := range map[string]time.Time{"prod": night, "dev": noon} {
		if at, ok := r.OpensForReplacing(environment, nil, noon); !ok || !at.Equal(want) {
			t.Errorf("%s opens at %v, want %v", environment, at, want)
		}
	}
	frozen := []Freeze{{ID: "f", Until: night.Add(time.Hour)}}
	if at, ok := r.OpensForReplacing("prod", frozen, noon); !ok || !at.Equal(night.Add(time.Hour)) {
		t.Errorf("frozen, it opens at %v", at)
	}
	if at, ok := r.OpensForReplacing("prod", []Freeze{{ID: "f"}}, noon); ok {
		t.Errorf("frozen for good, it opens at %v", at)
	}
}

func TestLawAShareIsWithinTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, p := rapid.IntRange(1, 1<<40).Draw(t, "n"), rapid.IntRange(1, 100).Draw(t, "percent")
		if got := (Share{Percent: p}).Of(n); got < 1 || got > n || got*100 > n*p && got != 1 {
			t.Fatalf("%d%% of %d is %d", p, n, got)
		}
	})
}

func TestWaived(t *testing.T) {
	r := table(rule(RuleReplaceAfter, within(day)))
	p, a := Place{Environment: "prod"}, Artifact{Name: "shop/cart"}
	waivers := []Waiver{
		{ID: "part", Rule: RuleReplaceAfter, Package: "x", Until: noon.Add(9 * day)},
		{ID: "soon", Rule: RuleReplaceAfter, WholeRule: true, Until: noon.Add(time.Hour)},
		{ID: "later", Rule: RuleReplaceAfter, WholeRule: true, Artifact: "shop/*", Environments: []string{"prod"}, Until: noon.Add(day)},
		{ID: "else", Rule: RuleReplaceDeadline, WholeRule: true, Until: noon.Add(day)},
	}
	for ahead, want := range map[time.Duration]string{0: "later", 30 * time.Minute: "later", day: ""} {
		if w, ok := r.Waived(RuleReplaceAfter, &p, &a, waivers, noon.Add(ahead)); w.ID != want || ok != (want != "") {
			t.Errorf("after %v: %q", ahead, w.ID)
		}
	}
	if w, _ := r.Waived(RuleReplaceAfter, &Place{Environment: "dev"}, &a, waivers, noon); w.ID != "soon" {
		t.Errorf("in dev: %q", w.ID)
	}
	r.Waiving.Never = []string{RuleReplaceAfter}
	if w, ok := r.Waived(RuleReplaceAfter, &p, &a, waivers, noon); ok {
		t.Errorf("never waived: %q", w.ID)
	}
}
