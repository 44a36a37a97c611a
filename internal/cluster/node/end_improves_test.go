package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/release"
)

// What is refused and yet better than what runs is let in by one approval, which
// is never one's own.
func improves(t *testing.T, w *world) {
	ns := w.c.Namespace(t, "prod", map[string]string{"stage": "prod"})
	old, _ := w.push(t, "shop/improves:1", worse)
	better, digest := w.push(t, "shop/improves:2", bad)
	w.seen(t, old)
	w.seen(t, better)
	w.c.CreateDeployment(t, ns, "cart", old, 1)
	w.c.WaitRunning(t, ns, "cart", 1, time.Minute)
	wait(t, "what runs is judged", time.Minute, func(ctx context.Context) error {
		if all, err := w.running(ctx, ns); err != nil || len(all) != 1 || all[0].Verdict == "" {
			return fmt.Errorf("%+v: %w", all, err)
		}
		return nil
	})
	w.enforce(t, ns)

	err := w.setImage(t, w.c.Client(), ns, "cart", better)
	wantRefused(t, err, "refused", "better than what runs", "one approval by somebody else")
	page, err := w.s.Decisions(t.Context(), api.DecisionFilter{Namespace: ns, Artifact: string(digest), Verdict: "refused"}, api.Paging{})
	if err != nil || len(page.Items) == 0 {
		t.Fatalf("no refusal is written down: %v", err)
	}
	w.s.run(t, "improve", "--data", w.s.data, page.Items[0].ID)
	asked, err := w.s.Requests(t.Context(), release.Open, release.KindImprovement, api.Paging{})
	if err != nil || len(asked.Items) != 1 {
		t.Fatalf("%d requests are open: %v", len(asked.Items), err)
	}
	id := asked.Items[0].ID
	if _, err := w.s.Approve(t.Context(), id, "mine"); err == nil {
		t.Error("somebody has approved what they asked for themselves")
	}
	token, err := w.s.MakeToken(t.Context(), api.TokenAsk{Name: "bea", Role: api.Approver})
	if err != nil {
		t.Fatal(err)
	}
	bea := *w.s.Client
	bea.Token = token.Secret
	if _, err := bea.Approve(t.Context(), id, "one hole less"); err != nil {
		t.Fatal(err)
	}
	if err := w.setImage(t, w.c.Client(), ns, "cart", better); err != nil {
		t.Fatal(err)
	}
	wait(t, "the better one runs alone", 2*time.Minute, func(ctx context.Context) error {
		all, err := w.running(ctx, ns)
		if err != nil || len(all) != 1 || all[0].Digest != digest {
			return fmt.Errorf("%+v: %w", all, err)
		}
		return nil
	})
}
