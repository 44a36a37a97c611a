package node

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/cluster"
)

// What another webhook puts into a pod after it was judged is judged too, and
// pinned.
func sidecar(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, _ := w.push(t, "shop/cart:7", good)
	clean, digest := w.push(t, "mesh/proxy:1", good)
	holed, holes := w.push(t, "mesh/proxy:2", bad)
	unseen, _ := w.push(t, "mesh/proxy:3", good)
	for _, known := range []string{image, clean, holed} {
		w.seen(t, known)
	}
	injected := w.inject(t, ns)
	create := func(name string) error { return w.create(t, ns, name, image) }

	injected.Store(&holed)
	wantRefused(t, create("holed"), "refused", "(sidecar)", "CVE-2026-1001")
	byDigest := cluster.ByDigest(holed, holes)
	injected.Store(&byDigest)
	wantRefused(t, create("holed"), "refused", "(sidecar)", "CVE-2026-1001")
	release := w.slow.hold(t)
	injected.Store(&unseen)
	wantRefused(t, create("unseen"), "(sidecar)", "was not seen before")
	release()

	injected.Store(&clean)
	if err := create("clean"); err != nil {
		t.Fatal(err)
	}
	pods := w.c.WaitRunning(t, ns, "clean", 1, time.Minute)
	wantImage(t, pods, "sidecar", pinned(clean, digest))
	if n := len(pods[0].Spec.Containers); n != 2 {
		t.Errorf("%d containers run, want the pod's own and the sidecar", n)
	}
}

// inject has a second webhook, which comes after the gate's, add a container of
// the image to every new pod of the namespace.
func (w *world) inject(t *testing.T, ns string) (image *atomic.Pointer[string]) {
	t.Helper()
	image = &atomic.Pointer[string]{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		var pod corev1.Pod
		if json.NewDecoder(r.Body).Decode(&review) != nil || json.Unmarshal(review.Request.Object.Raw, &pod) != nil {
			http.Error(rw, "no review of a pod", http.StatusBadRequest)
			return
		}
		answer := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if len(pod.Spec.Containers) == 1 {
			added := cluster.Pods("sidecar", *image.Load()).Spec.Containers[0]
			kind := admissionv1.PatchTypeJSONPatch
			answer.PatchType = &kind
			answer.Patch, _ = json.Marshal([]map[string]any{{"op": "add", "path": "/spec/containers/-", "value": added}})
		}
		_ = json.NewEncoder(rw).Encode(admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: answer})
	}))
	t.Cleanup(server.Close)

	fail, none := admission.Fail, admission.SideEffectClassNone
	all := w.c.Client().AdmissionregistrationV1().MutatingWebhookConfigurations()
	// The API server calls configurations in the order of their names.
	made, err := all.Create(t.Context(), &admission.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "zz-sidecar"},
		Webhooks: []admission.MutatingWebhook{{
			Name: "sidecar.mesh.example", FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admission.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}},
			Rules: []admission.RuleWithOperations{{Operations: []admission.OperationType{admission.Create}, Rule: admission.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"},
			}}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Delete(context.Background(), made.Name, metav1.DeleteOptions{}) })
	w.awaitInjection(t, ns, image)
	return image
}

// awaitInjection waits until the API server calls the webhook: it learns of it a
// moment after it is made.
func (w *world) awaitInjection(t *testing.T, ns string, image *atomic.Pointer[string]) {
	t.Helper()
	probe := "registry.example/probe:1"
	image.Store(&probe)
	wait(t, "the sidecar is injected", time.Minute, func(ctx context.Context) error {
		_, err := w.c.Client().CoreV1().Pods(ns).Create(ctx, cluster.Pod(ns, "probe", probe), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && contains(err.Error(), "(sidecar)") {
			return nil
		}
		return err
	})
}
