package kube_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/rules"
)

var shared = cluster.NewShared(cluster.Options{})

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

const table = `version: 1
environments: [dev, prod]
places:
  - {cluster: pay-1, labels: {stage: dev}, environment: dev, owner: team-shop}
rules:
  runs-as-root: {dev: allow, prod: refuse}
`

// road is a book with the rules above.
type road struct{ book *gate.Book }

func (r road) Book(context.Context) (*gate.Book, error) { return r.book, nil }

func newRoad(t *testing.T) road {
	t.Helper()
	r, _, err := rules.Load("touchstone.yaml", []byte(table), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	check(t, err)
	return road{&gate.Book{Rules: r}}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// door keeps what it is told.
type door chan []gate.Running

func (d door) Observe(_ context.Context, _ string, all []gate.Running) error {
	d <- all
	return nil
}

// in returns what is told of one namespace.
func in(namespace string, all []gate.Running) []gate.Running {
	var out []gate.Running
	for i := range all {
		if all[i].Place.Namespace == namespace {
			out = append(out, all[i])
		}
	}
	return out
}

func newCluster(t *testing.T, c *cluster.Cluster, change func(*kube.Config)) *kube.Cluster {
	t.Helper()
	config := kube.Config{REST: c.Config(), Name: "pay-1", Road: newRoad(t), Settle: 10 * time.Millisecond}
	if change != nil {
		change(&config)
	}
	k, err := kube.New(config)
	check(t, err)
	return k
}

// run has the cluster kept in memory until the test ends, and returns what the
// door is told.
func run(t *testing.T, k *kube.Cluster) door {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	told, ended := make(door), make(chan error, 1)
	go func() { ended <- k.Run(ctx, told) }()
	t.Cleanup(func() {
		cancel()
		for {
			select {
			case <-told:
			case <-ended:
				return
			}
		}
	})
	return told
}

// await waits until what is told of the namespace is as wanted.
func await(t *testing.T, told door, namespace string, wanted func([]gate.Running) bool) []gate.Running {
	t.Helper()
	timeout := time.After(30 * time.Second)
	var last []gate.Running
	for {
		select {
		case all := <-told:
			if last = in(namespace, all); wanted(last) {
				return last
			}
		case <-timeout:
			t.Fatalf("not told in time; the last was %+v", last)
		}
	}
}

// controlled names a controller in an object's metadata.
func controlled(m metav1.ObjectMeta, apiVersion, kind string, by *metav1.ObjectMeta) metav1.ObjectMeta {
	yes := true
	m.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: by.Name, UID: by.UID, Controller: &yes}}
	return m
}

// cart is a Deployment with one ReplicaSet, as the controllers would make them.
type cart struct {
	namespace  string
	deployment *appsv1.Deployment
	replicas   *appsv1.ReplicaSet
}

func newCart(t *testing.T, c *cluster.Cluster, labels map[string]string) *cart {
	t.Helper()
	s := &cart{namespace: c.Namespace(t, "shop", labels)}
	s.deployment = c.CreateDeployment(t, s.namespace, "cart", "registry.example/shop/cart:1.4", 1)
	s.replicas = s.revision(t, c, "cart-1")
	return s
}

func (s *cart) revision(t *testing.T, c *cluster.Cluster, name string) *appsv1.ReplicaSet {
	t.Helper()
	rs, err := c.Client().AppsV1().ReplicaSets(s.namespace).Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: controlled(metav1.ObjectMeta{Name: name}, "apps/v1", "Deployment", &s.deployment.ObjectMeta),
		Spec:       appsv1.ReplicaSetSpec{Selector: s.deployment.Spec.Selector, Template: s.deployment.Spec.Template},
	}, metav1.CreateOptions{})
	check(t, err)
	return rs
}

// pod makes a pod of a ReplicaSet, and has it run the digest.
func (s *cart) pod(t *testing.T, c *cluster.Cluster, of *appsv1.ReplicaSet, name, digest string, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	p := cluster.Pod(s.namespace, name, "registry.example/shop/cart:1.4")
	p.Spec.Containers[0].Name = "cart"
	p.Spec.NodeName = "node1"
	if of != nil {
		p.ObjectMeta = controlled(p.ObjectMeta, "apps/v1", "ReplicaSet", &of.ObjectMeta)
	}
	if change != nil {
		change(p)
	}
	p, err := c.Client().CoreV1().Pods(s.namespace).Create(t.Context(), p, metav1.CreateOptions{})
	check(t, err)
	started := metav1.NewTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "cart", ContainerID: "containerd://" + name + "-cart", ImageID: fmt.Sprintf("registry.example/shop/cart@%s", digest),
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
	}}}
	p, err = c.Client().CoreV1().Pods(s.namespace).UpdateStatus(t.Context(), p, metav1.UpdateOptions{})
	check(t, err)
	return p
}
