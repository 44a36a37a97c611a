package roll

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// old says whether what runs is as old as the step says, by a list of the very pods:
// informers may be a moment behind, and what they tell then has been replaced.
func (h *Hands) old(ctx context.Context, s *rehydrate.Step, o *object) (rehydrate.Stage, string, error) {
	pods, err := h.of(ctx, s, o)
	if err != nil {
		return rehydrate.NotBegun, "", err
	}
	return asOld(s, pods...)
}

// asOld says whether the oldest of the pods is as old as the step says.
func asOld(s *rehydrate.Step, pods ...*corev1.Pod) (rehydrate.Stage, string, error) {
	var oldest time.Time
	for _, p := range pods {
		if began, _ := started(p); !began.IsZero() && (oldest.IsZero() || began.Before(oldest)) {
			oldest = began
		}
	}
	switch {
	case oldest.IsZero():
		return rehydrate.Strange, "nothing of it runs", nil
	case s.Younger(oldest):
		return rehydrate.Strange, "it runs since " + stamp(oldest) + ", and was thought older", nil
	default:
		return rehydrate.NotBegun, "", nil
	}
}

// of are the pods of an object that run, live.
func (h *Hands) of(ctx context.Context, s *rehydrate.Step, o *object) ([]*corev1.Pod, error) {
	labelled := metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(o.selector)}
	keepers := map[types.UID]bool{o.UID: true}
	if s.Of.Kind == "Deployment" {
		list, err := h.Client.AppsV1().ReplicaSets(s.Of.Namespace).List(ctx, labelled)
		if err != nil {
			return nil, fmt.Errorf("listing the ReplicaSets of the %s: %w", s.Of, err)
		}
		for i := range list.Items {
			if r := &list.Items[i]; metav1.IsControlledBy(r, o) {
				keepers[r.UID] = true
			}
		}
	}
	list, err := h.Client.CoreV1().Pods(s.Of.Namespace).List(ctx, labelled)
	if err != nil {
		return nil, fmt.Errorf("listing the pods of the %s: %w", s.Of, err)
	}
	var out []*corev1.Pod
	for i := range list.Items {
		p := &list.Items[i]
		if ref := metav1.GetControllerOfNoCopy(p); ref != nil && keepers[ref.UID] && runs(p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// runs reports whether a pod counts as one that runs: it is on a node, has not ended
// and is not about to.
func runs(p *corev1.Pod) bool {
	return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed && p.DeletionTimestamp == nil && p.Spec.NodeName != ""
}
