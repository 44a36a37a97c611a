package kube

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/admit"
)

// labelRevision is on the pods of what has revisions (apps/v1).
const labelRevision = "controller-revision-hash"

// Successor returns the pod that would be made in the place of one, by what keeps it
// now. none says why nothing would be; then there is no successor. asked is false
// where the door is not asked about the namespace.
func (k *Cluster) Successor(ctx context.Context, p *gate.Pod) (next *admit.Following, none string, asked bool, err error) {
	live, err := k.client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && !p.Static && string(live.UID) != p.UID:
		return nil, "the pod is not there any more", true, nil
	case err != nil:
		return nil, "", true, fmt.Errorf("looking up the pod %s/%s: %w", p.Namespace, p.Name, err)
	case p.Static:
		return nil, "the node runs the pod by itself, and no API server makes it again", true, nil
	}
	ref := metav1.GetControllerOfNoCopy(live)
	if ref == nil {
		return nil, "nothing keeps the pod, so that none would be made in its place", true, nil
	}
	template, none, err := k.template(ctx, p.Namespace, ref)
	if err != nil || none != "" {
		return nil, none, true, err
	}
	owner, err := k.Owner(ctx, p.Namespace, live.OwnerReferences)
	if err != nil {
		return nil, "", true, fmt.Errorf("looking up what keeps the pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	next = &admit.Following{Namespace: p.Namespace, Labels: live.Labels, Owner: owner, Revision: live.Labels[labelRevision], Spec: &live.Spec}
	if template != nil {
		if err := newer(next, template); err != nil {
			return nil, "", true, fmt.Errorf("reading what keeps the pod %s/%s: %w", p.Namespace, p.Name, err)
		}
	}
	return next, "", k.labelsOf(p.Namespace)[LabelGate] != GateOff, nil
}

// template returns what the direct owner of a pod makes pods of; nil for an owner of
// a kind that is not Kubernetes' own. none says why it would make none.
func (k *Cluster) template(ctx context.Context, namespace string, ref *metav1.OwnerReference) (t *corev1.PodTemplateSpec, none string, err error) {
	if _, followed := makerOf(ref.APIVersion, ref.Kind); !followed {
		return nil, "", nil
	}
	var meta *metav1.ObjectMeta
	wanted := int32(1)
	get := metav1.GetOptions{}
	switch ref.Kind {
	case "ReplicaSet":
		o, e := k.client.AppsV1().ReplicaSets(namespace).Get(ctx, ref.Name, get)
		meta, t, wanted, err = &o.ObjectMeta, &o.Spec.Template, count(o.Spec.Replicas), e
	case "StatefulSet":
		o, e := k.client.AppsV1().StatefulSets(namespace).Get(ctx, ref.Name, get)
		meta, t, wanted, err = &o.ObjectMeta, &o.Spec.Template, count(o.Spec.Replicas), e
	case "DaemonSet":
		o, e := k.client.AppsV1().DaemonSets(namespace).Get(ctx, ref.Name, get)
		meta, t, err = &o.ObjectMeta, &o.Spec.Template, e
	case "ReplicationController":
		o, e := k.client.CoreV1().ReplicationControllers(namespace).Get(ctx, ref.Name, get)
		meta, t, wanted, err = &o.ObjectMeta, o.Spec.Template, count(o.Spec.Replicas), e
	case "Job":
		o, e := k.client.BatchV1().Jobs(namespace).Get(ctx, ref.Name, get)
		meta, t, err = &o.ObjectMeta, &o.Spec.Template, e
		// A pod that is evicted counts as one that has failed (batch/v1, backoffLimit).
		if most := o.Spec.BackoffLimit; e == nil && most != nil && o.Status.Failed >= *most {
			none = "its Job has failed as often as it may"
		}
	default: // keeps no pods itself
		return nil, "", nil
	}
	what := ref.Kind + " " + ref.Name
	switch {
	case apierrors.IsNotFound(err), err == nil && meta.UID != ref.UID:
		return nil, "its " + what + " is gone, so that none would be made in its place", nil
	case err != nil:
		return nil, "", fmt.Errorf("looking up the %s of %s: %w", what, namespace, err)
	case meta.DeletionTimestamp != nil:
		return nil, "its " + what + " is being deleted", nil
	case wanted == 0:
		return nil, "its " + what + " wants no pod", nil
	}
	return t, none, nil
}

// count is how many replicas are wanted; one where nobody says.
func count(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// newer puts the template in the place of what runs, where it says otherwise. What
// others have put into the pod (sidecars) stays: they would again.
func newer(next *admit.Following, t *corev1.PodTemplateSpec) error {
	runs, err := admit.SettingsOf(next.Spec)
	if err != nil {
		return err
	}
	wants, err := admit.SettingsOf(&t.Spec)
	if err != nil {
		return err
	}
	own := func(c *corev1.Container) bool { // what runs is what the template says
		at := slices.IndexFunc(slices.Concat(next.Spec.InitContainers, next.Spec.Containers), func(l corev1.Container) bool { return l.Name == c.Name })
		return at >= 0 && unpinned(slices.Concat(next.Spec.InitContainers, next.Spec.Containers)[at].Image, c.Image) && reflect.DeepEqual(runs[c.Name], wants[c.Name])
	}
	same := true
	names := map[string]bool{}
	for _, c := range slices.Concat(t.Spec.InitContainers, t.Spec.Containers) {
		names[c.Name] = true
		same = same && own(&c)
	}
	if same {
		return nil
	}
	made := t.Spec.DeepCopy()
	for i := range next.Spec.InitContainers {
		if c := &next.Spec.InitContainers[i]; !names[c.Name] {
			made.InitContainers = append(made.InitContainers, *c)
		}
	}
	for i := range next.Spec.Containers {
		if c := &next.Spec.Containers[i]; !names[c.Name] {
			made.Containers = append(made.Containers, *c)
		}
	}
	made.ServiceAccountName, made.ImagePullSecrets = next.Spec.ServiceAccountName, next.Spec.ImagePullSecrets
	next.Spec, next.Labels, next.Revision = made, t.Labels, ""
	if next.Owner.UID != "" && next.Owner.Direct != "ReplicaSet" {
		next.Owner.UID += "/next" // its pods got no digest yet
	}
	return nil
}

// unpinned reports whether what runs is the image that the template names, but for
// the digest that the door has written behind it.
func unpinned(runs, template string) bool {
	if runs == template {
		return true
	}
	bare, _, pinned := strings.Cut(runs, "@")
	if !pinned || strings.Contains(template, "@") {
		return false
	}
	return bare == template || strings.TrimSuffix(bare, ":latest") == template
}
