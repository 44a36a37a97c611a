package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// What is new and never becomes ready is put back: a Deployment still has its old
// pods, a StatefulSet gets one of the revision before, and neither is tried again soon.
func TestWhatDoesNotBecomeReadyIsPutBack(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	im, err := cluster.PauseImage()
	if err != nil {
		t.Fatal(err)
	}
	image, _ := r.Push(t, "shop/back:1", im)
	ns := c.Namespace(t, "back", nil)
	var broken atomic.Bool // what every pod needs to become ready
	needed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(needed.Close)
	pods := func(name string) corev1.PodTemplateSpec { return needing(t, name, image, needed.Listener.Addr()) }
	two, apps := int32(2), c.Client().AppsV1()
	_, err = apps.Deployments(ns).Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: cluster.Labels("web")}, Template: pods("web"),
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = apps.StatefulSets(ns).Create(t.Context(), &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "store"}, Spec: appsv1.StatefulSetSpec{
		Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: cluster.Labels("store")}, Template: pods("store"),
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	web, store := c.WaitRunning(t, ns, "web", 2, 2*time.Minute), c.WaitRunning(t, ns, "store", 2, 2*time.Minute)
	until := lastBegan(web)
	if at := lastBegan(store); at.After(until) {
		until = at
	}
	a := newAger(t, c, ns, until)
	broken.Store(true)
	controller := a.controller("a", func(c *rehydrate.Config) { c.Every, c.Patience = time.Second, 6*time.Second })
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		all, err := a.told(context.Background())
		for i := range all {
			t.Logf("%s %s: %s", all[i].What, all[i].Of, all[i].Why)
		}
		for _, d := range controller.Dues() {
			t.Log(d.Line(time.Now(), time.Time.String))
		}
		t.Log(err)
	})
	tells := func(what rehydrate.What) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := controller.Tick(ctx); err != nil {
				return err
			}
			return a.both(ctx, what)
		}
	}
	c.Eventually(t, "both go back", time.Minute, tells(rehydrate.GoingBack))
	broken.Store(false)
	c.Eventually(t, "both are as they were", 2*time.Minute, tells(rehydrate.Back))
	for range 20 { // and stay so
		if err := controller.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all, err := a.told(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 {
		t.Errorf("told is %+v", all)
	}
	for _, p := range []corev1.Pod{web[0], web[1], store[0]} { // a StatefulSet begins with its last
		now, err := c.Client().CoreV1().Pods(ns).Get(t.Context(), p.Name, metav1.GetOptions{})
		if err != nil || now.UID != p.UID {
			t.Errorf("%s was taken away: %v", p.Name, err)
		}
	}
	d, err := apps.Deployments(ns).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil || len(d.Spec.Template.Annotations) != 0 || d.Status.UpdatedReplicas != 2 || d.Status.AvailableReplicas != 2 {
		t.Errorf("web has %v, and is %+v: %v", d.Spec.Template.Annotations, d.Status, err)
	}
	var s *appsv1.StatefulSet
	c.Eventually(t, "store is whole again", time.Minute, func(ctx context.Context) (err error) {
		if s, err = apps.StatefulSets(ns).Get(ctx, "store", metav1.GetOptions{}); err == nil && (len(s.Spec.Template.Annotations) != 0 || s.Status.ReadyReplicas != 2) {
			err = fmt.Errorf("it has %v, and is %+v", s.Spec.Template.Annotations, s.Status)
		}
		return err
	})
	c.Eventually(t, "it is told on the very objects", time.Minute, func(ctx context.Context) error {
		for name, uid := range map[string]string{"web": string(d.UID), "store": string(s.UID)} {
			list, err := c.Client().CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "reason=RehydrationFailed,involvedObject.name=" + name + ",involvedObject.uid=" + uid})
			if err != nil || len(list.Items) == 0 {
				return fmt.Errorf("%d events on %s: %w", len(list.Items), name, err)
			}
		}
		return nil
	})
}

// both returns an error until it is told of web and of store.
func (a *ager) both(ctx context.Context, what rehydrate.What) error {
	all, err := a.told(ctx)
	if err != nil {
		return err
	}
	of := map[string]bool{}
	for i := range all {
		if all[i].What == what {
			of[all[i].Of.Name] = true
		}
	}
	if !of["web"] || !of["store"] {
		return fmt.Errorf("told is %+v", all)
	}
	return nil
}

// needing makes pods that become ready when something answers, and stay so for a while
// after it has ceased to.
func needing(t *testing.T, name, image string, at net.Addr) corev1.PodTemplateSpec {
	t.Helper()
	host, text, err := net.SplitHostPort(at.String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	pods := serving(name, image)
	one := int64(1)
	pods.Spec.TerminationGracePeriodSeconds = &one
	pods.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: host, Path: "/", Port: intstr.FromInt(port)}},
		PeriodSeconds: 1, TimeoutSeconds: 10, FailureThreshold: 1000,
	}
	return pods
}
