package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"touchstone.dev/touchstone/internal/kube/admit"
)

// maker is a kind of object that keeps pods, or what keeps them.
type maker struct {
	kind     string
	resource schema.GroupVersionResource
	// up is true where its own controlling reference leads to the workload that
	// people know.
	up bool
}

// makers lists the kinds that are followed: those of Kubernetes' own.
func makers() []maker {
	apps := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: resource}
	}
	batch := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: resource}
	}
	return []maker{
		{"ReplicaSet", apps("replicasets"), true},
		{"Job", batch("jobs"), true},
		{"Deployment", apps("deployments"), false},
		{"StatefulSet", apps("statefulsets"), false},
		{"DaemonSet", apps("daemonsets"), false},
		{"CronJob", batch("cronjobs"), false},
		{"ReplicationController", schema.GroupVersionResource{Version: "v1", Resource: "replicationcontrollers"}, false},
	}
}

// makerOf returns the maker that a reference names: by group and kind, whatever
// the version.
func makerOf(apiVersion, kind string) (maker, bool) {
	group, err := schema.ParseGroupVersion(apiVersion)
	for _, m := range makers() {
		if err == nil && m.kind == kind && m.resource.Group == group.Group {
			return m, true
		}
	}
	return maker{}, false
}

func namespaceResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
}

// indexKeeper finds objects by what keeps them: "namespace/Kind/name" of the
// controlling reference.
const indexKeeper = "keeper"

func byKeeper() cache.Indexers {
	return cache.Indexers{indexKeeper: func(o any) ([]string, error) {
		object, ok := o.(metav1.Object)
		if !ok {
			return nil, fmt.Errorf("%T has no metadata", o)
		}
		if ref := metav1.GetControllerOf(object); ref != nil {
			return []string{keeperKey(object.GetNamespace(), ref.Kind, ref.Name)}, nil
		}
		return nil, nil
	}}
}

func keeperKey(namespace, kind, name string) string { return namespace + "/" + kind + "/" + name }

// metadataInformer keeps the metadata of one kind of object, as far as trim
// leaves it.
func (k *Cluster) metadataInformer(resource schema.GroupVersionResource, trim cache.TransformFunc) cache.SharedIndexInformer {
	i := metadatainformer.NewFilteredMetadataInformer(k.metadata, resource, metav1.NamespaceAll, 0, byKeeper(), nil).Informer()
	_ = i.SetTransform(trim) // fails only on one that runs
	return i
}

// keepMetadata keeps what people write.
func keepMetadata(o any) (any, error) {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok {
		m.ManagedFields = nil
	}
	return o, nil
}

// dropMetadata keeps who keeps it alone.
func dropMetadata(o any) (any, error) {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok {
		m.ObjectMeta = metav1.ObjectMeta{
			Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
			CreationTimestamp: m.CreationTimestamp, OwnerReferences: m.OwnerReferences,
		}
	}
	return o, nil
}

// object returns an object's metadata from memory, or by a call where memory has
// not the one that is asked for. uid names the very object; nil takes any of that
// name.
func (k *Cluster) object(ctx context.Context, from cache.SharedIndexInformer, resource schema.GroupVersionResource, namespace, name string, uid *types.UID) (*metav1.ObjectMeta, error) {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	if found, ok, _ := from.GetStore().GetByKey(key); ok {
		if m := found.(*metav1.PartialObjectMetadata); uid == nil || m.UID == *uid {
			return &m.ObjectMeta, nil
		}
	}
	live, err := k.metadata.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, admit.ErrNone
	case err != nil:
		return nil, fmt.Errorf("looking up %s %s: %w", resource.Resource, key, err)
	case uid != nil && live.UID != *uid:
		return nil, admit.ErrNone
	}
	return &live.ObjectMeta, nil
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
