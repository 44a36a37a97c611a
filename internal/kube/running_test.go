package kube_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
)

func TestTheDoorIsToldWhatRuns(t *testing.T) {
	c := shared.Use(t)
	s := newCart(t, c, map[string]string{"stage": "dev"})
	a := s.pod(t, c, s.replicas, "a", "sha256:1", func(p *corev1.Pod) {
		p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
		p.Spec.ServiceAccountName = "shop"
		p.Spec.HostPID = true
		p.Spec.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
	})
	b := s.pod(t, c, nil, "b", "sha256:2", func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "1"}
		p.Labels = map[string]string{touchstone.LabelEnvironment: "prod"}
	})
	k := newCluster(t, c, nil)
	told := run(t, k)
	got := await(t, told, s.namespace, func(all []gate.Running) bool { return len(all) == 2 })

	place := touchstone.Place{
		Environment: "dev", Cluster: "pay-1", Namespace: s.namespace, Node: "node1", Class: touchstone.ClassApplication, Owner: "team-shop",
		Assumed: []string{"class application", "exposure unknown: any, for the order of what to fix first"},
	}
	stricter := place
	stricter.Environment = "prod"
	settings := touchstone.Settings{User: "1000", NotRoot: true}
	more := settings
	more.Host, more.Capabilities = []string{"pid"}, []string{"NET_ADMIN"}
	want := []gate.Running{ // nothing that is said to have started before its pod was made did
		{
			Place: place, Workload: touchstone.Workload{Kind: "Deployment", Name: "cart", Container: "cart"}, Pod: "a", PodUID: string(a.UID), ID: "a-cart", Since: a.CreationTimestamp.Time,
			Reference: "registry.example/shop/cart:1.4", Digest: "sha256:1", Settings: more,
			Credential: gate.Credential{Namespace: s.namespace, Secrets: []string{"pull"}, ServiceAccount: "shop"},
		},
		{
			Place: stricter, Workload: touchstone.Workload{Kind: "Pod", Name: "b", Container: "cart"}, Pod: "b", PodUID: "1", ID: "b-cart", Since: b.CreationTimestamp.Time,
			Reference: "registry.example/shop/cart:1.4", Digest: "sha256:2", Settings: settings, Static: true,
			Credential: gate.Credential{Namespace: s.namespace},
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	check(t, c.Client().CoreV1().Pods(s.namespace).Delete(t.Context(), "b", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	await(t, told, s.namespace, func(all []gate.Running) bool { return len(all) == 1 && all[0].Pod == "a" })
}

func TestRunsIsThatOfTheOldestPod(t *testing.T) {
	c := shared.Use(t)
	s := newCart(t, c, nil)
	s.pod(t, c, s.replicas, "a", "sha256:1", nil)
	time.Sleep(time.Second) // Kubernetes counts seconds
	s.pod(t, c, s.revision(t, c, "cart-2"), "b", "sha256:2", nil)
	k := newCluster(t, c, nil)
	told := run(t, k)
	await(t, told, s.namespace, func(all []gate.Running) bool { return len(all) == 2 })
	for want, w := range map[touchstone.Digest]touchstone.Workload{
		"sha256:1": {Kind: "Deployment", Name: "cart", Container: "cart"},
		"sha256:2": {Kind: "Pod", Name: "b", Container: "cart"},
		"":         {Kind: "Deployment", Name: "cart", Container: "sidecar"},
	} {
		if got := k.Runs(s.namespace, w); got != want {
			t.Errorf("%+v runs %q, want %q", w, got, want)
		}
	}
}

func TestNamespacesWithoutTheGateAreTold(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "dead", map[string]string{kube.LabelGate: kube.GateOff})
	off := make(chan []string, 100)
	told := run(t, newCluster(t, c, func(config *kube.Config) { config.GateOff = func(all []string) { off <- all } }))
	go func() {
		for range told {
		}
	}()
	await := func(want bool) {
		t.Helper()
		for {
			select {
			case all := <-off:
				if slices.Contains(all, ns) == want {
					return
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("not told that %s is off: %v", ns, want)
			}
		}
	}
	await(true)
	_, err := c.Client().CoreV1().Namespaces().Update(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.UpdateOptions{})
	check(t, err)
	await(false)
}
