package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
)

// A tag that points elsewhere after it was checked brings nothing in that was not
// judged; and all pods of one ReplicaSet get what its first pod got.
func moved(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, checked := w.push(t, "shop/moved:1", good)
	if got := w.seen(t, image); got.Verdict() != touchstone.Allowed || got.Artifact.Digest != checked {
		t.Fatalf("the check says %s of %s", got.Verdict(), got.Artifact.Digest)
	}
	_, other := w.push(t, "shop/moved:1", bad)
	w.c.CreateDeployment(t, ns, "late", image, 1)
	w.c.Eventually(t, "what was checked runs, or what was not is refused", time.Minute, func(ctx context.Context) error {
		return w.onlyChecked(ctx, ns, pinned(image, checked))
	})
	// Once it is looked into it is refused for what is in it.
	w.seen(t, w.r.Host+"/shop/moved@"+string(other))
	if err := w.c.Client().AppsV1().Deployments(ns).Delete(t.Context(), "late", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}

	tag, first := w.push(t, "shop/stays:1", good)
	w.seen(t, tag)
	w.c.CreateDeployment(t, ns, "first", tag, 1)
	wantImage(t, w.c.WaitRunning(t, ns, "first", 1, time.Minute), "first", pinned(tag, first))
	_, second := w.push(t, "shop/stays:1", good)
	w.s.kill() // what it remembers of the tag for a minute is gone
	w.s.start(t)
	w.seen(t, w.r.Host+"/shop/stays@"+string(second))
	w.scale(t, ns, "first", 3)
	wantImage(t, w.c.WaitRunning(t, ns, "first", 3, time.Minute), "first", pinned(tag, first))
	w.c.CreateDeployment(t, ns, "second", tag, 1)
	wantImage(t, w.c.WaitRunning(t, ns, "second", 1, time.Minute), "second", pinned(tag, second))
}

// onlyChecked complains until pods run what was checked or were refused what was
// not, and of any other pod.
func (w *world) onlyChecked(ctx context.Context, ns, checked string) error {
	pods, err := w.c.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		if got := pods.Items[i].Spec.Containers[0].Image; got != checked {
			return fmt.Errorf("%s runs, and only %s was checked", got, checked)
		}
	}
	if len(pods.Items) > 0 {
		return nil
	}
	events, err := w.c.Client().CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		return err
	}
	for i := range events.Items {
		if said := events.Items[i].Message; strings.Contains(said, "was not seen before") || strings.Contains(said, "CVE-2026-1001") {
			return nil
		}
	}
	return fmt.Errorf("no pods, and no refusal")
}

func (w *world) scale(t *testing.T, ns, name string, replicas int32) {
	t.Helper()
	deployments := w.c.Client().AppsV1().Deployments(ns)
	s, err := deployments.GetScale(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Spec.Replicas = replicas
	if _, err := deployments.UpdateScale(t.Context(), name, s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
