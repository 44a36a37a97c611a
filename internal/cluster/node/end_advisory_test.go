package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
)

// A new advisory breaks no restart of what runs: it opens a finding with a
// deadline. The same digest is refused where it would be new.
func advisory(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/advisory:1", "curl 1.0-1")
	if got := w.seen(t, image); got.Verdict() != touchstone.Allowed {
		t.Fatalf("the check says %s", got.Verdict())
	}
	w.c.CreateDeployment(t, ns, "cart", image, 1)
	w.c.WaitRunning(t, ns, "cart", 1, time.Minute)

	next, newer := w.push(t, "shop/advisory:2", "curl 2.0-1")
	w.seen(t, next)
	w.s.advise(t, "CVE-2026-1003", "curl")
	w.wantDeadline(t, ns, "cart", "CVE-2026-1003")
	w.restart(t, ns, "cart")
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 1, time.Minute), "cart", pinned(image, digest))
	wantRefused(t, w.create(t, ns, "new", image), "refused", "CVE-2026-1003")

	// There is a way back to what was let in once.
	for _, to := range []struct {
		image  string
		digest touchstone.Digest
	}{{next, newer}, {image, digest}} {
		if err := w.setImage(t, w.c.Client(), ns, "cart", to.image); err != nil {
			t.Fatal(err)
		}
		wait(t, to.image+" runs alone", time.Minute, func(ctx context.Context) error {
			all, err := w.running(ctx, ns)
			if err != nil || len(all) != 1 || all[0].Digest != to.digest {
				return fmt.Errorf("known is %+v: %w", all, err)
			}
			return nil
		})
	}

	page, err := w.s.Decisions(t.Context(), api.DecisionFilter{Namespace: ns}, api.Paging{})
	if err != nil || len(page.Items) == 0 {
		t.Fatalf("%d decisions: %v", len(page.Items), err)
	}
	for _, d := range page.Items {
		if got, err := w.s.Replay(t.Context(), d.ID); err != nil || !got.Same {
			t.Errorf("the %s of %s is another when it is taken again: %+v, %v", d.Occasion, d.Workload, got, err)
		}
	}
}
