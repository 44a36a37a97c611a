package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/kube/roll"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rehydrate"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/storetest"
)

const oldAges = `version: 1
environments: [prod]
rules:
  replace-after: {prod: at most 7d}
  replace-deadline: {prod: at most 60d}
`

// ageRoad holds those rules.
type ageRoad struct{ book *gate.Book }

func (r ageRoad) Book(context.Context) (*gate.Book, error) { return r.book, nil }

// aged is a cluster in which what began until a moment is a month older, in one
// namespace; of others nothing is told.
type aged struct {
	*roll.Cluster
	namespace string
	until     time.Time
}

const month = 30 * 24 * time.Hour

// agedHands are those of a cluster that is aged: what they see themselves is a month
// younger than what they are told.
type agedHands struct{ *roll.Hands }

func (h agedHands) Look(ctx context.Context, s *rehydrate.Step) (rehydrate.Stage, string, error) {
	seen := *s
	seen.Started = s.Started.Add(month)
	return h.Hands.Look(ctx, &seen)
}

func (a aged) Fleet(ctx context.Context) (*rehydrate.Fleet, rehydrate.Limits, error) {
	f, l, err := a.Cluster.Fleet(ctx)
	if err != nil {
		return nil, l, err
	}
	own := f.Workloads[:0]
	for _, w := range f.Workloads {
		if !w.Started.After(a.until) {
			w.Started = w.Started.Add(-month)
		}
		if w.Namespace == a.namespace {
			own = append(own, w)
		}
	}
	f.Workloads = own
	l.Namespace = l.Cluster // none
	return f, l, nil
}

// lets is a gate that lets everything follow.
type lets struct{}

func (lets) Ask(context.Context, *rehydrate.Workload) (rehydrate.Follower, error) {
	return rehydrate.Follower{Answer: rehydrate.Allowed}, nil
}

// load calls whatever is ready behind a Service, all the time, as a kube-proxy would
// have it: each call is a connection of its own to a ready endpoint.
type load struct {
	mu     sync.Mutex
	calls  int
	failed []string
}

func (l *load) run(ctx context.Context, c *cluster.Cluster, ns, service string) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	pace := time.NewTicker(25 * time.Millisecond) // the machine is busy enough
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		slices, err := c.Client().DiscoveryV1().EndpointSlices(ns).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + service})
		if err != nil {
			continue
		}
		var ready []string
		for _, s := range slices.Items {
			for _, e := range s.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready {
					ready = append(ready, e.Addresses...)
				}
			}
		}
		why := "no endpoint is ready"
		if len(ready) > 0 {
			why = ""
			answer, err := client.Get("http://" + ready[n%len(ready)] + ":8080/")
			if err != nil {
				why = err.Error()
			} else {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		}
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		if l.calls++; why != "" {
			l.failed = append(l.failed, why)
		}
		l.mu.Unlock()
	}
}

// serving makes pods that answer, and say when they do.
func serving(name, image string) corev1.PodTemplateSpec {
	t := cluster.Pods(name, image)
	grace := int64(15)
	t.Spec.TerminationGracePeriodSeconds = &grace
	t.Spec.Containers[0].Args = []string{"serve"}
	t.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}},
		PeriodSeconds: 1, TimeoutSeconds: 10, FailureThreshold: 10, // a busy machine is no reason to serve no more
	}
	return t
}

// A Deployment and a StatefulSet that are old are replaced, one after the other,
// while what they serve is called all the time; a bare pod, and what a disruption
// budget holds, stays, and is told of.
func TestWhatIsOldIsReplacedWithoutAFailedCall(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	im, err := cluster.PauseImage()
	if err != nil {
		t.Fatal(err)
	}
	image, _ := r.Push(t, "shop/web:1", im)
	ns := c.Namespace(t, "old", nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	two := int32(2)
	apps := c.Client().AppsV1()
	_, err = apps.Deployments(ns).Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: cluster.Labels("web")}, Template: serving("web", image),
	}}, metav1.CreateOptions{})
	must(err)
	for _, name := range []string{"store", "held"} {
		_, err = apps.StatefulSets(ns).Create(t.Context(), &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.StatefulSetSpec{
			Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: cluster.Labels(name)}, Template: serving(name, image),
		}}, metav1.CreateOptions{})
		must(err)
	}
	none := intstr.FromInt32(0)
	_, err = c.Client().PolicyV1().PodDisruptionBudgets(ns).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "held"}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: cluster.Labels("held")}, MaxUnavailable: &none},
	}, metav1.CreateOptions{})
	must(err)
	c.CreatePod(t, ns, "lone", image)
	for _, name := range []string{"web", "store"} {
		_, err = c.Client().CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Selector: cluster.Labels(name), Ports: []corev1.ServicePort{{Port: 8080}}},
		}, metav1.CreateOptions{})
		must(err)
	}
	old, last := map[string]bool{}, time.Time{}
	for name, n := range map[string]int{"web": 2, "store": 2, "held": 2, "lone": 1} {
		for _, p := range c.WaitRunning(t, ns, name, n, 2*time.Minute) {
			old[string(p.UID)] = true
			if s := p.Status.ContainerStatuses[0].State.Running; s != nil && s.StartedAt.After(last) {
				last = s.StartedAt.Time
			}
		}
	}

	o := install.Options{URL: "https://127.0.0.1:1", CABundle: []byte("x"), Namespaces: []string{"nobody"}, Rehydrate: true}
	objects, err := install.Manifests(o)
	must(err)
	must(install.ApplyObjects(t.Context(), c.Config(), objects[:len(objects)-2]))
	t.Cleanup(func() { _ = install.Remove(context.Background(), c.Config(), o) })
	table, _, err := rules.Load("touchstone.yaml", []byte(oldAges), time.Now())
	must(err)
	config := c.ImpersonatedConfig("system:serviceaccount:touchstone:touchstone")
	k, err := roll.New(roll.Config{REST: config, Name: "pay-1", Road: ageRoad{&gate.Book{Rules: table}}})
	must(err)
	// Until then everything began; a node counts in seconds, by the clock of this.
	runs := aged{k, ns, last}
	c.Eventually(t, "what comes next is younger", 10*time.Second, func(context.Context) error {
		if !time.Now().After(last.Add(time.Second)) {
			return fmt.Errorf("it is %s", time.Now())
		}
		return nil
	})
	store := storetest.Open(t)
	hands := k.Hands()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	t.Cleanup(func() { cancel(); ended.Wait() })
	ended.Go(func() { _ = k.Run(ctx) })
	open := func(holder string) *rehydrate.Controller {
		return rehydrate.New(rehydrate.Config{
			Store: store, Runs: runs, Gate: lets{}, Hands: agedHands{hands}, Cluster: "pay-1", Log: slog.New(slog.DiscardHandler), Tell: k.Teller(ctx),
			Lease: &roll.Lease{Client: hands.Client, Namespace: install.Name, Holder: holder, Lasts: 2 * time.Second, Now: time.Now},
		})
	}
	var loads []*load
	for _, name := range []string{"web", "store"} {
		l := &load{}
		loads = append(loads, l)
		ended.Go(func() { l.run(ctx, c, ns, name) })
	}
	// The controller dies after every other look, and another takes over.
	made, controller := 0, open("0")
	c.Eventually(t, "web and store are young", 5*time.Minute, func(ctx context.Context) error {
		if made++; made%20 == 0 {
			controller = open(fmt.Sprint(made))
		}
		if err := controller.Tick(ctx); err != nil {
			return err
		}
		for _, name := range []string{"web", "store"} {
			list, err := c.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
			if err != nil {
				return err
			}
			for i := range list.Items {
				if old[string(list.Items[i].UID)] {
					return fmt.Errorf("%s is old", list.Items[i].Name)
				}
			}
			if len(list.Items) != 2 {
				return fmt.Errorf("%d pods of %s", len(list.Items), name)
			}
		}
		return replacedOnce(ctx, store, 2)
	})
	cancel()
	ended.Wait()
	for i, l := range loads {
		t.Logf("%d calls of %s", l.calls, []string{"web", "store"}[i])
		if len(l.failed) > 0 || l.calls < 100 {
			t.Errorf("%d of %d calls have failed: %v", len(l.failed), l.calls, l.failed[:min(len(l.failed), 5)])
		}
	}
	for _, name := range []string{"held-0", "held-1", "lone"} {
		p, err := c.Client().CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || !old[string(p.UID)] {
			t.Errorf("%s was taken away: %v", name, err)
		}
	}
	c.Eventually(t, "what is in the way is told on the objects", time.Minute, func(ctx context.Context) error {
		list, err := c.Client().CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "reason=RehydrationHeld"})
		if err != nil {
			return err
		}
		about := map[string]bool{}
		for i := range list.Items {
			about[list.Items[i].InvolvedObject.Name] = true
		}
		if !about["held"] || !about["lone"] {
			return fmt.Errorf("told about %v", about)
		}
		return nil
	})
}

// replacedOnce fails until the record says that so many were replaced, each once.
func replacedOnce(ctx context.Context, store record.Store, want int) error {
	begun, done := map[string]int{}, 0
	for e, err := range store.Entries(ctx, record.EntryQuery{Kinds: []string{rehydrate.Kind}}) {
		if err != nil {
			return err
		}
		body, err := store.Blob(ctx, e.Body)
		if err != nil {
			return err
		}
		t, err := rehydrate.ReadTold(body)
		if err != nil {
			return err
		}
		switch t.What {
		case rehydrate.Planned:
			begun[t.Of.Key()]++
		case rehydrate.Replaced:
			done++
		}
	}
	for name, n := range begun {
		if n != 1 {
			return fmt.Errorf("%s was begun %d times", name, n)
		}
	}
	if done != want {
		return fmt.Errorf("%d were replaced", done)
	}
	return nil
}
