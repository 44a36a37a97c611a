package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/gate"
)

// A pod that a node runs of itself is shown, listed as such, scanned, judged and a
// finding: no API server could have refused it.
func static(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/static:1", bad)
	pod := cluster.Pod(ns, "static", cluster.ByDigest(image, digest))
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	manifest, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.c.StaticFolder(), "end.json")
	if err := os.WriteFile(file, manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file) })
	w.c.WaitRunning(t, ns, "static", 1, time.Minute)
	wait(t, "it is listed, judged and a finding", time.Minute, func(ctx context.Context) error {
		all, err := w.running(ctx, ns)
		if err != nil || len(all) != 1 || !all[0].Static || all[0].Verdict != touchstone.Refused {
			return fmt.Errorf("known is %+v: %w", all, err)
		}
		for _, rule := range []string{gate.RuleAdmission, "cvss"} {
			if !slices.ContainsFunc(all[0].Findings, func(f touchstone.Finding) bool { return f.Rule == rule }) {
				return fmt.Errorf("no finding of the rule %s: %+v", rule, all[0].Findings)
			}
		}
		return nil
	})
}
