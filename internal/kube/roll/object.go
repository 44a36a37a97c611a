package roll

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// object is a Deployment, StatefulSet, DaemonSet or ReplicaSet, as far as hands look
// at it.
type object struct {
	*metav1.ObjectMeta
	template *corev1.PodTemplateSpec
	selector *metav1.LabelSelector // of its pods
	replicas int32
	// rolled is true when every pod is of this template and serves, and none of
	// another is left; failed says why that will not come.
	rolled bool
	failed string
	seen   string // how far it is, for people
	patch  func(ctx context.Context, patch []byte) error
}

// object looks one up live; nil where there is none, or another of the same name.
func (h *Hands) object(ctx context.Context, of rehydrate.Identity, uid string) (*object, error) {
	var o *object
	var err error
	apps := h.Client.AppsV1()
	switch of.Kind {
	case "Deployment":
		var d *appsv1.Deployment
		if d, err = apps.Deployments(of.Namespace).Get(ctx, of.Name, get()); err == nil {
			o = deployed(d)
			o.patch = func(ctx context.Context, p []byte) error {
				_, err := apps.Deployments(of.Namespace).Patch(ctx, of.Name, types.MergePatchType, p, by())
				return err
			}
		}
	case "StatefulSet":
		var d *appsv1.StatefulSet
		if d, err = apps.StatefulSets(of.Namespace).Get(ctx, of.Name, get()); err == nil {
			s, n := &d.Status, count(d.Spec.Replicas)
			o = &object{ObjectMeta: &d.ObjectMeta, template: &d.Spec.Template, selector: d.Spec.Selector, replicas: n}
			o.rolled = s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == n && s.AvailableReplicas == n && s.Replicas == n
			o.seen = fmt.Sprintf("%d of %d are new, %d serve", s.UpdatedReplicas, n, s.AvailableReplicas)
			o.patch = func(ctx context.Context, p []byte) error {
				_, err := apps.StatefulSets(of.Namespace).Patch(ctx, of.Name, types.MergePatchType, p, by())
				return err
			}
		}
	case "DaemonSet":
		var d *appsv1.DaemonSet
		if d, err = apps.DaemonSets(of.Namespace).Get(ctx, of.Name, get()); err == nil {
			s, n := &d.Status, d.Status.DesiredNumberScheduled
			o = &object{ObjectMeta: &d.ObjectMeta, template: &d.Spec.Template, selector: d.Spec.Selector, replicas: n}
			o.rolled = s.ObservedGeneration >= d.Generation && s.UpdatedNumberScheduled == n && s.NumberAvailable == n
			o.seen = fmt.Sprintf("%d of %d are new, %d serve", s.UpdatedNumberScheduled, n, s.NumberAvailable)
			o.patch = func(ctx context.Context, p []byte) error {
				_, err := apps.DaemonSets(of.Namespace).Patch(ctx, of.Name, types.MergePatchType, p, by())
				return err
			}
		}
	case "ReplicaSet":
		var d *appsv1.ReplicaSet
		if d, err = apps.ReplicaSets(of.Namespace).Get(ctx, of.Name, get()); err == nil {
			o = &object{ObjectMeta: &d.ObjectMeta, template: &d.Spec.Template, selector: d.Spec.Selector, replicas: count(d.Spec.Replicas)}
			o.patch = func(ctx context.Context, p []byte) error {
				_, err := apps.ReplicaSets(of.Namespace).Patch(ctx, of.Name, types.MergePatchType, p, by())
				return err
			}
		}
	default:
		return nil, fmt.Errorf("a %s cannot be changed", of.Kind)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking up the %s: %w", of, err)
	case string(o.UID) != uid || o.DeletionTimestamp != nil:
		return nil, nil
	}
	return o, nil
}

func deployed(d *appsv1.Deployment) *object {
	s, n := &d.Status, count(d.Spec.Replicas)
	o := &object{ObjectMeta: &d.ObjectMeta, template: &d.Spec.Template, selector: d.Spec.Selector, replicas: n}
	current := s.ObservedGeneration >= d.Generation
	o.rolled = current && s.UpdatedReplicas == n && s.Replicas == n && s.AvailableReplicas == n
	o.seen = fmt.Sprintf("%d of %d are new, %d serve", s.UpdatedReplicas, n, s.AvailableReplicas)
	for i := range s.Conditions {
		// ProgressDeadlineExceeded (apps/v1, Deployment.spec.progressDeadlineSeconds).
		if c := &s.Conditions[i]; current && c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			o.failed = c.Message
		}
	}
	return o
}
