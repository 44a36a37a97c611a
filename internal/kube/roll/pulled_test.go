package roll

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// A rebuilt image waits only where a new pod would run it: else it would be replaced
// by the same again and again.
func TestARebuiltImageWaitsWhereItComes(t *testing.T) {
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	const tag = "registry.example/shop/cart:1.4"
	for _, test := range []struct {
		name    string
		runs    string // as the pod that runs names it
		next    string
		policy  corev1.PullPolicy
		now     string // what the name means
		answer  rehydrate.Answer
		waiting bool
	}{
		{"pinned by the gate", tag + "@" + one, tag, corev1.PullIfNotPresent, two, rehydrate.Allowed, true},
		{"pinned by the gate, the same", tag + "@" + one, tag, corev1.PullIfNotPresent, one, rehydrate.Allowed, false},
		{"pulled always", tag, tag, corev1.PullAlways, two, rehydrate.Allowed, true},
		{"its node has an image of that name", tag, tag, corev1.PullIfNotPresent, two, rehydrate.Allowed, false},
		{"never pulled", tag, tag, corev1.PullNever, two, rehydrate.Allowed, false},
		{"it cannot be pulled", tag, tag, corev1.PullAlways, "", rehydrate.Unpullable, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &Door{Resolve: func(context.Context, string, gate.Credential) (touchstone.Digest, string) {
				if test.now == "" {
					return "", "it is gone"
				}
				return touchstone.Digest(test.now), ""
			}}
			p := &corev1.Pod{
				Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: "cart", Image: test.runs}}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "cart", ImageID: "registry.example/shop/cart@" + one}}},
			}
			next := &admit.Following{Spec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "cart", Image: test.next, ImagePullPolicy: test.policy}}}}
			if got := d.pulled(t.Context(), p, next); got.Answer != test.answer || got.New != test.waiting {
				t.Errorf("%+v", got)
			}
		})
	}
}
