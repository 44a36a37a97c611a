package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/kube/admit"
)

// Owner follows the controlling reference as admit.Cluster says. The topmost is
// what people deploy: a Deployment that an operator keeps is still the Deployment.
func (k *Cluster) Owner(ctx context.Context, namespace string, refs []metav1.OwnerReference) (admit.Owner, error) {
	ref := metav1.GetControllerOfNoCopy(&metav1.ObjectMeta{OwnerReferences: refs})
	if ref == nil {
		return admit.Owner{}, nil
	}
	out := admit.Owner{Kind: ref.Kind, Name: ref.Name, UID: string(ref.UID), Direct: ref.Kind}
	m, followed := makerOf(ref.APIVersion, ref.Kind)
	if !followed {
		return out, nil
	}
	found, err := k.object(ctx, k.makers[m.kind], m.resource, namespace, ref.Name, &ref.UID)
	if err != nil {
		return admit.Owner{}, err
	}
	if !m.up {
		return out, nil
	}
	above, err := k.Owner(ctx, namespace, found.OwnerReferences)
	if err != nil {
		return admit.Owner{}, err
	}
	if above.Kind != "" {
		out.Kind, out.Name = above.Kind, above.Name
	}
	return out, nil
}

// keeper is Owner by memory alone, for what runs already: what memory does not
// know is what the reference says.
func (k *Cluster) keeper(p *pod) (kind, name string) {
	ref := metav1.GetControllerOfNoCopy(&p.ObjectMeta)
	if ref == nil || p.static {
		return "Pod", p.Name
	}
	kind, name = ref.Kind, ref.Name
	m, followed := makerOf(ref.APIVersion, ref.Kind)
	if !followed || !m.up {
		return kind, name
	}
	if found, ok, _ := k.makers[m.kind].GetStore().GetByKey(p.Namespace + "/" + name); ok {
		if up := metav1.GetControllerOfNoCopy(found.(*metav1.PartialObjectMetadata)); up != nil {
			return up.Kind, up.Name
		}
	}
	return kind, name
}
