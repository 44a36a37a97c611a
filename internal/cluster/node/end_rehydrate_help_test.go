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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// ager has controllers in an aged cluster, each of them the server's own account.
type ager struct {
	store record.Store
	k     *roll.Cluster
	runs  aged
	ctx   context.Context //nolint:containedctx // of the events, to the end of the test
}

// newAger installs what rehydration may, and keeps the cluster in memory. What began
// until then is old.
func newAger(t *testing.T, c *cluster.Cluster, ns string, until time.Time) *ager {
	t.Helper()
	may(t, c)
	table, _, err := rules.Load("touchstone.yaml", []byte(oldAges), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	k, err := roll.New(roll.Config{REST: c.ImpersonatedConfig("system:serviceaccount:touchstone:touchstone"), Name: "pay-1", Road: ageRoad{&gate.Book{Rules: table}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	c.Eventually(t, "what comes next is younger", 10*time.Second, func(context.Context) error {
		if !time.Now().After(until.Add(time.Second)) { // a node counts in seconds
			return fmt.Errorf("it is %s", time.Now())
		}
		return nil
	})
	return &ager{storetest.Open(t), k, aged{k, ns, until}, ctx}
}

// may gives the server's account what it is installed with, and no webhooks: nobody
// answers them.
func may(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	o := install.Options{URL: "https://127.0.0.1:1", CABundle: []byte("x"), Namespaces: []string{"nobody"}, Rehydrate: true}
	objects, err := install.Manifests(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Eventually(t, "what rehydration may is installed", time.Minute, func(ctx context.Context) error { // the namespace of an earlier test may still go
		return install.ApplyObjects(ctx, c.Config(), objects[:len(objects)-2])
	})
	t.Cleanup(func() { _ = install.Remove(context.Background(), c.Config(), o) })
	c.Eventually(t, "nobody of an earlier test holds the lease", time.Minute, func(ctx context.Context) error {
		err := c.Client().CoordinationV1().Leases(install.Name).Delete(ctx, roll.LeaseName, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

func (a *ager) controller(holder string, change func(*rehydrate.Config)) *rehydrate.Controller {
	hands := a.k.Hands()
	c := rehydrate.Config{
		Store: a.store, Runs: a.runs, Gate: lets{}, Hands: agedHands{hands}, Cluster: "pay-1", Log: slog.New(slog.DiscardHandler), Tell: a.k.Teller(a.ctx),
		Lease: &roll.Lease{Client: hands.Client, Namespace: install.Name, Holder: holder, Lasts: 2 * time.Second, Now: time.Now},
	}
	if change != nil {
		change(&c)
	}
	return rehydrate.New(c)
}

// lastBegan is when the last of the pods began.
func lastBegan(pods []corev1.Pod) (last time.Time) {
	for i := range pods {
		if s := pods[i].Status.ContainerStatuses[0].State.Running; s != nil && s.StartedAt.After(last) {
			last = s.StartedAt.Time
		}
	}
	return last
}

// told is all that the record says, in order.
func (a *ager) told(ctx context.Context) ([]rehydrate.Told, error) {
	var out []rehydrate.Told
	for e, err := range a.store.Entries(ctx, record.EntryQuery{Kinds: []string{rehydrate.Kind}}) {
		if err != nil {
			return nil, err
		}
		body, err := a.store.Blob(ctx, e.Body)
		if err != nil {
			return nil, err
		}
		t, err := rehydrate.ReadTold(body)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// replacedOnce returns an error until the record says that so many were replaced. What
// was begun twice fails the test.
func (a *ager) replacedOnce(ctx context.Context, t *testing.T, want int) error {
	all, err := a.told(ctx)
	if err != nil {
		return err
	}
	begun, done := map[string]int{}, 0
	for _, one := range all {
		switch one.What {
		case rehydrate.Planned:
			if begun[one.Of.Key()]++; begun[one.Of.Key()] > 1 {
				t.Fatalf("%s was begun again", one.Of)
			}
		case rehydrate.Replaced:
			done++
		}
	}
	if done != want {
		return fmt.Errorf("%d were replaced", done)
	}
	return nil
}
