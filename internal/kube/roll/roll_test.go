package roll_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube/roll"
	"touchstone.dev/touchstone/internal/rehydrate"
)

func TestWhatRunsIsTold(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "runs", nil)
	d := deployment(t, c, ns, 2)
	pod(t, c, ns, "lone", "", nil)
	guard(t, c, ns, 1)
	_, err := c.Client().CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "front"}, Spec: corev1.ServiceSpec{Selector: cluster.Labels("cart"), Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	check(t, err)
	k := runs(t, c, nil)
	var got map[string]rehydrate.Workload
	var f *rehydrate.Fleet
	c.Eventually(t, "services and budgets are known", 30*time.Second, func(context.Context) error {
		if got, f = await(t, c, k, ns, 2); len(got["Deployment cart"].Services) == 0 || f.Allowed[ns+"/all"] != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	w := got["Deployment cart"]
	if w.UID != string(d.UID) || w.Means != rehydrate.Rollout || w.Pods != 2 || w.Ready != 2 || w.Wanted != 2 || w.Takes != 0 || w.Stuck != "" {
		t.Errorf("%+v", w)
	}
	if w.Policy.After != 7*24*time.Hour || w.Policy.Deadline != 14*24*time.Hour || !w.Policy.Stop || w.Services[0] != ns+"/front" || w.Guards[0] != ns+"/all" {
		t.Errorf("%+v of %+v", w, w.Policy)
	}
	// It counts from when its containers were started, and never before the pod was
	// made.
	if time.Since(w.Started) > time.Minute {
		t.Errorf("it runs since %s", w.Started)
	}
	if lone := got["Pod lone"]; lone.Means != rehydrate.Bare || lone.Policy != w.Policy {
		t.Errorf("%+v", lone)
	}
	dev := c.Namespace(t, "dev", map[string]string{"stage": "dev"})
	pod(t, c, dev, "note", "", nil)
	if got, _ := await(t, c, k, dev, 1); got["Pod note"].Policy.After != 0 {
		t.Errorf("in dev: %+v", got["Pod note"].Policy)
	}
}

// The hands are the server's own, by the rights that it is installed with.
func TestARolloutIsMadeOnceAndPutBack(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "rollout", nil)
	d := deployment(t, c, ns, 2)
	got, _ := await(t, c, runs(t, c, nil), ns, 1)
	w := got["Deployment cart"]
	h := &roll.Hands{Client: server(t, c)}
	s := stepOf(&w, "01STEP")
	looks := func(want rehydrate.Stage) {
		t.Helper()
		if stage, why, err := h.Look(t.Context(), s); stage != want || err != nil {
			t.Fatalf("%q (%s, %v), want %q", stage, why, err, want)
		}
	}
	looks(rehydrate.NotBegun)
	for range 2 { // a crash in between
		check(t, h.Begin(t.Context(), s))
	}
	looks(rehydrate.Going)
	now := rolled(t, c, d, 1, 2)
	if now.Generation != d.Generation+1 || now.Spec.Template.Annotations[roll.AnnotationReplacement] != "01STEP" {
		t.Fatalf("generation %d after %d: %v", now.Generation, d.Generation, now.Spec.Template.Annotations)
	}
	looks(rehydrate.Going)
	rolled(t, c, d, 2, 2)
	looks(rehydrate.Ready)

	s.Undoing = "it crashes"
	check(t, h.Undo(t.Context(), s))
	looks(rehydrate.Going) // the old ones must come back first
	if now = rolled(t, c, d, 2, 2); len(now.Spec.Template.Annotations) != 0 {
		t.Errorf("%v is left on the template", now.Spec.Template.Annotations)
	}
	looks(rehydrate.Undone)
}

// Whatever somebody else has changed since the plan is left alone.
func TestNothingIsDoneToWhatHasChanged(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "changed", nil)
	d := deployment(t, c, ns, 2)
	got, _ := await(t, c, runs(t, c, nil), ns, 1)
	w := got["Deployment cart"]
	h := &roll.Hands{Client: server(t, c)}
	other := *stepOf(&w, "01OTHER")
	other.UID = "another"
	if err := h.Begin(t.Context(), &other); !errors.Is(err, rehydrate.ErrChanged) {
		t.Errorf("another of the same name: %v", err)
	}
	_, err := c.Client().AppsV1().Deployments(ns).Patch(t.Context(), d.Name, types.MergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"cart","image":"registry.example/shop/cart:1.5"}]}}}}`), metav1.PatchOptions{})
	check(t, err)
	s := stepOf(&w, "01STEP")
	if err := h.Begin(t.Context(), s); !errors.Is(err, rehydrate.ErrChanged) {
		t.Errorf("released meanwhile: %v", err)
	}
	if stage, _, err := h.Look(t.Context(), s); stage != rehydrate.Strange || err != nil {
		t.Errorf("%q, %v", stage, err)
	}
}

// The server may annotate templates and take replicas away, and nothing else.
func TestTheServerMayDoNoMore(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "rights", nil)
	deployment(t, c, ns, 1)
	client := server(t, c)
	for patch, want := range map[string]bool{
		`{"spec":{"template":{"metadata":{"annotations":{"touchstone.dev/replaced-at":"x"}}}}}`:  true,
		`{"spec":{"template":{"metadata":{"annotations":{"touchstone.dev/replaced-at":null}}}}}`: true,
		`{"spec":{"template":{"metadata":{"annotations":{"other":"x"}}}}}`:                       false,
		`{"spec":{"template":{"spec":{"containers":[{"name":"cart","image":"evil:1"}]}}}}`:       false,
		`{"spec":{"template":{"spec":{"hostPID":true}}}}`:                                        false,
		`{"spec":{"replicas":7}}`:           false,
		`{"spec":{"paused":true}}`:          false,
		`{"metadata":{"labels":{"a":"b"}}}`: false,
		`{"spec":{"replicas":0}}`:           true,
	} {
		// The API server hears of policies a moment after they are written.
		c.Eventually(t, patch, 20*time.Second, func(ctx context.Context) error {
			_, err := client.AppsV1().Deployments(ns).Patch(ctx, "cart", types.MergePatchType, []byte(patch), metav1.PatchOptions{DryRun: []string{"All"}})
			if got := err == nil; got != want || err != nil && !apierrors.IsForbidden(err) {
				return errors.Join(errors.New("not as wanted"), err)
			}
			return nil
		})
	}
	if _, err := client.CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("it lists secrets: %v", err)
	}
}

func TestEvictionsHeedDisruptionBudgets(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "evict", nil)
	rs := metav1.ObjectMeta{Name: "batch", UID: "01234567-aaaa-bbbb-cccc-0123456789ab"}
	p := pod(t, c, ns, "batch-1", "Batcher", &rs)
	guard(t, c, ns, 0)
	got, _ := await(t, c, runs(t, c, nil), ns, 1)
	w := got["Batcher batch"]
	if w.Means != rehydrate.Evict || w.Takes != 1 {
		t.Fatalf("%+v", w)
	}
	h := &roll.Hands{Client: server(t, c)}
	s := stepOf(&w, "01STEP")
	if err := h.Begin(t.Context(), s); !errors.Is(err, rehydrate.ErrChanged) {
		t.Errorf("held by a budget: %v", err)
	}
	if stage, _, err := h.Look(t.Context(), s); stage != rehydrate.NotBegun || err != nil {
		t.Errorf("%q, %v", stage, err)
	}
	s.Forced = true
	check(t, h.Begin(t.Context(), s))
	now, err := c.Client().CoreV1().Pods(ns).Get(t.Context(), p.Name, metav1.GetOptions{})
	if err != nil || now.DeletionTimestamp == nil {
		t.Fatalf("past the deadline it is still there: %v", err)
	}
	none := int64(0)
	check(t, c.Client().CoreV1().Pods(ns).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &none}))
	if stage, _, err := h.Look(t.Context(), s); stage != rehydrate.Going || err != nil {
		t.Errorf("none is there in its place: %q, %v", stage, err)
	}
	pod(t, c, ns, "batch-2", "Batcher", &rs)
	if stage, _, err := h.Look(t.Context(), s); stage != rehydrate.Ready || err != nil {
		t.Errorf("%q, %v", stage, err)
	}
}

// provider brings nodes.
type provider struct{ took []string }

func (p *provider) Replace(_ context.Context, step, node string) error {
	p.took = append(p.took, step+" "+node)
	return nil
}

func TestANodeIsDrainedAndHandedOver(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "nodes", nil)
	node := func(name string) *corev1.Node {
		n, err := c.Client().CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		check(t, err)
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		n, err = c.Client().CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{})
		check(t, err)
		t.Cleanup(func() {
			_ = c.Client().CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{})
		})
		return n
	}
	n := node("old-1")
	rs := metav1.ObjectMeta{Name: "batch", UID: "01234567-aaaa-bbbb-cccc-0123456789ab"}
	p := cluster.Pod(ns, "batch-1", "x:1")
	p.ObjectMeta, p.Spec.NodeName = keptBy(p.ObjectMeta, "Batcher", &rs), n.Name
	_, err := c.Client().CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{})
	check(t, err)
	hook := &provider{}
	h := &roll.Hands{Client: server(t, c), Provider: hook}
	s := &rehydrate.Step{ID: "01STEP", Of: rehydrate.Identity{Kind: "Node", Name: n.Name}, UID: string(n.UID), Deed: rehydrate.Replace, Means: rehydrate.Drain, Planned: time.Now()}
	looks := func(want rehydrate.Stage) {
		t.Helper()
		if stage, why, err := h.Look(t.Context(), s); stage != want || err != nil {
			t.Fatalf("%q (%s, %v), want %q", stage, why, err, want)
		}
	}
	looks(rehydrate.NotBegun)
	check(t, h.Begin(t.Context(), s))
	check(t, h.Begin(t.Context(), s))
	looks(rehydrate.Going)
	check(t, h.Go(t.Context(), s))
	if len(hook.took) != 0 {
		t.Fatalf("handed over with a pod on it: %v", hook.took)
	}
	none := int64(0)
	_ = c.Client().CoreV1().Pods(ns).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &none})
	check(t, h.Go(t.Context(), s))
	check(t, h.Go(t.Context(), s))
	if len(hook.took) != 1 || hook.took[0] != "01STEP old-1" {
		t.Fatalf("handed over: %v", hook.took)
	}
	check(t, c.Client().CoreV1().Nodes().Delete(t.Context(), n.Name, metav1.DeleteOptions{}))
	looks(rehydrate.Going) // no young one is there yet
	node("young-1")
	looks(rehydrate.Ready)
}

func TestOneHoldsTheLease(t *testing.T) {
	c := shared.Use(t)
	client := server(t, c)
	now := time.Now()
	clock := func() time.Time { return now }
	a := &roll.Lease{Client: client, Namespace: "touchstone", Holder: "a", Now: clock}
	b := &roll.Lease{Client: client, Namespace: "touchstone", Holder: "b", Now: clock}
	holds := func(l *roll.Lease, want bool) {
		t.Helper()
		if got, err := l.Hold(t.Context()); got != want || err != nil {
			t.Fatalf("%s holds it: %t, %v", l.Holder, got, err)
		}
	}
	holds(a, true)
	holds(b, false)
	now = now.Add(50 * time.Second)
	holds(a, true)
	now = now.Add(50 * time.Second)
	holds(b, false) // it was renewed since b looked
	now = now.Add(61 * time.Second)
	holds(b, true) // a has died
	holds(a, false)
	check(t, b.Release(t.Context()))
	holds(a, true)
}

// What was told of what runs may be a moment old: what is young by now is replaced
// no second time, and what somebody has put right is not made to end.
func TestTheHandsLookForThemselves(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "stale", nil)
	d := deployment(t, c, ns, 2)
	rs := metav1.ObjectMeta{Name: "batch", UID: "01234567-aaaa-bbbb-cccc-0123456789ab"}
	pod(t, c, ns, "batch-1", "Batcher", &rs)
	got, _ := await(t, c, runs(t, c, nil), ns, 2)
	h := &roll.Hands{Client: server(t, c)}
	for _, name := range []string{"Deployment cart", "Batcher batch"} {
		w := got[name]
		for _, deed := range []rehydrate.Deed{rehydrate.Replace, rehydrate.Stop} {
			s := stepOf(&w, "01STEP")
			s.Deed = deed
			if stage, why, err := h.Look(t.Context(), s); stage != rehydrate.NotBegun || err != nil {
				t.Errorf("%s of the %s: %q (%s), %v", deed, name, stage, why, err)
			}
			s.Started = s.Started.Add(-time.Hour) // it was replaced since
			if stage, why, err := h.Look(t.Context(), s); stage != rehydrate.Strange || err != nil {
				t.Errorf("%s of the %s, which is young: %q (%s), %v", deed, name, stage, why, err)
			}
		}
	}
	w := got["Deployment cart"]
	s := stepOf(&w, "01STOP")
	s.Deed = rehydrate.Stop
	_, err := c.Client().AppsV1().Deployments(ns).Patch(t.Context(), d.Name, types.MergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"cart","image":"registry.example/shop/cart:1.5"}]}}}}`), metav1.PatchOptions{})
	check(t, err)
	if err := h.Begin(t.Context(), s); !errors.Is(err, rehydrate.ErrChanged) {
		t.Errorf("made to end after it was released anew: %v", err)
	}
	if stage, _, err := h.Look(t.Context(), s); stage != rehydrate.Strange || err != nil {
		t.Errorf("%q, %v", stage, err)
	}
}
