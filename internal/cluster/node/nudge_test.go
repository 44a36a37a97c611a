package node

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/install"
)

// newGate installs a server that refuses every pod until it is opened.
func newGate(t *testing.T, c *cluster.Cluster, namespace string) (open *atomic.Bool) {
	t.Helper()
	open = &atomic.Bool{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		yes := review.Request.Resource.Resource != "pods" || open.Load()
		answer := admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: yes}}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	o := install.Options{
		URL: server.URL, Namespaces: []string{namespace},
		CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}
	if err := install.Apply(t.Context(), c.Config(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(install.Remove(context.Background(), c.Config(), o), c.RemoveNamespace(context.Background(), install.Name))
		if err != nil {
			t.Error(err)
		}
	})
	return open
}

// quiet knows no rules: nothing is observed here.
type quiet struct{}

func (quiet) Book(context.Context) (*gate.Book, error) {
	return &gate.Book{Rules: &touchstone.Rules{Environments: []string{"prod"}}}, nil
}

func (quiet) Observe(context.Context, string, []gate.Running) error { return nil }

// What was refused long enough to back off for many seconds runs within a few of
// being nudged, by the server's own account and rights.
func TestWhatWasRefusedTriesAgainWhenNudged(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	im, err := cluster.PauseImage()
	if err != nil {
		t.Fatal(err)
	}
	image, _ := r.Push(t, "shop/cart:1.4", im)
	ns := c.Namespace(t, "nudge", nil)
	open := newGate(t, c, ns)
	k, err := kube.New(kube.Config{REST: c.ImpersonatedConfig("system:serviceaccount:touchstone:touchstone"), Road: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.Run(ctx, quiet{}) }()
	t.Cleanup(func() { cancel(); <-ended })

	makers := workloads(t, c, ns, image)
	// The controllers double their wait with each refusal, from 5 ms on: what was
	// refused for 12 seconds is tried again after 20.
	time.Sleep(12 * time.Second)
	for _, kind := range makers {
		if list, err := c.Client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
			t.Fatalf("%d pods of %s got in: %v", len(list.Items), kind, err)
		}
	}
	open.Store(true)
	opened := time.Now()
	for _, kind := range makers {
		name := nameOf(kind)
		if err := k.Nudge(t.Context(), gate.Request{Question: touchstone.Question{
			Place: touchstone.Place{Namespace: ns}, Workload: touchstone.Workload{Kind: kind, Name: name, Container: name},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range makers {
		c.WaitRunning(t, ns, nameOf(kind), 1, 7*time.Second-time.Since(opened))
		t.Logf("%s runs %s after the nudge", kind, time.Since(opened).Round(100*time.Millisecond))
	}
}

// nameOf is that of the workload of a kind.
func nameOf(kind string) string {
	return map[string]string{"Deployment": "web", "StatefulSet": "store", "DaemonSet": "agent", "Job": "once"}[kind]
}

// workloads makes one workload of each kind, and returns the kinds.
func workloads(t *testing.T, c *cluster.Cluster, ns, image string) []string {
	t.Helper()
	c.CreateDeployment(t, ns, nameOf("Deployment"), image, 1)
	template := func(kind string) (metav1.ObjectMeta, *metav1.LabelSelector, corev1.PodTemplateSpec) {
		name := nameOf(kind)
		return metav1.ObjectMeta{Name: name}, &metav1.LabelSelector{MatchLabels: cluster.Labels(name)}, cluster.Pods(name, image)
	}
	m, s, p := template("StatefulSet")
	_, err := c.Client().AppsV1().StatefulSets(ns).Create(t.Context(), &appsv1.StatefulSet{ObjectMeta: m, Spec: appsv1.StatefulSetSpec{Selector: s, Template: p}}, metav1.CreateOptions{})
	m, s, p = template("DaemonSet")
	_, err2 := c.Client().AppsV1().DaemonSets(ns).Create(t.Context(), &appsv1.DaemonSet{ObjectMeta: m, Spec: appsv1.DaemonSetSpec{Selector: s, Template: p}}, metav1.CreateOptions{})
	m, _, p = template("Job")
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err3 := c.Client().BatchV1().Jobs(ns).Create(t.Context(), &batchv1.Job{ObjectMeta: m, Spec: batchv1.JobSpec{Template: p}}, metav1.CreateOptions{})
	for _, err := range []error{err, err2, err3} {
		if err != nil {
			t.Fatal(fmt.Errorf("making a workload: %w", err))
		}
	}
	return []string{"Deployment", "StatefulSet", "DaemonSet", "Job"}
}
