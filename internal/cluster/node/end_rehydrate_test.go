package node

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"touchstone.dev/touchstone/internal/cluster"
)

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
			if began := lastBegan([]corev1.Pod{p}); began.After(last) {
				last = began
			}
		}
	}

	a := newAger(t, c, ns, last)
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	t.Cleanup(func() { cancel(); ended.Wait() })
	var loads []*load
	for _, name := range []string{"web", "store"} {
		l := &load{}
		loads = append(loads, l)
		ended.Go(func() { l.run(ctx, c, ns, name) })
	}
	// The controller dies after every other look, and another takes over.
	made, controller := 0, a.controller("0", nil)
	c.Eventually(t, "web and store are young", 5*time.Minute, func(ctx context.Context) error {
		if made++; made%20 == 0 {
			controller = a.controller(fmt.Sprint(made), nil)
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
		return a.replacedOnce(ctx, t, 2)
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
			o := &list.Items[i].InvolvedObject
			about[o.Name] = about[o.Name] || o.UID != "" // by which kubectl describe finds it
		}
		if !about["held"] || !about["lone"] {
			return fmt.Errorf("told about %v", about)
		}
		return nil
	})
}
