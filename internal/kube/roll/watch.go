package roll

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// Road holds the rules, waivers and freezes.
type Road interface {
	Book(context.Context) (*gate.Book, error)
}

// Found tells what is found on what runs, and when its image was built; *gate.Door is
// one.
type Found interface {
	RunningNow(ctx context.Context, q gate.RunningQuery) (page []gate.Observed, next string, err error)
	Built(ctx context.Context, repository string, digest touchstone.Digest) (time.Time, error)
}

// Config is what a Cluster needs; REST and Road are required.
type Config struct {
	REST *rest.Config
	// Name is the cluster's, as the rules' places call it.
	Name string
	Road Road
	// Found is nil where nobody keeps findings.
	Found Found
	// Own are the namespaces of the gate, which goes last.
	Own []string
	// Nodes replaces nodes; nil for none.
	Nodes Provider
	// Patience is how long a call may take; 15 seconds when zero. An API server that
	// takes calls and answers none must not hold the controller for longer.
	Patience time.Duration
	Log      *slog.Logger     // slog.Default when nil
	Now      func() time.Time // time.Now when nil
}

// Provider brings another node in the place of one that is drained.
type Provider interface {
	// Replace is called for a drained node until it has returned without an error. It
	// may be called again with the same step.
	Replace(ctx context.Context, step, node string) error
}

// Cluster is what runs in a cluster, in memory. Run keeps it so.
type Cluster struct {
	c      Config
	client kubernetes.Interface // whose calls end
	found  found
	hours  rehydrate.Calendars

	pods, namespaces, deployments, replicaSets, statefulSets, daemonSets, services, guards, nodes cache.SharedIndexInformer
}

// New returns a Cluster. It makes no call.
func New(c Config) (*Cluster, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Patience <= 0 {
		c.Patience = 15 * time.Second
	}
	config := rest.CopyConfig(c.REST)
	config.UserAgent = "touchstone-rehydrate"
	config.QPS, config.Burst = 50, 200
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	watching, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	config.Timeout = c.Patience // a watch has none
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	k := &Cluster{c: c, client: client}
	f := informers.NewSharedInformerFactoryWithOptions(watching, 0, informers.WithTransform(trim))
	k.pods, k.namespaces, k.services = f.Core().V1().Pods().Informer(), f.Core().V1().Namespaces().Informer(), f.Core().V1().Services().Informer()
	k.deployments, k.replicaSets = f.Apps().V1().Deployments().Informer(), f.Apps().V1().ReplicaSets().Informer()
	k.statefulSets, k.daemonSets = f.Apps().V1().StatefulSets().Informer(), f.Apps().V1().DaemonSets().Informer()
	k.guards = f.Policy().V1().PodDisruptionBudgets().Informer()
	if c.Nodes != nil {
		k.nodes = f.Core().V1().Nodes().Informer()
	}
	return k, nil
}

func (k *Cluster) all() []cache.SharedIndexInformer {
	all := []cache.SharedIndexInformer{k.pods, k.namespaces, k.services, k.deployments, k.replicaSets, k.statefulSets, k.daemonSets, k.guards}
	if k.nodes != nil {
		all = append(all, k.nodes)
	}
	return all
}

// errNotYet says that the cluster is not in memory yet.
var errNotYet = errors.New("what runs in the cluster is not known yet")

// Run keeps the cluster in memory until the context ends.
func (k *Cluster) Run(ctx context.Context) error {
	for _, i := range k.all() {
		go i.RunWithContext(ctx)
	}
	<-ctx.Done()
	return ctx.Err()
}

// Synced reports whether the cluster is in memory.
func (k *Cluster) Synced() bool {
	return !slices.ContainsFunc(k.all(), func(i cache.SharedIndexInformer) bool { return !i.HasSynced() })
}

// annotations of ours begin so.
const annotationPrefix = "touchstone.dev/"

// trim drops of each object what is not looked at.
func trim(o any) (any, error) {
	if m, ok := o.(metav1.Object); ok {
		m.SetManagedFields(nil)
		own := m.GetAnnotations()
		maps.DeleteFunc(own, func(name, _ string) bool {
			return !strings.HasPrefix(name, annotationPrefix) && name != corev1.MirrorPodAnnotationKey
		})
	}
	switch o := o.(type) {
	case *corev1.Pod:
		o.Spec = corev1.PodSpec{NodeName: o.Spec.NodeName, Containers: images(o.Spec.Containers), InitContainers: images(o.Spec.InitContainers)}
		o.Status = corev1.PodStatus{
			Phase: o.Status.Phase, Conditions: o.Status.Conditions,
			ContainerStatuses: o.Status.ContainerStatuses, InitContainerStatuses: o.Status.InitContainerStatuses,
		}
	case *appsv1.Deployment:
		o.Spec.Template = trimmed(&o.Spec.Template)
	case *appsv1.StatefulSet:
		o.Spec.Template, o.Spec.VolumeClaimTemplates = trimmed(&o.Spec.Template), nil
	case *appsv1.DaemonSet:
		o.Spec.Template = trimmed(&o.Spec.Template)
	case *appsv1.ReplicaSet:
		o.Spec = appsv1.ReplicaSetSpec{Replicas: o.Spec.Replicas}
	case *corev1.Service:
		o.Spec, o.Status = corev1.ServiceSpec{Selector: o.Spec.Selector}, corev1.ServiceStatus{}
	case *policyv1.PodDisruptionBudget:
		o.Status = policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: o.Status.DisruptionsAllowed, ObservedGeneration: o.Status.ObservedGeneration}
	case *corev1.Node:
		o.Status = corev1.NodeStatus{Conditions: o.Status.Conditions}
	}
	return o, nil
}

func images(all []corev1.Container) []corev1.Container {
	out := make([]corev1.Container, len(all))
	for i := range all {
		out[i] = corev1.Container{Name: all[i].Name, Image: all[i].Image, RestartPolicy: all[i].RestartPolicy}
	}
	return out
}

func trimmed(t *corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: t.Labels, Annotations: t.Annotations}}
}
