package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// A server that dies lets nothing in where it stands, holds up nothing that the
// cluster needs to start, has lost nothing when it is back, and what waited gets
// in by itself.
func killed(t *testing.T, w *world) {
	w.enforce(t, "kube-system")
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/killed:1", good)
	w.seen(t, image)

	const replicas = 12
	w.c.CreateDeployment(t, ns, "cart", image, replicas)
	wait(t, "the first pods", 3*time.Minute, func(ctx context.Context) error {
		pods, err := w.c.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) == 0 {
			err = errors.New("there are none")
		}
		return err
	})
	w.s.kill()
	if pods, err := w.c.Client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Logf("killed when %d of %d pods were let in", len(pods.Items), replicas)
	}
	wantRefused(t, w.create(t, ns, "late", image), "failed calling webhook")
	w.passed(t, "past-a-dead-gate", image)
	w.s.start(t)
	pods := w.c.WaitRunning(t, ns, "cart", replicas, 2*time.Minute)
	wantImage(t, pods, "cart", pinned(image, digest))
	w.wantFinding(t, "kube-system", "past-a-dead-gate")

	unseen, digest := w.push(t, "shop/killed:2", good)
	release := w.slow.hold(t)
	w.c.CreateDeployment(t, ns, "second", unseen, 1)
	w.slow.asked(t)
	w.refusal(t, ns, "was not seen before", unseen)
	w.s.kill()
	w.slow.forget()
	w.s.start(t)
	w.slow.asked(t) // the scan that died is taken up again
	release()
	pods = w.c.WaitRunning(t, ns, "second", 1, 2*time.Minute)
	wantImage(t, pods, "second", pinned(unseen, digest))
	scanned := w.scanned(t, w.r.Host+"/shop/killed", digest).Truncate(time.Second) // as the pods' clock tells
	in := pods[0].CreationTimestamp.Sub(scanned)
	t.Logf("let in %s after the end of the scan", in)
	if in > mostWait {
		t.Errorf("let in %s after the end of the scan, want at most %s", in, mostWait)
	}

	log, err := w.s.VerifyLog(t.Context(), "")
	if err != nil || len(log.Faults) > 0 {
		t.Errorf("the log does not verify: %+v, %v", log, err)
	}
	if out := w.s.run(t, "log", "verify", "--data", w.s.data); strings.Contains(out, "fault") {
		t.Errorf("log verify says\n%s", out)
	}
}

// passed makes a pod in a system namespace, which nothing holds up.
func (w *world) passed(t *testing.T, name, image string) {
	t.Helper()
	began := time.Now()
	w.c.CreatePod(t, "kube-system", name, image)
	t.Cleanup(func() {
		_ = w.c.Client().CoreV1().Pods("kube-system").Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a system pod waited %s for a gate that is dead", took)
	}
}

// wantFinding fails unless the server finds that the pod was never asked about.
func (w *world) wantFinding(t *testing.T, ns, pod string) {
	t.Helper()
	wait(t, "what passed unseen is a finding", 3*time.Minute, func(ctx context.Context) error {
		all, err := w.running(ctx, ns)
		if err != nil {
			return err
		}
		for _, one := range all {
			if one.Pod == pod && slices.ContainsFunc(one.Findings, func(f touchstone.Finding) bool { return f.Rule == gate.RuleAdmission }) {
				return nil
			}
		}
		return fmt.Errorf("known is %+v", all)
	})
}
