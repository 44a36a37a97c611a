package admit_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/kube/admit"
)

func TestWhatWouldFollowIsJudgedAsAtTheDoor(t *testing.T) {
	f := newFront(t, func(c *admit.Config) { c.Guards = "touchstone-guard" })
	before := f.entries()
	for name, tc := range map[string]struct {
		pod       *corev1.Pod
		namespace string
		want      touchstone.Verdict
		says      string
	}{
		"let in":               {pod(at(cart, one)), "shop", touchstone.Allowed, ""},
		"by its tag":           {pod(cart), "shop", touchstone.Allowed, ""},
		"refused":              {pod(at(cart, one), root), "shop", touchstone.Refused, "runs-as-root"},
		"nobody can tell":      {pod(gone), "shop", touchstone.Undecided, "the registry does not answer"},
		"refused and unknown":  {pod(gone, root), "shop", touchstone.Refused, "runs-as-root"},
		"only reported on":     {pod(root), "trial", touchstone.Allowed, ""},
		"the gate's own":       {pod(root), "touchstone", touchstone.Allowed, ""},
		"its guards":           {pod(root), "touchstone-guard", touchstone.Allowed, ""},
		"milder elsewhere":     {pod(root), "lab", touchstone.Allowed, ""},
		"no image's name":      {pod("registry.example/UPPER:$(id)"), "shop", touchstone.Undecided, "UPPER"},
		"more than are judged": {many(3000), "shop", touchstone.Refused, "images in one pod"},
	} {
		verdict, reasons, err := f.hook.Follow(t.Context(), admit.Following{
			Namespace: tc.namespace, Owner: admit.Owner{Kind: "Deployment", Name: "cart", UID: "rs-1", Direct: "ReplicaSet"}, Spec: &tc.pod.Spec,
		})
		if err != nil || verdict != tc.want || !strings.Contains(strings.Join(reasons, "\n"), tc.says) || (len(reasons) == 0) != (verdict == touchstone.Allowed) {
			t.Errorf("%s: %s %q %v, want %s with %q", name, verdict, reasons, err, tc.want, tc.says)
		}
	}
	if f.entries() != before {
		t.Error("it was written down")
	}
}

// The guards' own pods get in, and what contradicts itself does not.
func TestTheGuardsGetIn(t *testing.T) {
	f := newFront(t, func(c *admit.Config) { c.Guards = "touchstone-guard" })
	if got := f.send("Pod", pod(at(root, two)), in("touchstone-guard")); !got.Allowed {
		t.Errorf("a guard is refused: %s", message(got))
	}
	if got := f.send("Pod", pod("registry.example/lie:1@"+string(two)), in("touchstone-guard")); got.Allowed {
		t.Error("what contradicts its digest is let in")
	}
	if got := newFront(t, nil).send("Pod", pod(at(root, two)), in("touchstone-guard")); got.Allowed {
		t.Error("a namespace of that name is let in where there are no guards")
	}
}

func many(n int) *corev1.Pod {
	images := make([]string, n)
	for i := range images {
		images[i] = cart
	}
	return pod(images...)
}
