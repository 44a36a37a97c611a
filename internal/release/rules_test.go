package release_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/release"
)

// apply brings rules into force, by two people.
func (w *world) apply(t testing.TB, source string) {
	t.Helper()
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindRules, Rules: &release.RulesAsk{Source: source}})
	check(t, err)
	q, err = w.Approve(t.Context(), bob, q.ID, "")
	check(t, err)
	if q.State != release.Granted {
		t.Fatalf("the rules were not granted: %s", q.Needs)
	}
}

func (w *world) first(t testing.TB) string {
	t.Helper()
	b, err := w.Book(t.Context())
	check(t, err)
	return b.Rules.Environments[0]
}

func TestRulesTakeASecondPersonAndTheirTime(t *testing.T) {
	w := newWorld(t)
	source := strings.Replace(road, "[dev,", "[lab,", 1)
	source = strings.ReplaceAll(source, "dev:", "lab:")
	ask := release.Request{Kind: release.KindRules, Rules: &release.RulesAsk{Source: source, From: noon.Add(48 * time.Hour)}}
	q, err := w.Ask(t.Context(), ann, ask)
	check(t, err)
	_, err = w.Approve(t.Context(), ann, q.ID, "")
	wants(t, err, release.ErrForbidden)
	w.pass(time.Hour)
	_, err = w.Approve(t.Context(), bob, q.ID, "")
	check(t, err)
	b, err := w.Book(t.Context())
	check(t, err)
	if w.first(t) != "dev" || !b.Until.Equal(noon.Add(48*time.Hour)) {
		t.Errorf("before its time: %s, until %s", w.first(t), b.Until)
	}
	w.pass(47*time.Hour - time.Nanosecond)
	if w.first(t) != "dev" {
		t.Error("in force a moment before its time")
	}
	w.pass(time.Nanosecond)
	if w.first(t) != "lab" {
		t.Error("not in force at its time")
	}
	v, err := w.RulesInForce(t.Context())
	check(t, err)
	if diff := cmp.Diff([]string{"ann", "bob"}, v.By); diff != "" || v.Source != source {
		t.Errorf("by (-want +got)\n%s", diff)
	}
	w.reopen(t)
	if ignored, err := w.Ignored(t.Context()); err != nil || !ignored || w.first(t) != "lab" {
		t.Errorf("after a restart with the first file: ignored %v, %v, begins with %s", ignored, err, w.first(t))
	}
	w.pass(-time.Hour)
	if w.first(t) != "dev" {
		t.Error("with the clock set back the version of that moment is not in force")
	}
	w.pass(time.Hour)
	w.apply(t, road)
	if w.first(t) != "dev" {
		t.Error("what was applied last is not in force")
	}
	versions, err := w.RulesVersions(t.Context())
	check(t, err)
	if len(versions) != 3 || versions[2].From != (time.Time{}) || versions[0].Source != "" {
		t.Errorf("versions %+v", versions)
	}
}

// A moment that has passed before the approval does not reach back.
func TestRulesNeverBeginBeforeTheirApproval(t *testing.T) {
	w := newWorld(t)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindRules, Rules: &release.RulesAsk{Source: road + "# more\n", From: noon.Add(time.Hour)}})
	check(t, err)
	w.pass(24 * time.Hour)
	_, err = w.Approve(t.Context(), bob, q.ID, "")
	check(t, err)
	v, err := w.RulesInForce(t.Context())
	check(t, err)
	if !v.From.Equal(w.time()) {
		t.Errorf("begins at %s, approved at %s", v.From, w.time())
	}
}

func TestTheBookIsCheapAndChangesWithEveryWrite(t *testing.T) {
	w := newWorld(t)
	one, err := w.Book(t.Context())
	check(t, err)
	two, err := w.Book(t.Context())
	check(t, err)
	if one != two {
		t.Error("read twice although nothing happened")
	}
	g := w.Generation()
	_, err = w.Freeze(t.Context(), bob, touchstone.Freeze{Until: noon.Add(time.Hour), Reason: "the sale"})
	check(t, err)
	three, err := w.Book(t.Context())
	check(t, err)
	if w.Generation() == g || len(three.Freezes) != 1 || three.Rules != one.Rules {
		t.Errorf("generation %d, freezes %v, rules parsed again %v", w.Generation(), three.Freezes, three.Rules != one.Rules)
	}
	other, err := release.New(release.Config{Store: w.store, Now: w.time})
	check(t, err)
	_, err = other.Freeze(t.Context(), bob, touchstone.Freeze{Until: noon.Add(2 * time.Hour), Reason: "elsewhere"})
	check(t, err)
	w.Refresh()
	if b, err := w.Book(t.Context()); err != nil || len(b.Freezes) != 2 {
		t.Errorf("what another process wrote is not seen after Refresh: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = w.Book(t.Context()) }); n > 0 {
		t.Errorf("%v allocations for a book that is there", n)
	}
}

func TestFirstRulesThatDoNotLoad(t *testing.T) {
	w := newWorld(t)
	if _, err := release.New(release.Config{Store: w.store, Rules: []byte("none"), Now: w.time}); err != nil {
		t.Errorf("the store has rules, so these are not needed: %v", err)
	}
}

func TestFreezesThatCannotBe(t *testing.T) {
	w := newWorld(t)
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	friday := []time.Weekday{time.Friday}
	for name, f := range map[string]touchstone.Freeze{
		"no reason":      {Until: at(1)},
		"over":           {Until: noon, Reason: "x"},
		"backwards":      {From: at(2), Until: at(1), Reason: "x"},
		"for ever":       {Reason: "x"},
		"nowhere":        {Environments: []string{"production"}, Until: at(1), Reason: "x"},
		"no day":         {Weekly: &touchstone.Weekly{Zone: "UTC"}, Reason: "x"},
		"no such day":    {Weekly: &touchstone.Weekly{Days: []time.Weekday{7}, Zone: "UTC"}, Reason: "x"},
		"no such zone":   {Weekly: &touchstone.Weekly{Days: friday, Zone: "Mars/Base"}, Reason: "x"},
		"anybody's zone": {Weekly: &touchstone.Weekly{Days: friday, Zone: "Local"}, Reason: "x"},
		"no such minute": {Weekly: &touchstone.Weekly{Days: friday, Start: 1440, Zone: "UTC"}, Reason: "x"},
	} {
		_, err := w.Freeze(t.Context(), bob, f)
		if err == nil {
			t.Errorf("%s: declared", name)
			continue
		}
		wants(t, err, release.ErrInvalid)
	}
}

func TestFreezesAreListedWithoutPastOnes(t *testing.T) {
	w := newWorld(t)
	monday := time.Monday
	for _, f := range []touchstone.Freeze{
		{Until: noon.Add(time.Hour), Reason: "short"},
		{From: noon.Add(24 * time.Hour), Until: noon.Add(48 * time.Hour), Reason: "to come"},
		{Weekly: &touchstone.Weekly{Days: []time.Weekday{time.Friday}, Start: 960, End: 480, ToDay: &monday, Zone: "Europe/Berlin"}, Reason: "weekends"},
	} {
		_, err := w.Freeze(t.Context(), bob, f)
		check(t, err)
	}
	w.pass(2 * time.Hour)
	w.reopen(t)
	var reasons []string
	for after := ""; ; {
		list, next, err := w.Freezes(t.Context(), after, 1)
		check(t, err)
		for _, f := range list {
			reasons = append(reasons, f.Reason)
		}
		if next == "" {
			break
		}
		after = next
	}
	if diff := cmp.Diff([]string{"to come", "weekends"}, reasons); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for day, frozen := range map[int]bool{4: false, 5: true, 6: true, 8: false} { // from Monday
		w.now = noon.AddDate(0, 0, day)
		b, err := w.Book(t.Context())
		check(t, err)
		opens, ok := b.Rules.Opens("prod", b.Freezes, w.time())
		if !ok || opens.Equal(w.time()) == frozen {
			t.Errorf("day %d: opens at %s, %v", day, opens, ok)
		}
	}
}
