package release_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

func TestRequestsLapse(t *testing.T) {
	w := newWorld(t)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	check(t, err)
	w.pass(7 * 24 * time.Hour)
	open, _, err := w.Requests(t.Context(), release.RequestQuery{State: release.Open})
	check(t, err)
	if len(open) != 0 {
		t.Errorf("open: %+v", open)
	}
	_, err = w.Approve(t.Context(), dot, q.ID, "")
	wants(t, err, release.ErrState)
	got, err := w.Request(t.Context(), q.ID)
	check(t, err)
	if got.State != release.Lapsed || w.entries(t)["lapse"] != 1 {
		t.Errorf("%s, entries %v", got.State, w.entries(t))
	}
	anew, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	check(t, err)
	if anew.ID == q.ID || anew.State != release.Open {
		t.Errorf("asked anew: %+v", anew)
	}
	_, err = w.Tend(t.Context())
	check(t, err)
	lapsed, _, err := w.Requests(t.Context(), release.RequestQuery{State: release.Lapsed})
	check(t, err)
	if len(lapsed) != 1 || w.entries(t)["lapse"] != 1 {
		t.Errorf("lapsed: %+v", lapsed)
	}
}

func TestRejecting(t *testing.T) {
	w := newWorld(t)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	check(t, err)
	_, err = w.Reject(t.Context(), cem, q.ID, "")
	wants(t, err, release.ErrInvalid)
	q, err = w.Reject(t.Context(), cem, q.ID, "mend it")
	check(t, err)
	if q.State != release.Rejected || q.Rejection.By != "cem" || q.Needs != "" {
		t.Errorf("%+v", q)
	}
	_, err = w.Approve(t.Context(), dot, q.ID, "")
	wants(t, err, release.ErrState)
	if got := w.inForce(t); len(got) != 0 {
		t.Errorf("in force: %v", got)
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 7 {
		a := waiver()
		a.Reason += string(rune('a' + i))
		a.Until = a.Until.AddDate(0, 0, -i)
		q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: a})
		check(t, err)
		_, err = w.Approve(t.Context(), dot, q.ID, "")
		check(t, err)
		want = append([]string{q.ID}, want...)
	}
	var requests, waivers []string
	for after := ""; ; {
		page, next, err := w.Requests(t.Context(), release.RequestQuery{Kind: release.KindWaiver, State: release.Granted, After: after, Limit: 3})
		check(t, err)
		for _, q := range page {
			requests = append(requests, q.ID)
		}
		if after = next; next == "" {
			break
		}
	}
	for after := ""; ; {
		page, next, err := w.Waivers(t.Context(), after, 3)
		check(t, err)
		for _, one := range page {
			waivers = append(waivers, one.ID)
		}
		if after = next; next == "" {
			break
		}
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("requests, the newest first (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, waivers); diff != "" {
		t.Errorf("waivers, the first to lapse first (-want +got)\n%s", diff)
	}
	w.promote(t, ann, "dev", "cart:1", "till:1")
	w.promote(t, ann, "test", "cart:1", "till:1")
	list, _, err := w.PromotionsList(t.Context(), release.PromotionQuery{Artifact: "registry.example/till", Environment: "test"})
	check(t, err)
	if len(list) != 1 || list[0].Digest != digest("till:11000") {
		t.Errorf("promotions of till to test: %+v", list)
	}
	list, next, err := w.PromotionsList(t.Context(), release.PromotionQuery{Limit: 3})
	check(t, err)
	if len(list) != 3 || list[0].Environment != "test" || next != list[2].ID {
		t.Errorf("the newest three: %+v, next %q", list, next)
	}
}

func TestImprovement(t *testing.T) {
	w := newWorld(t)
	d := digest("better")
	place := touchstone.Place{Environment: "prod", Namespace: "shop"}
	cart := touchstone.Workload{Kind: "Deployment", Name: "cart"}
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindImprovement,
		Improvement: &release.ImprovementAsk{Place: place, Workload: cart, Artifact: "registry.example/cart", Digest: d}})
	check(t, err)
	cart.Container = "app"
	asker, given, err := w.Improvement(t.Context(), cart, place, d)
	check(t, err)
	if asker != "ann" || len(given) != 0 {
		t.Errorf("before: %s, %v", asker, given)
	}
	_, err = w.Approve(t.Context(), ann, q.ID, "")
	wants(t, err, release.ErrForbidden)
	w.pass(6 * 24 * time.Hour)
	_, err = w.Approve(t.Context(), cem, q.ID, "")
	check(t, err)
	w.pass(6 * 24 * time.Hour)
	if _, given, err = w.Improvement(t.Context(), cart, place, d); err != nil || len(given) != 1 || given[0].By != "cem" {
		t.Errorf("approved: %v, %v", given, err)
	}
	elsewhere, stricter := place, place
	elsewhere.Namespace, stricter.Environment = "till", "stage"
	for name, of := range map[string]struct {
		place    touchstone.Place
		workload touchstone.Workload
		digest   touchstone.Digest
	}{
		"another digest":    {place, cart, digest("other")},
		"another namespace": {elsewhere, cart, d},
		"what the place is": {stricter, cart, d},
		"another workload":  {place, touchstone.Workload{Kind: "Deployment", Name: "till"}, d},
	} {
		if _, given, err := w.Improvement(t.Context(), of.workload, of.place, of.digest); err != nil || len(given) != 0 {
			t.Errorf("%s: %v, %v", name, given, err)
		}
	}
	w.pass(24 * time.Hour)
	if _, given, err = w.Improvement(t.Context(), cart, place, d); err != nil || len(given) != 0 {
		t.Errorf("after its time: %v, %v", given, err)
	}
}

// full is a store whose disk is full.
type full struct{ record.Store }

func (full) Commit(context.Context, ...record.Change) ([]record.Entry, error) {
	return nil, record.ErrFull
}

func TestAFullDiskGrantsNothing(t *testing.T) {
	w := newWorld(t)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	check(t, err)
	w.store = full{w.store}
	w.reopen(t)
	_, err = w.Approve(t.Context(), dot, q.ID, "")
	wants(t, err, record.ErrFull)
	_, err = w.Promote(t.Context(), ann, release.PromotionAsk{Artifacts: []string{"registry.example/cart:1"}, To: "dev"})
	wants(t, err, record.ErrFull)
	if got := w.inForce(t); len(got) != 0 {
		t.Errorf("in force: %v", got)
	}
	w.pass(8 * 24 * time.Hour)
	if q, err = w.Request(t.Context(), q.ID); err != nil || q.State != release.Lapsed {
		t.Errorf("cannot be read as lapsed: %v, %v", q, err)
	}
}
