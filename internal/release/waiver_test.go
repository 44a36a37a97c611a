package release_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

func (w *world) inForce(t testing.TB) []string {
	t.Helper()
	b, err := w.Book(t.Context())
	check(t, err)
	out := []string{}
	for i := range b.Waivers {
		if w.time().Before(b.Waivers[i].Until) {
			out = append(out, b.Waivers[i].ID)
		}
	}
	return out
}

func TestAWaiverIsAskedForByOneAndApprovedByAnother(t *testing.T) {
	w := newWorld(t)
	asked := waiver()
	asked.ID, asked.ApprovedBy = "mine", "somebody"
	q, err := w.Ask(t.Context(), bob, release.Request{ID: "mine", State: release.Granted, Kind: release.KindWaiver, Waiver: asked,
		Approvals: []touchstone.Approval{{By: "dot", Groups: []string{"security"}}}})
	check(t, err)
	if q.State != release.Open || q.Group != "security" || len(q.Approvals) != 0 || q.ID == "mine" {
		t.Fatalf("%+v", q)
	}
	same, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	if err != nil || same.ID != q.ID {
		t.Errorf("asked again: %v, %v", same, err)
	}
	_, err = w.Approve(t.Context(), bob, q.ID, "my own")
	wants(t, err, release.ErrForbidden)
	_, err = w.Approve(t.Context(), cem, q.ID, "not of security")
	wants(t, err, release.ErrForbidden)
	if got := w.inForce(t); len(got) != 0 {
		t.Fatalf("in force before anybody approved: %v", got)
	}
	q, err = w.Approve(t.Context(), dot, q.ID, "")
	check(t, err)
	if q.State != release.Granted || q.Waiver.ApprovedBy != "dot" {
		t.Fatalf("%+v", q)
	}
	if diff := cmp.Diff([]string{q.ID}, w.inForce(t)); diff != "" {
		t.Fatalf("in force (-want +got)\n%s", diff)
	}
	wants(t, w.Revoke(t.Context(), dot, q.ID, " "), release.ErrInvalid)
	check(t, w.Revoke(t.Context(), dot, q.ID, "mended"))
	wants(t, w.Revoke(t.Context(), dot, q.ID, "twice"), record.ErrNotFound)
	if got := w.inForce(t); len(got) != 0 {
		t.Errorf("in force although revoked: %v", got)
	}
	if n := w.entries(t); n["request"] != 1 || n["approval"] != 1 || n["waiver"] != 1 || n["revocation"] != 1 {
		t.Errorf("entries %v", n)
	}
}

func TestAWaiverLetsAPromotionThrough(t *testing.T) {
	w := newWorld(t)
	w.promote(t, ann, "dev", "root:1")
	w.promote(t, ann, "test", "root:1")
	w.pass(25 * time.Hour)
	if res := w.promote(t, ann, "prod", "root:1"); res.Request != nil {
		t.Fatalf("a request is open although the rule of root refuses")
	}
	asked := waiver()
	asked.Until = w.time().AddDate(0, 0, 5)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: asked})
	check(t, err)
	_, err = w.Approve(t.Context(), dot, q.ID, "")
	check(t, err)
	res := w.promote(t, ann, "prod", "root:1")
	if res.Request == nil || len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], q.ID) {
		t.Errorf("request %v, warnings %v", res.Request, res.Warnings)
	}
}

// Whatever a waiver can say stands in a file of waivers too, so that both are held
// to the same checks.
func TestNothingOfAWaiverIsLost(t *testing.T) {
	w := newWorld(t)
	asked := touchstone.Waiver{
		Rule: "cvss", Artifact: "registry.example/cart", Advisory: "CVE-2026-1", Package: "openssl", Environments: []string{"test", "prod"}, Owner: "team-shop",
		Reason: "no fix yet: \"wait\"\nand see", Until: noon.Add(77*time.Hour + 3*time.Millisecond), ScoreAbove: 8.5, UntilFix: true, UnlessExploited: true,
	}
	source := strings.Replace(road, "rules:\n", "rules:\n  cvss: {others: any, prod: below 3}\n", 1)
	w.apply(t, source)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: &asked})
	check(t, err)
	if diff := cmp.Diff(&asked, q.Waiver); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for i, v := 0, reflect.ValueOf(asked); i < v.NumField(); i++ {
		switch name := v.Type().Field(i).Name; name {
		case "ID", "ApprovedBy", "WholeRule": // the first two are the server's to give
		default:
			if v.Field(i).IsZero() {
				t.Errorf("the field %s is not tried here", name)
			}
		}
	}
}

func TestAGrantIsHeldToThePolicyOfItsMoment(t *testing.T) {
	w := newWorld(t)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	check(t, err)
	w.apply(t, strings.Replace(road, "never: [unseen]", "never: [unseen, runs-as-root]", 1))
	q, err = w.Approve(t.Context(), dot, q.ID, "")
	check(t, err)
	if q.State != release.Open || !strings.Contains(q.Needs, "never waived") || len(w.inForce(t)) != 0 {
		t.Errorf("%+v", q)
	}
}

func TestWaiversLapseAndAreAnnounced(t *testing.T) {
	w := newWorld(t)
	q, err := w.Ask(t.Context(), ann, release.Request{Kind: release.KindWaiver, Waiver: waiver()})
	check(t, err)
	_, err = w.Approve(t.Context(), dot, q.ID, "")
	check(t, err)
	for _, step := range []struct {
		day       int
		announced int
		lapsing   int
		inForce   int
	}{{0, 0, 0, 1}, {12, 0, 0, 1}, {14, 1, 1, 1}, {15, 0, 1, 1}, {21, 0, 0, 0}} {
		w.now = noon.AddDate(0, 0, step.day)
		lapsing, err := w.Lapsing(t.Context(), 7*24*time.Hour)
		check(t, err)
		inForce := w.inForce(t)
		announced, err := w.Tend(t.Context())
		check(t, err)
		if len(announced) != step.announced || len(lapsing) != step.lapsing || len(inForce) != step.inForce {
			t.Errorf("day %d: announced %v, lapsing %v, in force %v", step.day, announced, lapsing, inForce)
		}
	}
	if n := w.entries(t); n["announcement"] != 1 || n["lapse"] != 1 {
		t.Errorf("entries %v", n)
	}
}

func TestImport(t *testing.T) {
	w := newWorld(t)
	file := []byte(`- {id: old, rule: runs-as-root, artifact: registry.example/root, whole-rule: true, owner: a, reason: b, until: 2026-12-01, approved-by: ann}
- {rule: runs-as-root, artifact: registry.example/till, whole-rule: true, owner: a, reason: b, until: 2026-12-01}
- {rule: runs-as-root, artifact: registry.example/gone, whole-rule: true, owner: a, reason: b, until: 2026-11-01}
`)
	list, warnings, err := w.Import(t.Context(), ann, "waivers.yaml", file)
	check(t, err)
	if len(list) != 2 || len(warnings) != 1 || len(w.inForce(t)) != 0 {
		t.Fatalf("%d requests, warnings %v, in force %v", len(list), warnings, w.inForce(t))
	}
	_, err = w.Approve(t.Context(), dot, list[0].ID, "")
	check(t, err)
	again, _, err := w.Import(t.Context(), bob, "waivers.yaml", file)
	check(t, err)
	if len(again) != 1 || again[0].ID != list[1].ID {
		t.Errorf("imported again: %+v", again)
	}
	_, _, err = w.Import(t.Context(), ann, "waivers.yaml", []byte("- {rule: unseen, whole-rule: true, owner: a, reason: b, until: 2026-12-01}\n"))
	wants(t, err, release.ErrInvalid)
	if err == nil || !strings.Contains(err.Error(), "waivers.yaml:1:") {
		t.Errorf("no line: %v", err)
	}
}
