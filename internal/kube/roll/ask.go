package roll

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// Door asks the gate about the very pod that would follow: the pod that runs, as its
// owner would make it now, is judged as it would be at the door.
type Door struct {
	Cluster *kube.Cluster
	Hook    *admit.Webhook
	// Resolve returns the digest that an image has now, or why it could not be pulled.
	Resolve func(ctx context.Context, reference string, by gate.Credential) (touchstone.Digest, string)
	Roll    *Cluster
}

var _ rehydrate.Gate = (*Door)(nil)

// Ask implements rehydrate.Gate. For a node it asks about every pod that would have
// to leave, and the worst holds.
func (d *Door) Ask(ctx context.Context, w *rehydrate.Workload) (rehydrate.Follower, error) {
	pods, err := d.pods(ctx, w)
	if err != nil {
		return rehydrate.Follower{}, err
	}
	if w.Means != rehydrate.Drain && len(pods) > 1 {
		pods = pods[:1] // all are made of one template
	}
	out := rehydrate.Follower{Answer: rehydrate.Allowed}
	for i := range pods {
		one, err := d.one(ctx, &pods[i], w)
		if err != nil {
			return rehydrate.Follower{}, err
		}
		out.New = out.New || one.New
		if rank(one.Answer) > rank(out.Answer) {
			out.Answer, out.Why = one.Answer, one.Why
			if w.Means == rehydrate.Drain {
				out.Why = pods[i].Namespace + "/" + pods[i].Name + ": " + one.Why
			}
		}
	}
	return out, nil
}

func rank(a rehydrate.Answer) int {
	return slices.Index([]rehydrate.Answer{rehydrate.Allowed, rehydrate.Unpullable, rehydrate.Undecided, rehydrate.Refused}, a)
}

// pods are those that would be replaced, live: of a workload any that runs.
func (d *Door) pods(ctx context.Context, w *rehydrate.Workload) ([]corev1.Pod, error) {
	if w.Means == rehydrate.Drain {
		list, err := d.Roll.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", w.Name).String()})
		if err != nil {
			return nil, fmt.Errorf("listing the pods of the node %s: %w", w.Name, err)
		}
		return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return leaves(&p) }), nil
	}
	found, err := d.Roll.pods.GetIndexer().ByIndex(cache.NamespaceIndex, w.Namespace)
	if err != nil {
		return nil, err
	}
	for _, o := range found {
		p := o.(*corev1.Pod)
		of, _, _ := d.Roll.owner(p)
		if of.kind == w.Kind && of.name == w.Name && p.DeletionTimestamp == nil {
			return []corev1.Pod{*p}, nil
		}
	}
	return nil, fmt.Errorf("no pod of the %s runs any more", w)
}

// one asks about what would follow one pod.
func (d *Door) one(ctx context.Context, p *corev1.Pod, w *rehydrate.Workload) (rehydrate.Follower, error) {
	no := func(why string) rehydrate.Follower { return rehydrate.Follower{Answer: rehydrate.Refused, Why: why} }
	next, none, asked, err := d.Cluster.Successor(ctx, &gate.Pod{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)})
	switch {
	case err != nil:
		return rehydrate.Follower{}, err
	case none != "":
		return no(none), nil
	}
	if w.Means == rehydrate.Rollout {
		if err := d.anew(ctx, w, next); err != nil {
			return rehydrate.Follower{}, err
		}
	}
	if asked {
		verdict, reasons, err := d.Hook.Follow(ctx, *next)
		if err != nil {
			return rehydrate.Follower{}, err
		}
		if verdict != touchstone.Allowed {
			out := rehydrate.Follower{Answer: rehydrate.Undecided, Why: shortly(strings.Join(reasons, "; "))}
			if verdict == touchstone.Refused {
				out.Answer = rehydrate.Refused
			}
			return out, nil
		}
	}
	return d.pulled(ctx, p, next), nil
}

// anew makes of the pod that would follow one that a rollout makes: of another
// ReplicaSet or revision, whose pods got no digest yet, and with the images as the
// template names them.
func (d *Door) anew(ctx context.Context, w *rehydrate.Workload, next *admit.Following) error {
	o, err := d.Roll.Hands().object(ctx, w.Identity, w.UID)
	if err != nil {
		return err
	}
	if o == nil {
		return fmt.Errorf("the %s is gone", w)
	}
	if next.Owner.UID != "" && !strings.HasSuffix(next.Owner.UID, "/next") {
		next.Owner.UID += "/next"
	}
	next.Spec = next.Spec.DeepCopy()
	for _, list := range [][2][]corev1.Container{{next.Spec.InitContainers, o.template.Spec.InitContainers}, {next.Spec.Containers, o.template.Spec.Containers}} {
		for i := range list[0] {
			for k := range list[1] {
				if list[0][i].Name == list[1][k].Name {
					list[0][i].Image = list[1][k].Image
				}
			}
		}
	}
	return nil
}

// pulled says whether each image could be pulled, and whether any is another than
// runs.
func (d *Door) pulled(ctx context.Context, p *corev1.Pod, next *admit.Following) rehydrate.Follower {
	out := rehydrate.Follower{Answer: rehydrate.Allowed}
	by := gate.Credential{Namespace: p.Namespace, ServiceAccount: next.Spec.ServiceAccountName}
	for _, s := range next.Spec.ImagePullSecrets {
		by.Secrets = append(by.Secrets, s.Name)
	}
	for _, c := range slices.Concat(next.Spec.InitContainers, next.Spec.Containers) {
		if c.ImagePullPolicy == corev1.PullNever {
			continue
		}
		digest, why := d.Resolve(ctx, c.Image, by)
		if why != "" {
			return rehydrate.Follower{Answer: rehydrate.Unpullable, Why: shortly(c.Image + ": " + why)}
		}
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if runs := runsAt(&s, p); s.Name == c.Name && runs != "" && digest != "" && runs != digest && comes(&c, p) {
				out.New = true
			}
		}
	}
	return out
}

// comes reports whether a new pod would run what its tag means now. Its node has an
// image of that name already, and asks for it again only where it is told to, or
// where the gate writes the digest in, as it did into the pod that runs. Else the
// old image would come again and again.
func comes(next *corev1.Container, p *corev1.Pod) bool {
	if next.ImagePullPolicy == corev1.PullAlways {
		return true
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if c.Name == next.Name {
			return strings.Contains(c.Image, "@")
		}
	}
	return false
}

// runsAt returns the digest that a container runs, in the repository that its image
// names; empty where nobody can tell. What a node calls imageID may be that of
// another repository with the same image.
func runsAt(s *corev1.ContainerStatus, p *corev1.Pod) touchstone.Digest {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if c.Name != s.Name {
			continue
		}
		bare, digest, pinned := strings.Cut(c.Image, "@")
		if pinned {
			return touchstone.Digest(digest)
		}
		if at := strings.LastIndexByte(bare, ':'); at > strings.LastIndexByte(bare, '/') {
			bare = bare[:at]
		}
		repository, digest, _ := strings.Cut(s.ImageID, "@")
		if repository == bare || strings.HasSuffix(repository, "/"+bare) {
			return touchstone.Digest(digest)
		}
	}
	return ""
}
