package roll

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// evicting replaces the oldest pod of a controller that makes another by itself. It
// cannot be undone: where the new one does not serve, no further pod is taken.
type evicting struct{ *Hands }

func (h evicting) look(ctx context.Context, s *rehydrate.Step) (rehydrate.Stage, string, error) {
	was := stateOf(s.Before)
	p, err := h.Client.CoreV1().Pods(s.Of.Namespace).Get(ctx, was.Pod, get())
	switch there := err == nil && string(p.UID) == was.PodUID; {
	case err != nil && !apierrors.IsNotFound(err):
		return rehydrate.NotBegun, "", fmt.Errorf("looking up the pod %s/%s: %w", s.Of.Namespace, was.Pod, err)
	case s.Undoing != "":
		return rehydrate.Undone, "", nil
	case there && p.DeletionTimestamp == nil:
		return asOld(s, p)
	case there:
		return rehydrate.Going, "the old pod ends", nil
	case s.Means == rehydrate.Job:
		return rehydrate.Ready, "", nil
	}
	serve, pods, err := h.serving(ctx, s)
	if err != nil {
		return rehydrate.NotBegun, "", err
	}
	if pods == 0 && serve == 0 {
		return rehydrate.Going, "no other pod is there yet", nil
	}
	if serve < pods || int32(pods) < was.Replicas {
		return rehydrate.Going, fmt.Sprintf("%d of %d pods serve", serve, max(pods, int(was.Replicas))), nil
	}
	return rehydrate.Ready, "", nil
}

// serving counts the pods of the same controller.
func (h evicting) serving(ctx context.Context, s *rehydrate.Step) (serve, all int, err error) {
	list, err := h.Client.CoreV1().Pods(s.Of.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, 0, fmt.Errorf("listing the pods of the %s: %w", s.Of, err)
	}
	for i := range list.Items {
		p := &list.Items[i]
		ref := metav1.GetControllerOfNoCopy(p)
		if ref == nil || string(ref.UID) != s.UID || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		if all++; ready(p) && p.DeletionTimestamp == nil {
			serve++
		}
	}
	return serve, all, nil
}

// begin evicts the pod, so that disruption budgets hold; past the deadline it is
// deleted.
func (h evicting) begin(ctx context.Context, s *rehydrate.Step) error {
	was := stateOf(s.Before)
	if was.PodUID == "" {
		return changed("nobody knows which pod of the %s is the oldest", s.Of)
	}
	if s.Forced {
		return h.removed(ctx, s.Of.Namespace, was.Pod, was.PodUID)
	}
	return h.evicted(ctx, s.Of.Namespace, was.Pod, was.PodUID)
}

// evicted evicts a very pod (policy/v1 Eviction). What a disruption budget keeps is
// an error of ErrChanged: it has changed since the plan.
func (h *Hands) evicted(ctx context.Context, namespace, name, uid string) error {
	id := types.UID(uid)
	err := h.Client.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: namespace, Name: name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &id}},
	})
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil
	case apierrors.IsTooManyRequests(err):
		return changed("the pod %s/%s is held: %s", namespace, name, shortly(err.Error()))
	}
	return fmt.Errorf("evicting the pod %s/%s: %w", namespace, name, err)
}

func (evicting) goOn(context.Context, *rehydrate.Step) error { return nil }
func (evicting) undo(context.Context, *rehydrate.Step) error { return nil }

// stopping has a workload end, because nothing may follow it and the rules say stop.
// What has replicas keeps none, and remembers how many there were; of everything
// else the pods are deleted, and the door refuses what follows.
type stopping struct{ *Hands }

func (h stopping) scaled(s *rehydrate.Step) bool {
	return s.Of.Kind == "Deployment" || s.Of.Kind == "StatefulSet" || s.Of.Kind == "ReplicaSet"
}

func (h stopping) look(ctx context.Context, s *rehydrate.Step) (rehydrate.Stage, string, error) {
	if !h.scaled(s) {
		was := stateOf(s.Before)
		p, err := h.Client.CoreV1().Pods(s.Of.Namespace).Get(ctx, was.Pod, get())
		switch {
		case apierrors.IsNotFound(err), err == nil && string(p.UID) != was.PodUID:
			return rehydrate.Ready, "", nil
		case err != nil:
			return rehydrate.NotBegun, "", err
		case p.DeletionTimestamp != nil:
			return rehydrate.Going, "", nil
		}
		return asOld(s, p)
	}
	o, err := h.object(ctx, s.Of, s.UID)
	switch {
	case err != nil:
		return rehydrate.NotBegun, "", err
	case o == nil:
		return rehydrate.Gone, "it is gone", nil
	case o.replicas == 0:
		return rehydrate.Ready, "", nil
	case s.Undoing != "":
		return rehydrate.Undone, "", nil
	case released(o, s):
		return rehydrate.Strange, "somebody has changed it meanwhile", nil
	default:
		return h.old(ctx, s, o)
	}
}

// released reports whether the object is another than the step was planned for:
// what somebody has just put right is not made to end. Of what is evicted no
// generation is known.
func released(o *object, s *rehydrate.Step) bool {
	was := stateOf(s.Before)
	return was.Generation != 0 && o.Generation != was.Generation
}

func (h stopping) begin(ctx context.Context, s *rehydrate.Step) error {
	if !h.scaled(s) {
		was := stateOf(s.Before)
		return h.removed(ctx, s.Of.Namespace, was.Pod, was.PodUID)
	}
	return again(func() error {
		o, err := h.object(ctx, s.Of, s.UID)
		if err != nil {
			return err
		}
		switch {
		case o == nil:
			return changed("the %s is gone", s.Of)
		case o.replicas == 0:
			return nil
		case released(o, s):
			return changed("somebody has changed the %s", s.Of)
		}
		patch, err := merge(o.ResourceVersion, map[string]any{"annotations": map[string]any{AnnotationStopped: strconv.Itoa(int(o.replicas))}},
			map[string]any{"spec": map[string]any{"replicas": 0}})
		if err != nil {
			return err
		}
		return o.patch(ctx, patch)
	})
}

func (stopping) goOn(context.Context, *rehydrate.Step) error { return nil }
func (stopping) undo(context.Context, *rehydrate.Step) error { return nil }
