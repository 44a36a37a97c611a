package kube_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/admit"
)

func TestOwner(t *testing.T) {
	c := shared.Use(t)
	s := newCart(t, c, nil)
	ref := func(apiVersion, kind, name string, uid string) []metav1.OwnerReference {
		m := metav1.ObjectMeta{Name: name, UID: s.replicas.UID}
		if uid != "" {
			m.UID = "somebody-else"
		}
		return controlled(metav1.ObjectMeta{}, apiVersion, kind, &m).OwnerReferences
	}
	no := ref("apps/v1", "ReplicaSet", "cart-1", "")
	no[0].Controller = nil
	tests := map[string]struct {
		refs []metav1.OwnerReference
		want admit.Owner
		err  error
	}{
		"a ReplicaSet's Deployment": {refs: ref("apps/v1", "ReplicaSet", "cart-1", ""), want: admit.Owner{Kind: "Deployment", Name: "cart", UID: string(s.replicas.UID), Direct: "ReplicaSet"}},
		"nothing":                   {},
		"no controller":             {refs: no},
		"another of that name":      {refs: ref("apps/v1", "ReplicaSet", "cart-1", "other"), err: admit.ErrNone},
		"one that is not there":     {refs: ref("apps/v1", "ReplicaSet", "cart-9", ""), err: admit.ErrNone},
		"a kind that is not followed": {
			refs: ref("rollouts.example/v1", "Rollout", "cart", ""),
			want: admit.Owner{Kind: "Rollout", Name: "cart", UID: string(s.replicas.UID), Direct: "Rollout"},
		},
		"a kind that only sounds known": {
			refs: ref("rollouts.example/v1", "ReplicaSet", "cart-9", ""),
			want: admit.Owner{Kind: "ReplicaSet", Name: "cart-9", UID: string(s.replicas.UID), Direct: "ReplicaSet"},
		},
	}
	calling := newCluster(t, c, nil)
	remembering := newCluster(t, c, nil)
	await(t, run(t, remembering), s.namespace, func([]gate.Running) bool { return true })
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for how, k := range map[string]admit.Cluster{"by a call": calling, "by memory": remembering} {
				got, err := k.Owner(t.Context(), s.namespace, test.refs)
				if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.err) {
					t.Errorf("%s: %v; (-want +got)\n%s", how, err, diff)
				}
			}
		})
	}
}

// A pod is admitted before memory has heard of its ReplicaSet.
func TestLookupsKnowWhatWasJustMade(t *testing.T) {
	c := shared.Use(t)
	k := newCluster(t, c, nil)
	run(t, k) // the door blocks: memory may lag behind, the answers may not
	s := newCart(t, c, map[string]string{"stage": "dev"})
	s.pod(t, c, s.replicas, "cart-1-a", "sha256:1", func(p *corev1.Pod) { p.Labels["tier"] = "web" })
	got, err := k.Owner(t.Context(), s.namespace, controlled(metav1.ObjectMeta{}, "apps/v1", "ReplicaSet", &s.replicas.ObjectMeta).OwnerReferences)
	if err != nil || got.Kind != "Deployment" {
		t.Errorf("owner %+v: %v", got, err)
	}
	ns, err := k.Namespace(t.Context(), s.namespace)
	if err != nil || ns.Labels["stage"] != "dev" {
		t.Errorf("namespace %+v: %v", ns, err)
	}
	pod, err := k.Pod(t.Context(), s.namespace, "cart-1-a")
	if err != nil || pod.Labels["tier"] != "web" {
		t.Errorf("pod %+v: %v", pod, err)
	}
	if _, err := k.Namespace(t.Context(), "nowhere"); !errors.Is(err, admit.ErrNone) {
		t.Errorf("a namespace that is not there: %v", err)
	}
	if _, err := k.Pod(t.Context(), s.namespace, "nothing"); !errors.Is(err, admit.ErrNone) {
		t.Errorf("a pod that is not there: %v", err)
	}
}
