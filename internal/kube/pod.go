package kube

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// pod is what is kept of a pod in memory; ten thousand of them take about 20 MB.
type pod struct {
	metav1.ObjectMeta // name, owners, labels, and the annotations of the gate
	node              string
	static            bool // no API server has admitted it
	credential        gate.Credential
	containers        []container
}

// container is one that runs, or an image that is mounted.
type container struct {
	name      string
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
	_, p.static = full.Annotations[annotationMirror]
	for _, s := range full.Spec.ImagePullSecrets {
		p.credential.Secrets = append(p.credential.Secrets, s.Name)
	}
	p.containers = containers(full)
	return p, nil
}

// containers lists what of the pod runs.
func containers(p *corev1.Pod) []container {
	var out []container
	add := func(specs []corev1.Container, states []corev1.ContainerStatus) {
		for i := range specs {
			at := slices.IndexFunc(states, func(s corev1.ContainerStatus) bool { return s.Name == specs[i].Name })
			if at < 0 || !runs(&states[at]) {
				continue
			}
			out = append(out, container{
				name: specs[i].Name, reference: specs[i].Image, digest: digestOf(specs[i].Image, states[at].ImageID),
				since: since(&states[at]), settings: settings(&p.Spec, &specs[i]),
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
// something else for the same tag then, long after the pod was made.
func since(s *corev1.ContainerStatus) time.Time {
	if s.State.Running != nil {
		return s.State.Running.StartedAt.Time
	}
	return s.LastTerminationState.Terminated.StartedAt.Time
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

// settings returns what the pod sets for the container, the container's own
// security context over the pod's (core/v1 SecurityContext).
func settings(spec *corev1.PodSpec, c *corev1.Container) touchstone.Settings {
	out := touchstone.Settings{Command: c.Command, Args: c.Args}
	var user, group *int64
	if s := spec.SecurityContext; s != nil {
		user, group = s.RunAsUser, s.RunAsGroup
		out.NotRoot = s.RunAsNonRoot != nil && *s.RunAsNonRoot
	}
	if s := c.SecurityContext; s != nil {
		if s.RunAsUser != nil {
			user = s.RunAsUser
		}
		if s.RunAsGroup != nil {
			group = s.RunAsGroup
		}
		if s.RunAsNonRoot != nil {
			out.NotRoot = *s.RunAsNonRoot
		}
		out.Privileged = s.Privileged != nil && *s.Privileged
		if s.Capabilities != nil {
			for _, added := range s.Capabilities.Add {
				out.Capabilities = append(out.Capabilities, string(added))
			}
		}
	}
	if user != nil {
		out.User = strconv.FormatInt(*user, 10)
		if group != nil {
			out.User = fmt.Sprintf("%d:%d", *user, *group)
		}
	}
	out.Host = shared(spec, c)
	return out
}

// shared lists what of the node the container shares, as touchstone.Settings.Host
// says it.
func shared(spec *corev1.PodSpec, c *corev1.Container) []string {
	var out []string
	for _, share := range []struct {
		yes  bool
		what string
	}{{spec.HostNetwork, "network"}, {spec.HostPID, "pid"}, {spec.HostIPC, "ipc"}} {
		if share.yes {
			out = append(out, share.what)
		}
	}
	for _, mount := range c.VolumeMounts {
		at := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name && v.HostPath != nil })
		if at < 0 {
			continue
		}
		if path := "path " + spec.Volumes[at].HostPath.Path; !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// same reports whether two views of a pod tell the gate the same.
func (p *pod) same(q *pod) bool {
	return p.UID == q.UID && p.node == q.node && maps.Equal(p.Labels, q.Labels) &&
		slices.EqualFunc(p.containers, q.containers, func(a, b container) bool {
			return a.name == b.name && a.reference == b.reference && a.digest == b.digest && a.since.Equal(b.since)
		})
}
