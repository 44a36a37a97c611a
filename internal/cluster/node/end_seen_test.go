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

// What makes pods of an image that nobody has seen is refused them, and gets them
// without a person once the image is scanned, although its controller has backed
// off for longer by then.
func neverSeen(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/unseen:1.4", good)
	release := w.slow.hold(t)

	kinds := workloads(t, w.c, ns, image)
	for _, kind := range kinds {
		w.refusal(t, ns, "was not seen before: scan started, try again in about 10 s", image+" ("+nameOf(kind)+")")
	}
	wantRefused(t, w.create(t, ns, "alone", image), "was not seen before: scan started, try again in about 10 s", image)
	// A controller doubles its wait with each refusal, from 5 ms on: what was
	// refused for 21 seconds is tried again after 41, unless it is nudged.
	time.Sleep(22 * time.Second)
	if pods, err := w.c.Client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); err != nil || len(pods.Items) > 0 {
		t.Fatalf("%d pods got in unseen: %v", len(pods.Items), err)
	}
	release()

	for _, kind := range kinds {
		wait(t, "the pod of the "+kind+" is let in", time.Minute, func(ctx context.Context) error {
			pods, err := w.c.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=" + nameOf(kind)})
			if err == nil && len(pods.Items) == 0 {
				err = errors.New("there is none")
			}
			return err
		})
		in := time.Since(w.scanned(t, w.r.Host+"/shop/unseen", digest)).Round(100 * time.Millisecond)
		t.Logf("%s: let in %s after the end of the scan", kind, in)
		if in > mostWait {
			t.Errorf("%s: let in %s after the end of the scan, want at most %s", kind, in, mostWait)
		}
	}
	for _, kind := range kinds {
		wantImage(t, w.c.WaitRunning(t, ns, nameOf(kind), 1, time.Minute), nameOf(kind), pinned(image, digest))
	}

	now, err := w.c.Client().AppsV1().Deployments(ns).Get(t.Context(), nameOf("Deployment"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := now.Spec.Template.Spec.Containers[0].Image; got != image || now.Generation != 1 {
		t.Errorf("the deployment says %s in its generation %d, want %s in 1: only pods are rewritten", got, now.Generation, image)
	}
}
