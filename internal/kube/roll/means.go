package roll

import (
	"maps"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// means says how a workload is replaced, and what that takes away.
func (g *gathering) means(w *rehydrate.Workload, of *kept, oldest *corev1.Pod) {
	key := of.namespace + "/" + of.name
	s := state{}
	if oldest != nil {
		s.Pod, s.PodUID = oldest.Name, string(oldest.UID)
	}
	w.Means, w.Takes = rehydrate.Evict, 1
	switch of.kind {
	case "Pod":
		if w.Means = rehydrate.Bare; of.static {
			w.Stuck = "a static pod, which its node runs from a file of its own; touch that file"
		}
	case "Job":
		w.Means = rehydrate.Job
	case "Deployment":
		if o, ok, _ := g.deployments.GetStore().GetByKey(key); ok {
			d := o.(*appsv1.Deployment)
			w.Means, s = rehydrate.Rollout, rollout(&d.ObjectMeta, &d.Spec.Template)
			s.Replicas = count(d.Spec.Replicas)
			deployment(w, d)
		}
	case "StatefulSet":
		if o, ok, _ := g.statefulSets.GetStore().GetByKey(key); ok {
			d := o.(*appsv1.StatefulSet)
			w.Wanted = int(count(d.Spec.Replicas))
			u := d.Spec.UpdateStrategy
			if u.Type == appsv1.OnDeleteStatefulSetStrategyType {
				break
			}
			w.Means, s = rehydrate.Rollout, rollout(&d.ObjectMeta, &d.Spec.Template)
			s.Replicas = count(d.Spec.Replicas)
			if u.RollingUpdate != nil {
				w.Takes = max(scaled(u.RollingUpdate.MaxUnavailable, w.Wanted, false, 1), 1)
				if u.RollingUpdate.Partition != nil && *u.RollingUpdate.Partition > 0 {
					w.Stuck = "its rollout stops at a partition"
				}
			}
			if d.Status.ObservedGeneration < d.Generation || int(d.Status.UpdatedReplicas) < w.Wanted {
				w.Ready = min(w.Ready, w.Wanted-1) // its own rollout is under way
			}
		}
	case "DaemonSet":
		if o, ok, _ := g.daemonSets.GetStore().GetByKey(key); ok {
			d := o.(*appsv1.DaemonSet)
			w.Wanted = int(d.Status.DesiredNumberScheduled)
			if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
				break
			}
			w.Means, s = rehydrate.Rollout, rollout(&d.ObjectMeta, &d.Spec.Template)
			if r := d.Spec.UpdateStrategy.RollingUpdate; r != nil {
				w.Takes = scaled(r.MaxUnavailable, w.Wanted, true, 1)
				if surge := scaled(r.MaxSurge, w.Wanted, true, 0); surge > 0 {
					w.Takes = 0
				}
			}
			if d.Status.ObservedGeneration < d.Generation || int(d.Status.UpdatedNumberScheduled) < w.Wanted {
				w.Ready = min(w.Ready, w.Wanted-1)
			}
		}
	case "ReplicaSet":
		if o, ok, _ := g.replicaSets.GetStore().GetByKey(key); ok {
			w.Wanted = int(count(o.(*appsv1.ReplicaSet).Spec.Replicas))
		}
	}
	w.State = s.String()
}

// deployment says what the strategy of one takes away.
func deployment(w *rehydrate.Workload, d *appsv1.Deployment) {
	w.Wanted = int(count(d.Spec.Replicas))
	switch r := d.Spec.Strategy.RollingUpdate; {
	case d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		w.Takes = w.Wanted
	case r != nil:
		// As the controller resolves them (k8s.io/kubernetes, deployment/util,
		// ResolveFenceposts): both zero means that one is taken.
		surge := scaled(r.MaxSurge, w.Wanted, true, 1)
		if w.Takes = scaled(r.MaxUnavailable, w.Wanted, false, 0); w.Takes == 0 && surge == 0 {
			w.Takes = 1
		}
	}
	if d.Spec.Paused {
		w.Stuck = "it is paused"
	}
	if d.Status.ObservedGeneration < d.Generation || int(d.Status.UpdatedReplicas) < w.Wanted {
		w.Ready = min(w.Ready, w.Wanted-1) // its own rollout is under way
	}
	w.Ready = min(w.Ready, w.Wanted)
}

func rollout(m *metav1.ObjectMeta, t *corev1.PodTemplateSpec) state {
	return state{Generation: m.Generation, Template: ours(t.Annotations)}
}

// ours are the annotations of the hands.
func ours(all map[string]string) map[string]string {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(name, _ string) bool { return name != AnnotationReplacedAt && name != AnnotationReplacement })
	if len(out) == 0 {
		return nil
	}
	return out
}

// scaled is a count or percentage of replicas, and otherwise where nothing is set.
func scaled(v *intstr.IntOrString, of int, up bool, otherwise int) int {
	if v == nil {
		return otherwise
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, of, up)
	if err != nil {
		return otherwise
	}
	return n
}

func count(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// nodes adds the nodes, where somebody can bring another.
func (g *gathering) nodes() {
	if g.Cluster.nodes == nil {
		return
	}
	on := map[string][]*corev1.Pod{}
	for _, o := range g.pods.GetStore().List() {
		if p := o.(*corev1.Pod); p.DeletionTimestamp == nil {
			on[p.Spec.NodeName] = append(on[p.Spec.NodeName], p)
		}
	}
	for _, o := range g.Cluster.nodes.GetStore().List() {
		n := o.(*corev1.Node)
		r := g.rules
		place := r.PlaceOf(g.c.Name, "", n.Name, n.Labels)
		w := rehydrate.Workload{
			Identity: rehydrate.Identity{Cluster: g.c.Name, Kind: "Node", Name: n.Name}, UID: string(n.UID), Owner: place.Owner,
			Policy: g.policies.Of(&place, nil), Means: rehydrate.Drain, Started: n.CreationTimestamp.Time, Wanted: 1,
			Services: []string{"nodes of " + g.c.Name}, // one at a time
		}
		if nodeReady(n) {
			w.Ready = 1
		}
		for _, p := range on[n.Name] {
			if why := staysOn(p); why != "" && !leaves(p) {
				w.Stuck = why
			}
		}
		w.State = state{Generation: n.Generation}.String()
		g.fleet.Workloads = append(g.fleet.Workloads, w)
	}
}

// leaves reports whether a pod may stay on a node that is drained, and goes with it.
func leaves(p *corev1.Pod) bool {
	ref := metav1.GetControllerOfNoCopy(p)
	_, static := p.Annotations[corev1.MirrorPodAnnotationKey]
	ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	return static || ended || ref != nil && ref.Kind == "DaemonSet"
}

// staysOn says why a pod cannot be taken from its node; empty where it can.
func staysOn(p *corev1.Pod) string {
	if metav1.GetControllerOfNoCopy(p) == nil {
		return "the bare pod " + p.Namespace + "/" + p.Name + " on it, which nothing would bring back"
	}
	return ""
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// shortly cuts what is said to people to one line.
func shortly(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	const most = 300
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
