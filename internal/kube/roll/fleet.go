package roll

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// Fleet implements rehydrate.Runs, by memory.
func (k *Cluster) Fleet(ctx context.Context) (*rehydrate.Fleet, rehydrate.Limits, error) {
	if !k.Synced() {
		return nil, rehydrate.Limits{}, errNotYet
	}
	book, err := k.c.Road.Book(ctx)
	if err != nil {
		return nil, rehydrate.Limits{}, fmt.Errorf("reading the rules: %w", err)
	}
	now := k.c.Now()
	findings, err := k.found.look(ctx, k.c.Found, k.c.Name, now)
	if err != nil {
		return nil, rehydrate.Limits{}, fmt.Errorf("looking up what is found on what runs: %w", err)
	}
	g := gathering{Cluster: k, rules: book.Rules, policies: k.hours.Policies(book.Rules, book.Waivers, book.Freezes, now), findings: findings, fleet: &rehydrate.Fleet{Allowed: map[string]int{}}, owners: map[owner]*kept{}}
	g.selectors()
	for _, o := range k.pods.GetStore().List() {
		g.pod(o.(*corev1.Pod))
	}
	for _, one := range g.owners {
		g.workload(one)
	}
	g.nodes()
	slices.SortFunc(g.fleet.Workloads, func(a, b rehydrate.Workload) int { return cmp.Compare(a.Key(), b.Key()) })
	return g.fleet, g.policies.Limits(), nil
}

// gathering is one Fleet on its way.
type gathering struct {
	*Cluster
	rules    *touchstone.Rules
	policies *rehydrate.Policies
	findings map[rehydrate.Identity]finding
	fleet    *rehydrate.Fleet
	owners   map[owner]*kept
	services map[string][]selector // by namespace
	guards   map[string][]selector
}

// owner is what keeps pods: a Deployment and not its ReplicaSets.
type owner struct{ namespace, kind, name string }

// kept are the pods of one owner.
type kept struct {
	owner
	uid    string
	pods   []*corev1.Pod
	static bool
}

// selector is a Service or disruption budget.
type selector struct {
	key string
	labels.Selector
}

// selectors finds the services and budgets of each namespace.
func (g *gathering) selectors() {
	g.services, g.guards = map[string][]selector{}, map[string][]selector{}
	for _, o := range g.Cluster.services.GetStore().List() {
		if s := o.(*corev1.Service); len(s.Spec.Selector) > 0 {
			g.services[s.Namespace] = append(g.services[s.Namespace], selector{s.Namespace + "/" + s.Name, labels.SelectorFromSet(s.Spec.Selector)})
		}
	}
	for _, o := range g.Cluster.guards.GetStore().List() {
		b := o.(*policyv1.PodDisruptionBudget)
		s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			continue // the API server lets none in
		}
		key := b.Namespace + "/" + b.Name
		g.guards[b.Namespace] = append(g.guards[b.Namespace], selector{key, s})
		if g.fleet.Allowed[key] = int(b.Status.DisruptionsAllowed); b.Status.ObservedGeneration < b.Generation {
			g.fleet.Allowed[key] = 0 // nobody has counted for this one yet
		}
	}
}

func matching(all []selector, of map[string]string) []string {
	var out []string
	for _, s := range all {
		if s.Matches(labels.Set(of)) {
			out = append(out, s.key)
		}
	}
	slices.Sort(out)
	return out
}

// pod puts a pod that runs to its owner.
func (g *gathering) pod(p *corev1.Pod) {
	if !runs(p) {
		return
	}
	of, uid, static := g.owner(p)
	one := g.owners[of]
	if one == nil {
		one = &kept{owner: of, uid: uid, static: static}
		g.owners[of] = one
	}
	one.pods = append(one.pods, p)
}

// owner is what keeps a pod, and its UID.
func (k *Cluster) owner(p *corev1.Pod) (of owner, uid string, static bool) {
	of, uid = owner{p.Namespace, "Pod", p.Name}, string(p.UID)
	ref := metav1.GetControllerOfNoCopy(p)
	if _, static = p.Annotations[corev1.MirrorPodAnnotationKey]; static || ref == nil {
		return of, uid, static
	}
	of.kind, of.name, uid = ref.Kind, ref.Name, string(ref.UID)
	if o, ok, _ := k.replicaSets.GetStore().GetByKey(p.Namespace + "/" + ref.Name); ok && ref.Kind == "ReplicaSet" {
		if up := metav1.GetControllerOfNoCopy(o.(*appsv1.ReplicaSet)); up != nil && up.Kind == "Deployment" {
			of.kind, of.name, uid = up.Kind, up.Name, string(up.UID)
		}
	}
	return of, uid, false
}

// workload makes one of an owner and its pods.
func (g *gathering) workload(of *kept) {
	w := rehydrate.Workload{
		Identity: rehydrate.Identity{Cluster: g.c.Name, Namespace: of.namespace, Kind: of.kind, Name: of.name},
		UID:      of.uid, Gate: slices.Contains(g.c.Own, of.namespace),
	}
	var oldest *corev1.Pod
	var images []touchstone.Artifact
	for _, p := range of.pods {
		w.Pods++
		if ready(p) {
			w.Ready++
		}
		began, image := started(p)
		if !began.IsZero() && (w.Started.IsZero() || began.Before(w.Started)) {
			w.Started, w.Image, oldest = began, image, p
		}
		for i := range p.Spec.Containers {
			images = append(images, touchstone.Artifact{Name: p.Spec.Containers[i].Image, Kind: touchstone.KindImage})
		}
	}
	place := g.place(of.pods[0])
	w.Owner, w.Wanted = place.Owner, w.Pods
	w.Policy = g.policies.Of(&place, images)
	w.Services, w.Guards = matching(g.services[of.namespace], of.pods[0].Labels), matching(g.guards[of.namespace], of.pods[0].Labels)
	found := g.findings[w.Identity]
	w.Drifted, w.Overdue, w.Finding, w.Base, w.Built = found.drifted, found.overdue, found.what, found.base, found.built
	if w.Drifted.Before(w.Started) {
		w.Drifted = time.Time{} // it was replaced since
	}
	g.means(&w, of, oldest)
	g.fleet.Workloads = append(g.fleet.Workloads, w)
}

// place is where a pod runs.
func (g *gathering) place(p *corev1.Pod) touchstone.Place {
	var of map[string]string
	if n, ok, _ := g.namespaces.GetStore().GetByKey(p.Namespace); ok {
		of = n.(*corev1.Namespace).Labels
	}
	r := g.rules
	return r.Stricter(r.PlaceOf(g.c.Name, p.Namespace, p.Spec.NodeName, of), p.Labels)
}

// ready reports whether a pod serves.
func ready(p *corev1.Pod) bool {
	at := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
	return at >= 0 && p.Status.Conditions[at].Status == corev1.ConditionTrue
}

// started returns when the oldest container of a pod that runs was started, and its
// image. It is never before the pod was made: the API server says that, and whoever
// may write its status the other. Of one that has just crashed, when it last began.
func started(p *corev1.Pod) (at time.Time, image string) {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		var began time.Time
		switch {
		case s.State.Running != nil:
			began = s.State.Running.StartedAt.Time
		case s.State.Waiting != nil && s.LastTerminationState.Terminated != nil:
			began = s.LastTerminationState.Terminated.StartedAt.Time
		default:
			continue
		}
		if began.Before(p.CreationTimestamp.Time) {
			began = p.CreationTimestamp.Time
		}
		if at.IsZero() || began.Before(at) {
			at, image = began, s.Image
		}
	}
	return at, image
}

// state is what hands need to know of an object as it was: Workload.State.
type state struct {
	Generation int64             `json:"generation,omitempty"`
	Template   map[string]string `json:"template,omitempty"` // our annotations on the pod template
	Replicas   int32             `json:"replicas,omitempty"`
	Pod        string            `json:"pod,omitempty"` // the oldest, where it is evicted
	PodUID     string            `json:"podUID,omitempty"`
}

func (s state) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(text)
}

func stateOf(text string) (s state) {
	_ = json.Unmarshal([]byte(text), &s) // what says nothing equals nothing
	return s
}
