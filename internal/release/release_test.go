package release_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

func TestTheRoadToProd(t *testing.T) {
	w := newWorld(t)
	if res := w.promote(t, ann, "prod", "cart:1"); len(res.Promoted) != 0 || res.Request != nil || !res.Opens.IsZero() {
		t.Errorf("past test: %+v", res)
	}
	if res := w.promote(t, ann, "dev", "cart:1"); len(res.Promoted) != 1 || res.Promoted[0].Artifact != "registry.example/cart" {
		t.Fatalf("to dev: %+v", res)
	}
	if res := w.promote(t, ann, "test", "cart:1"); len(res.Promoted) != 1 {
		t.Fatalf("to test: %+v", res)
	}
	w.pass(time.Hour)
	res := w.promote(t, ann, "prod", "cart:1")
	if res.Request != nil || !res.Opens.Equal(noon.Add(24*time.Hour)) {
		t.Fatalf("before it has soaked: request %v, opens %s", res.Request, res.Opens)
	}
	w.pass(24 * time.Hour)
	res = w.promote(t, ann, "prod", "cart:1")
	if len(res.Promoted) != 0 || res.Request == nil || res.Request.Needs != "2 approvals of release, by others than ann" {
		t.Fatalf("without approvals: %+v", res)
	}
	id := res.Request.ID
	if again := w.promote(t, cem, "prod", "cart:1"); again.Request.ID != id {
		t.Errorf("asked twice: %s and %s", id, again.Request.ID)
	}
	_, err := w.Approve(t.Context(), ann, id, "")
	wants(t, err, release.ErrForbidden)
	_, err = w.Approve(t.Context(), release.Person{Name: "Ann ", Groups: []string{"release"}}, id, "")
	wants(t, err, release.ErrForbidden)
	_, err = w.Approve(t.Context(), dot, id, "")
	wants(t, err, release.ErrForbidden)
	for range 2 {
		q, err := w.Approve(t.Context(), bob, id, "looked at it")
		check(t, err)
		if q.State != release.Open || len(q.Approvals) != 1 {
			t.Fatalf("one approval, given twice: %+v", q)
		}
	}
	q, err := w.Approve(t.Context(), cem, id, "")
	check(t, err)
	if q.State != release.Granted || q.Needs != "" {
		t.Fatalf("two approvals: %+v", q)
	}
	_, err = w.Approve(t.Context(), bob, id, "")
	wants(t, err, release.ErrState)
	_, err = w.Reject(t.Context(), bob, id, "too late")
	wants(t, err, release.ErrState)
	made, err := w.Promotions(t.Context(), "registry.example/cart", digest("cart:11000"))
	check(t, err)
	if len(made) != 3 || made[0].Environment != "prod" || made[0].By != "ann" || made[0].Decision == "" {
		t.Errorf("promotions %+v", made)
	}
	if res := w.promote(t, bob, "prod", "cart:1"); len(res.Promoted) != 1 || res.Promoted[0].ID != made[0].ID {
		t.Errorf("promoted again: %+v", res)
	}
	if n := w.entries(t); n["promotion"] != 3 || n["request"] != 1 || n["approval"] != 2 {
		t.Errorf("entries %v", n)
	}
}

// What was asked for is judged at the moment at which it is granted.
func TestGrantedPromotionsAreJudgedAgain(t *testing.T) {
	w := newWorld(t)
	w.promote(t, ann, "dev", "cart:1", "till:1")
	w.promote(t, ann, "test", "cart:1", "till:1")
	w.pass(25 * time.Hour)
	res := w.promote(t, ann, "prod", "till:1", "cart:1")
	if res.Request == nil || len(res.Request.Promotion.Artifacts) != 2 {
		t.Fatalf("%+v", res)
	}
	f, err := w.Freeze(t.Context(), dot, touchstone.Freeze{Environments: []string{"prod"}, Until: w.time().Add(48 * time.Hour), Reason: "the sale"})
	check(t, err)
	_, err = w.Approve(t.Context(), bob, res.Request.ID, "")
	check(t, err)
	q, err := w.Approve(t.Context(), cem, res.Request.ID, "")
	check(t, err)
	if q.State != release.Open || !strings.Contains(q.Needs, "the sale") {
		t.Fatalf("granted in a freeze: %+v", q)
	}
	res = w.promote(t, ann, "prod", "till:1", "cart:1")
	if len(res.Promoted) != 0 || !res.Opens.Equal(f.Until) || res.Request == nil {
		t.Errorf("in the freeze: opens %s, request %v", res.Opens, res.Request)
	}
	check(t, w.Thaw(t.Context(), dot, f.ID, "the sale is off"))
	wants(t, w.Thaw(t.Context(), dot, f.ID, "twice"), record.ErrNotFound)
	res = w.promote(t, ann, "prod", "till:1", "cart:1")
	if len(res.Promoted) != 2 {
		t.Fatalf("approved and thawed: %+v", res)
	}
	if q, err = w.Request(t.Context(), res.Request.ID); err != nil || q.State != release.Granted {
		t.Errorf("the request is %v, %v", q, err)
	}
}

func TestAllOrNone(t *testing.T) {
	w := newWorld(t)
	w.promote(t, ann, "dev", "cart:1")
	res := w.promote(t, ann, "test", "cart:1", "till:1")
	if len(res.Promoted) != 0 || len(res.Answers) != 2 {
		t.Errorf("one of two: %+v", res.Promoted)
	}
	w.tags["registry.example/new:1"] = digest("never seen")
	res = w.promote(t, ann, "dev", "till:1", "new:1")
	if len(res.Promoted) != 0 || !res.Answers[1].Scanning {
		t.Errorf("with one that was not seen: %+v", res)
	}
	if res = w.promote(t, ann, "dev", "till:1", "till:1", "cart:1"); len(res.Promoted) != 2 {
		t.Errorf("named twice: %+v", res.Promoted)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.entries(t)
	ask := release.PromotionAsk{Artifacts: []string{"registry.example/cart:1"}, To: "dev", DryRun: true}
	res, err := w.Promote(t.Context(), ann, ask)
	check(t, err)
	if len(res.Promoted) != 0 || res.Answers[0].Decision.Verdict != touchstone.Allowed {
		t.Errorf("%+v", res)
	}
	if after := w.entries(t); len(after) != len(before) {
		t.Errorf("entries %v", after)
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	late := waiver()
	late.Until = noon.AddDate(0, 0, 40)
	never := waiver()
	never.Rule = "unseen"
	narrow := waiver()
	narrow.Owner = " "
	over := waiver()
	over.Until = noon
	for name, q := range map[string]release.Request{
		"too long":          {Kind: release.KindWaiver, Waiver: late},
		"never":             {Kind: release.KindWaiver, Waiver: never},
		"nobody":            {Kind: release.KindWaiver, Waiver: narrow},
		"over":              {Kind: release.KindWaiver, Waiver: over},
		"nothing":           {Kind: release.KindWaiver},
		"another's field":   {Kind: release.KindRules, Waiver: waiver()},
		"no rules":          {Kind: release.KindRules, Rules: &release.RulesAsk{Source: "version: 1\nenvironments: [dev]\nrules: {cvs: {dev: any}}\n"}},
		"another digest":    {Kind: release.KindRules, Rules: &release.RulesAsk{Source: road, Digest: digest("x")}},
		"no digest":         {Kind: release.KindImprovement, Improvement: &release.ImprovementAsk{}},
		"a promotion":       {Kind: release.KindPromotion, Promotion: &release.PromotionAsk{}},
		"an unknown kind":   {Kind: "holiday"},
		"an empty document": {},
	} {
		_, err := w.Ask(t.Context(), ann, q)
		if !errors.Is(err, release.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.Ask(t.Context(), release.Person{}, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	wants(t, err, release.ErrForbidden)
	_, err = w.Promote(t.Context(), ann, release.PromotionAsk{Artifacts: []string{"x"}, To: "production"})
	wants(t, err, release.ErrInvalid)
	_, err = w.Request(t.Context(), "none")
	wants(t, err, record.ErrNotFound)
	_, err = w.Ask(t.Context(), ann, release.Request{Kind: release.KindRules, Rules: &release.RulesAsk{Source: "version: 1\nenvironments: [dev]\nrules: {cvs: {dev: any}}\n"}})
	if err == nil || !strings.Contains(err.Error(), ":3:9:") || !strings.Contains(err.Error(), "cvss") {
		t.Errorf("no line, column and nearest word: %v", err)
	}
}

// A waiver for one tag holds when the promotion of that tag is granted, although
// the tag points elsewhere by then; what was asked for is what is promoted.
func TestTheDigestIsFixedAndTheTagIsKept(t *testing.T) {
	w := newWorld(t)
	asked := waiver()
	asked.Artifact = "registry.example/root:1"
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: asked})
	check(t, err)
	_, err = w.Approve(t.Context(), dot, q.ID, "")
	check(t, err)
	w.promote(t, ann, "dev", "root:1")
	w.promote(t, ann, "test", "root:1")
	w.pass(25 * time.Hour)
	res := w.promote(t, ann, "prod", "root:1")
	if res.Request == nil {
		t.Fatalf("%+v", res.Answers[0].Decision.Reasons)
	}
	w.push("root:1", "other")
	for _, p := range []release.Person{bob, cem} {
		q, err = w.Approve(t.Context(), p, res.Request.ID, "")
		check(t, err)
	}
	made, err := w.Promotions(t.Context(), "registry.example/root", digest("root:1"))
	check(t, err)
	if q.State != release.Granted || len(made) != 3 {
		t.Errorf("%s %s, promotions %+v", q.State, q.Needs, made)
	}
	if res := w.promote(t, ann, "prod", "root:1"); len(res.Promoted) != 0 {
		t.Errorf("what the tag points to now is promoted too: %+v", res.Promoted)
	}
}

func TestWithoutADoor(t *testing.T) {
	w := newWorld(t)
	r, err := release.New(release.Config{Store: w.store, Now: w.time})
	check(t, err)
	if res, err := r.Promote(t.Context(), ann, release.PromotionAsk{Artifacts: []string{"registry.example/cart:1"}, To: "dev"}); err == nil {
		t.Errorf("promoted: %+v", res)
	}
}
