package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/admit"
)

// Connect returns how to reach a cluster: by the current context of the kubeconfig,
// or, when the path is empty, as the pod that this process runs in.
func Connect(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		c, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("finding the cluster that this runs in: %w\nhint: name a kubeconfig", err)
		}
		return c, nil
	}
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig %s: %w", kubeconfig, err)
	}
	return c, nil
}

// Config is what a Cluster needs.
type Config struct {
	REST *rest.Config
	// Name is the cluster's, as the rules' places call it.
	Name string
	// Road holds the rules that say what a place is; only Run reads it.
	Road Road
	// GateOff is told which namespaces carry the label that switches the gate off
	// for them (LabelGate), in order, whenever that changes; at the start only if
	// there are any. Nil for nobody.
	GateOff func(namespaces []string)
	// Guards is the service account of guards, as the API server names it
	// ("system:serviceaccount:touchstone-guard:touchstone-guard"); empty where no
	// account of the cluster is a guard's.
	Guards string
	Log    *slog.Logger     // slog.Default when nil
	Now    func() time.Time // time.Now when nil
	// Settle is how long changes are gathered before the door is told; 2 seconds
	// when zero.
	Settle time.Duration
}

// Cluster looks things up in a cluster. It may be used from many goroutines; until
// Run is called, every lookup is a call.
type Cluster struct {
	c        Config
	client   kubernetes.Interface
	metadata metadata.Interface

	pods       cache.SharedIndexInformer // of *pod
	namespaces cache.SharedIndexInformer // of *metav1.PartialObjectMetadata
	makers     map[string]cache.SharedIndexInformer

	nodes    nodes
	recorder atomic.Pointer[record.EventRecorder] // while Run does
}

var _ admit.Cluster = (*Cluster)(nil)

// New returns a Cluster. It makes no call.
func New(c Config) (*Cluster, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Settle == 0 {
		c.Settle = 2 * time.Second
	}
	config := rest.CopyConfig(c.REST)
	config.UserAgent = "touchstone"
	config.QPS, config.Burst = 50, 200 // a burst of pods is a burst of lookups
	typed := rest.CopyConfig(config)
	typed.ContentType, typed.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(typed)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	k := &Cluster{c: c, client: client, metadata: objects, makers: make(map[string]cache.SharedIndexInformer)}
	return k, k.makeInformers()
}

// makeInformers prepares what is kept in memory. Pods that have ended are not:
// nothing of them runs.
func (k *Cluster) makeInformers() error {
	k.pods = informers.NewSharedInformerFactoryWithOptions(k.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.AndSelectors(
			fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
			fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed))).String()
	})).Core().V1().Pods().Informer()
	if err := errors.Join(k.pods.SetTransform(trimPod), k.pods.AddIndexers(byKeeper()), k.pods.AddIndexers(byNode())); err != nil {
		return err
	}
	k.namespaces = k.metadataInformer(namespaceResource(), keepMetadata)
	for _, m := range makers() {
		k.makers[m.kind] = k.metadataInformer(m.resource, dropMetadata)
	}
	return nil
}

// all returns every informer.
func (k *Cluster) all() []cache.SharedIndexInformer {
	out := []cache.SharedIndexInformer{k.pods, k.namespaces}
	for _, i := range k.makers {
		out = append(out, i)
	}
	return out
}

// Namespace returns a namespace's labels and annotations, or admit.ErrNone.
func (k *Cluster) Namespace(ctx context.Context, name string) (admit.Namespace, error) {
	found, err := k.object(ctx, k.namespaces, namespaceResource(), "", name, nil)
	if err != nil {
		return admit.Namespace{}, err
	}
	return admit.Namespace{Labels: found.Labels, Annotations: found.Annotations}, nil
}

// Pod returns the metadata of a pod, or admit.ErrNone.
func (k *Cluster) Pod(ctx context.Context, namespace, name string) (*metav1.ObjectMeta, error) {
	if found, ok, _ := k.pods.GetStore().GetByKey(namespace + "/" + name); ok {
		return &found.(*pod).ObjectMeta, nil
	}
	live, err := k.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, admit.ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("looking up the pod %s/%s: %w", namespace, name, err)
	}
	return &live.ObjectMeta, nil
}

// Platforms returns those of the cluster's nodes, as "linux/amd64", in order.
func (k *Cluster) Platforms(ctx context.Context) ([]string, error) {
	seen := map[string]bool{}
	next := ""
	for {
		nodes, err := k.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 500, Continue: next})
		if err != nil {
			return nil, fmt.Errorf("listing the nodes: %w", err)
		}
		for i := range nodes.Items {
			info := &nodes.Items[i].Status.NodeInfo
			if info.OperatingSystem != "" && info.Architecture != "" {
				seen[info.OperatingSystem+"/"+info.Architecture] = true
			}
		}
		if next = nodes.Continue; next == "" {
			return sorted(seen), nil
		}
	}
}

// Door is told what runs; *gate.Door is one.
type Door interface {
	Observe(ctx context.Context, cluster string, all []gate.Running) error
}

// Road holds the rules that say what a place is.
type Road interface {
	Book(context.Context) (*gate.Book, error)
}
