package node

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/release"
)

// What nobody promoted to an environment does not get in there, from one
// environment to the next, and does once somebody has.
func promoted(t *testing.T, w *world) {
	ns := w.namespace(t, "live")
	image, digest := w.push(t, "shop/promoted:1", good)
	w.seen(t, image)
	deploy := func() error {
		_, err := w.c.Client().AppsV1().Deployments(ns).Create(t.Context(), cluster.Deployment(ns, "cart", image, 1), metav1.CreateOptions{})
		return err
	}
	wantRefused(t, deploy(), "refused", "not promoted to live")
	wantRefused(t, w.create(t, ns, "alone", image), "refused", "not promoted to live")

	if got := w.promote(t, image, "live", true); len(got.Promoted) > 0 || got.Answers[0].Decision.Verdict != touchstone.Refused {
		t.Errorf("it may skip an environment: %+v", got)
	}
	for _, to := range []string{"prod", "live"} {
		if got := w.promote(t, image, to, false); len(got.Promoted) != 1 || got.Promoted[0].Digest != digest {
			t.Fatalf("promoted to %s is %+v: %+v", to, got.Promoted, got.Answers)
		}
	}
	if err := deploy(); err != nil {
		t.Fatal(err)
	}
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 1, time.Minute), "cart", pinned(image, digest))
}

func (w *world) promote(t *testing.T, image, to string, dryRun bool) *release.Result {
	t.Helper()
	got, err := w.s.Promote(t.Context(), release.PromotionAsk{Artifacts: []string{image}, To: to, DryRun: dryRun})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Answers) != 1 {
		t.Fatalf("%d answers about %s", len(got.Answers), image)
	}
	return got
}
