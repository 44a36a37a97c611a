package node

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mostWait is how long after the end of a scan what waits for it is let in at the
// latest.
const mostWait = 15 * time.Second

// A deployment of an image that nobody has seen is refused its pods, and gets them
// without a person once the image is scanned, although its controller has backed
// off for longer by then.
func neverSeen(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/unseen:1.4", good)
	release := w.slow.hold(t)

	made := w.c.CreateDeployment(t, ns, "cart", image, 2)
	w.refusal(t, ns, "was not seen before: scan started, try again in about 10 s", image)
	wantRefused(t, w.create(t, ns, "alone", image), "was not seen before: scan started, try again in about 10 s", image)
	// The controller doubles its wait with each refusal, from 5 ms on: what was
	// refused for 11 seconds is tried again after 20.
	time.Sleep(11 * time.Second)
	if pods, err := w.c.Client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); err != nil || len(pods.Items) > 0 {
		t.Fatalf("%d pods got in unseen: %v", len(pods.Items), err)
	}
	release()

	wait(t, "pods are let in", time.Minute, func(ctx context.Context) error {
		pods, err := w.c.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) == 0 {
			err = errors.New("there are none")
		}
		return err
	})
	in := time.Since(w.scanned(t, w.r.Host+"/shop/unseen", digest)).Round(100 * time.Millisecond)
	t.Logf("let in %s after the end of the scan", in)
	if in > mostWait {
		t.Errorf("let in %s after the end of the scan, want at most %s", in, mostWait)
	}
	pods := w.c.WaitRunning(t, ns, "cart", 2, time.Minute)
	wantImage(t, pods, "cart", pinned(image, digest))

	now, err := w.c.Client().AppsV1().Deployments(ns).Get(t.Context(), "cart", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := now.Spec.Template.Spec.Containers[0].Image; got != image || now.Generation != made.Generation {
		t.Errorf("the deployment says %s in its generation %d, want %s in %d: only pods are rewritten", got, now.Generation, image, made.Generation)
	}
}
