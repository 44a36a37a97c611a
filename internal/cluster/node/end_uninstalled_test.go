package node

import (
	"context"
	"testing"
	"time"
)

// A cluster without the gate is as it was: what runs runs on, and the dead server
// holds nothing up.
func uninstalled(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, _ := w.push(t, "shop/gone:1", bad)
	w.s.run(t, "admit", "uninstall", "--kubeconfig", w.c.Kubeconfig(), "--apply")
	w.s.kill()
	wait(t, "pods come in", time.Minute, func(context.Context) error { return w.create(t, ns, "cart", image) })
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 1, time.Minute), "cart", image)
}
