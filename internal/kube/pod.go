package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/admit"
)

// pod is what is kept of a pod in memory; ten thousand of them take about 20 MB.
type pod struct {
	metav1.ObjectMeta // name, owners, labels, and the annotations of the gate
	node              string
	static            bool   // no API server has admitted it
	mirrored          string // the node's own UID of a static one
	credential        gate.Credential
	containers        []container
	declared          []gate.PodContainer // all of its spec
}

// container is one that runs, or an image that is mounted.
type container struct {
	name      string
	id        string            // as the node's runtime calls it
	reference string            // as the pod writes it
	digest    touchstone.Digest // as the node says it; empty while it does not
	since     time.Time         // when it was started
	settings  touchstone.Settings
}

// annotationMirror marks what a node shows of a pod that it runs by itself.
const annotationMirror = corev1.MirrorPodAnnotationKey

// annotationPrefix begins the names of the gate's own annotations.
const annotationPrefix = "touchstone.dev/"

// trimPod makes a pod of a corev1.Pod: what is stored is small, and read only.
func trimPod(o any) (any, error) {
	full, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil // a pod already
	}
	p := &pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: full.Namespace, Name: full.Name, UID: full.UID, ResourceVersion: full.ResourceVersion,
			CreationTimestamp: full.CreationTimestamp, OwnerReferences: full.OwnerReferences, Labels: full.Labels,
		},
		node:       full.Spec.NodeName,
		credential: gate.Credential{Namespace: full.Namespace, ServiceAccount: full.Spec.ServiceAccountName},
	}
	for name, value := range full.Annotations {
		if strings.HasPrefix(name, annotationPrefix) {
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, name, value)
		}
	}
	p.mirrored, p.static = full.Annotations[annotationMirror]
	for _, s := range full.Spec.ImagePullSecrets {
		p.credential.Secrets = append(p.credential.Secrets, s.Name)
	}
	settings, err := admit.SettingsOf(&full.Spec)
	if err != nil {
		return nil, fmt.Errorf("reading the pod %s/%s: %w", full.Namespace, full.Name, err)
	}
	p.containers = containers(full, settings)
	p.declared = declared(&full.Spec, settings)
	return p, nil
}

// containers lists what of the pod runs, with what it sets for each.
func containers(p *corev1.Pod, settings map[string]touchstone.Settings) []container {
	var out []container
	add := func(specs []corev1.Container, states []corev1.ContainerStatus) {
		for i := range specs {
			at := slices.IndexFunc(states, func(s corev1.ContainerStatus) bool { return s.Name == specs[i].Name })
			if at < 0 || !runs(&states[at]) {
				continue
			}
			out = append(out, container{
				name: specs[i].Name, id: idOf(states[at].ContainerID), reference: specs[i].Image, digest: digestOf(specs[i].Image, states[at].ImageID),
				since: since(&states[at], p), settings: settings[specs[i].Name],
			})
		}
	}
	add(p.Spec.InitContainers, p.Status.InitContainerStatuses)
	add(p.Spec.Containers, p.Status.ContainerStatuses)
	var debug []corev1.Container
	for i := range p.Spec.EphemeralContainers {
		debug = append(debug, corev1.Container(p.Spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
	add(debug, p.Status.EphemeralContainerStatuses)
	for i := range p.Spec.Volumes {
		// A mounted image is there while anything of the pod runs.
		if v := &p.Spec.Volumes[i]; v.Image != nil && len(out) > 0 {
			out = append(out, container{
				name: v.Name, reference: v.Image.Reference, digest: digestOf(v.Image.Reference, v.Image.Reference),
				since: p.CreationTimestamp.Time, settings: touchstone.Settings{NotRoot: true},
			})
		}
	}
	return out
}

// runs reports whether the container runs, or has run and is to again.
func runs(s *corev1.ContainerStatus) bool {
	return s.State.Running != nil || s.State.Waiting != nil && s.LastTerminationState.Terminated != nil
}

// since is when what runs in a container was started last: a node may have pulled
// something else for the same tag then, long after the pod was made. It is never
// before that: the API server says when a pod was made, and whoever may write its
// status what has started.
func since(s *corev1.ContainerStatus, p *corev1.Pod) time.Time {
	at := p.CreationTimestamp.Time
	if r := s.State.Running; r != nil && r.StartedAt.After(at) {
		return r.StartedAt.Time
	}
	if e := s.LastTerminationState.Terminated; s.State.Running == nil && e != nil && e.StartedAt.After(at) {
		return e.StartedAt.Time
	}
	return at
}

// idOf returns what the runtime calls a container, of "containerd://ID".
func idOf(status string) string {
	_, id, _ := strings.Cut(status, "://")
	return id
}

// digestOf returns the digest of the manifest that a node runs for a reference.
// What a node calls imageID is "repository@digest", which may be that of another
// repository with the same image: a digest in the reference itself comes first. An
// image that came from no registry has the digest of its config alone there, which
// names no manifest.
func digestOf(reference, imageID string) touchstone.Digest {
	if imageID == "" {
		return ""
	}
	if _, d, ok := strings.Cut(reference, "@"); ok {
		return touchstone.Digest(d)
	}
	_, d, _ := strings.Cut(imageID, "@")
	return touchstone.Digest(d)
}

// same reports whether two views of a pod tell the gate and the guards the same. Of
// what a pod declares only images change while it is there, and containers for debugging come.
func (p *pod) same(q *pod) bool {
	return p.UID == q.UID && p.node == q.node && maps.Equal(p.Labels, q.Labels) &&
		slices.EqualFunc(p.declared, q.declared, func(a, b gate.PodContainer) bool { return a.Name == b.Name && a.Image == b.Image }) &&
		slices.EqualFunc(p.containers, q.containers, func(a, b container) bool {
			return a.name == b.name && a.id == b.id && a.reference == b.reference && a.digest == b.digest && a.since.Equal(b.since)
		})
}
