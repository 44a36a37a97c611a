package roll_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/kube/roll"
	"touchstone.dev/touchstone/internal/rehydrate"
	"touchstone.dev/touchstone/internal/rules"
)

var shared = cluster.NewShared(cluster.Options{})

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

const table = `version: 1
environments: [dev, prod]
places:
  - {labels: {stage: dev}, environment: dev}
rules:
  replace-after: {dev: any, prod: at most 7d}
  replace-deadline: {dev: any, prod: at most 14d}
  after-deadline: {dev: keep, prod: stop}
replace:
  budget: {namespace: 50%, cluster: 3}
`

type road struct{ book *gate.Book }

func (r road) Book(context.Context) (*gate.Book, error) { return r.book, nil }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// server is the client of the server's own account, which may what is installed for
// rehydration and no more.
func server(t *testing.T, c *cluster.Cluster) kubernetes.Interface {
	t.Helper()
	o := install.Options{URL: "https://127.0.0.1:1", CABundle: []byte("x"), Namespaces: []string{"nobody"}, Rehydrate: true, RehydrateNodes: true}
	objects, err := install.Manifests(o)
	check(t, err)
	check(t, install.ApplyObjects(t.Context(), c.Config(), objects[:len(objects)-2])) // without the webhooks: nobody answers them
	client, err := kubernetes.NewForConfig(c.ImpersonatedConfig("system:serviceaccount:touchstone:touchstone"))
	check(t, err)
	return client
}

// runs keeps the cluster in memory until the test ends.
func runs(t *testing.T, c *cluster.Cluster, change func(*roll.Config)) *roll.Cluster {
	t.Helper()
	r, _, err := rules.Load("touchstone.yaml", []byte(table), noon())
	check(t, err)
	config := roll.Config{REST: c.Config(), Name: "pay-1", Road: road{&gate.Book{Rules: r}}}
	if change != nil {
		change(&config)
	}
	k, err := roll.New(config)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return k
}

// await waits until the fleet holds what is wanted of a namespace, and returns it.
func await(t *testing.T, c *cluster.Cluster, k *roll.Cluster, namespace string, n int) (map[string]rehydrate.Workload, *rehydrate.Fleet) {
	t.Helper()
	out := map[string]rehydrate.Workload{}
	var fleet *rehydrate.Fleet
	c.Eventually(t, "what runs is known", 30*time.Second, func(ctx context.Context) error {
		f, _, err := k.Fleet(ctx)
		if err != nil {
			return err
		}
		clear(out)
		for _, w := range f.Workloads {
			if w.Namespace == namespace {
				out[w.Kind+" "+w.Name] = w
			}
		}
		if fleet = f; len(out) != n {
			return errNot(out)
		}
		return nil
	})
	return out, fleet
}

type errNot map[string]rehydrate.Workload

func (e errNot) Error() string {
	text := "it holds"
	for name := range e {
		text += " " + name
	}
	return text
}

// keptBy names a controller in an object's metadata.
func keptBy(m metav1.ObjectMeta, kind string, by *metav1.ObjectMeta) metav1.ObjectMeta {
	yes := true
	m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: by.Name, UID: by.UID, Controller: &yes}}
	return m
}

// pod makes one that runs and serves since noon, as a controller and a node would.
func pod(t *testing.T, c *cluster.Cluster, ns, name, kind string, by *metav1.ObjectMeta) *corev1.Pod {
	t.Helper()
	p := cluster.Pod(ns, name, "registry.example/shop/cart:1.4")
	p.Labels, p.Spec.NodeName, p.Spec.Containers[0].Name = cluster.Labels("cart"), "node1", "cart"
	if by != nil {
		p.ObjectMeta = keptBy(p.ObjectMeta, kind, by)
	}
	p, err := c.Client().CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{})
	check(t, err)
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "cart", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon())}}}},
	}
	p, err = c.Client().CoreV1().Pods(ns).UpdateStatus(t.Context(), p, metav1.UpdateOptions{})
	check(t, err)
	return p
}

// deployment makes one with a ReplicaSet and that many pods, rolled out.
func deployment(t *testing.T, c *cluster.Cluster, ns string, replicas int) *appsv1.Deployment {
	t.Helper()
	d := c.CreateDeployment(t, ns, "cart", "registry.example/shop/cart:1.4", int32(replicas))
	rs, err := c.Client().AppsV1().ReplicaSets(ns).Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: keptBy(metav1.ObjectMeta{Name: "cart-1", Labels: cluster.Labels("cart")}, "Deployment", &d.ObjectMeta),
		Spec:       appsv1.ReplicaSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template},
	}, metav1.CreateOptions{})
	check(t, err)
	for i := range replicas {
		pod(t, c, ns, "cart-1-"+string(rune('a'+i)), "ReplicaSet", &rs.ObjectMeta)
	}
	return rolled(t, c, d, int32(replicas), int32(replicas))
}

// rolled has the Deployment's controller say how far it is.
func rolled(t *testing.T, c *cluster.Cluster, d *appsv1.Deployment, updated, available int32) *appsv1.Deployment {
	t.Helper()
	d, err := c.Client().AppsV1().Deployments(d.Namespace).Get(t.Context(), d.Name, metav1.GetOptions{})
	check(t, err)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: *d.Spec.Replicas, UpdatedReplicas: updated, AvailableReplicas: available, ReadyReplicas: available}
	d, err = c.Client().AppsV1().Deployments(d.Namespace).UpdateStatus(t.Context(), d, metav1.UpdateOptions{})
	check(t, err)
	return d
}

// guard makes a disruption budget that lets that many go.
func guard(t *testing.T, c *cluster.Cluster, ns string, allowed int32) {
	t.Helper()
	b, err := c.Client().PolicyV1().PodDisruptionBudgets(ns).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: cluster.Labels("cart")}},
	}, metav1.CreateOptions{})
	check(t, err)
	b.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: b.Generation, DisruptionsAllowed: allowed, ExpectedPods: 2, CurrentHealthy: 2, DesiredHealthy: 2 - allowed}
	_, err = c.Client().PolicyV1().PodDisruptionBudgets(ns).UpdateStatus(t.Context(), b, metav1.UpdateOptions{})
	check(t, err)
}

// stepOf is one that the controller would make of a workload.
func stepOf(w *rehydrate.Workload, id string) *rehydrate.Step {
	return &rehydrate.Step{ID: id, Of: w.Identity, UID: w.UID, Deed: rehydrate.Replace, Means: w.Means, Started: w.Started, Planned: time.Now(), Before: w.State}
}

func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
