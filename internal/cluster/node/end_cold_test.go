package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A cluster on which the gate is installed starts from cold while the server is
// away: what ran runs again, system pods come in, nothing else does until the
// server is back.
func cold(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/cold:1", good)
	w.seen(t, image)
	w.c.CreateDeployment(t, ns, "cart", image, 2)
	before := w.c.WaitRunning(t, ns, "cart", 2, 3*time.Minute)

	w.s.kill()
	w.c.Halt()
	if err := w.c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait(t, "what ran is started again", 3*time.Minute, func(ctx context.Context) error {
		p, err := w.c.Client().CoreV1().Pods(ns).Get(ctx, before[0].Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s := p.Status.ContainerStatuses[0]; s.RestartCount == 0 || !s.Ready {
			return fmt.Errorf("%d restarts, ready %v", s.RestartCount, s.Ready)
		}
		return nil
	})
	if err := w.c.Client().CoreV1().Pods(ns).Delete(t.Context(), before[1].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.refusal(t, ns, "failed calling webhook")
	w.passed(t, "after-a-cold-start", image)
	w.c.WaitRunning(t, "kube-system", "after-a-cold-start", 1, 3*time.Minute)

	w.s.start(t)
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 2, 3*time.Minute), "cart", pinned(image, digest))

	// A server that starts before the cluster waits for it.
	w.s.kill()
	w.c.Halt()
	w.s.start(t)
	if err := w.c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.c.WaitRunning(t, ns, "cart", 2, 3*time.Minute)
	w.restart(t, ns, "cart")
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 2, 3*time.Minute), "cart", pinned(image, digest))
}
