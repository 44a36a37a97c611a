package admit_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/storetest"
)

// front is a webhook with all that stands behind it.
type front struct {
	testing.TB
	desk  *desk
	town  *town
	store record.Store
	hook  *admit.Webhook
}

func newFront(t testing.TB, change func(*admit.Config)) *front {
	t.Helper()
	f := &front{TB: t, desk: newDesk(t), town: newTown(), store: storetest.Open(t)}
	c := admit.Config{
		Door: f.desk, Road: f.desk, Cluster: f.town, Store: f.store, Name: "east", Own: "touchstone",
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return f.desk.now() },
	}
	if change != nil {
		change(&c)
	}
	f.hook = admit.New(c)
	return f
}

// ask is an AdmissionRequest in the making.
type ask struct {
	admissionv1.AdmissionRequest
	path string
}

type option func(*ask)

func as(user string, groups ...string) option {
	return func(a *ask) { a.UserInfo = authenticationv1.UserInfo{Username: user, Groups: groups} }
}

func onto(old runtime.Object) option {
	return func(a *ask) {
		a.Operation = admissionv1.Update
		a.OldObject = raw(old)
	}
}

func sub(resource string) option { return func(a *ask) { a.SubResource = resource } }

func in(namespace string) option { return func(a *ask) { a.Namespace = namespace } }

func dry(a *ask) { a.DryRun = new(true) }

func mutate(a *ask) { a.path = admit.PathMutate }

func operation(o admissionv1.Operation) option { return func(a *ask) { a.Operation = o } }

func raw(o runtime.Object) runtime.RawExtension {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return runtime.RawExtension{Raw: data}
}

// review is the body that an API server would send: a CREATE in the namespace
// shop by bob, unless the options say otherwise.
func review(kind string, o runtime.Object, options ...option) (body []byte, path string) {
	group, resource := resourceOf(kind)
	a := ask{path: admit.PathValidate}
	a.AdmissionRequest = admissionv1.AdmissionRequest{
		UID: "u-1", Kind: metav1.GroupVersionKind{Group: group, Version: "v1", Kind: kind},
		Resource:  metav1.GroupVersionResource{Group: group, Version: "v1", Resource: resource},
		Namespace: "shop", Operation: admissionv1.Create, UserInfo: authenticationv1.UserInfo{Username: "bob"},
	}
	if o != nil {
		a.Object = raw(o)
	}
	for _, opt := range options {
		opt(&a)
	}
	data, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: &a.AdmissionRequest,
	})
	if err != nil {
		panic(err)
	}
	return data, a.path
}

func resourceOf(kind string) (group, resource string) {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		group = "apps"
	case "Job", "CronJob":
		group = "batch"
	case "Widget":
		group = "example.org"
	}
	return group, strings.ToLower(kind) + "s"
}

// send posts a review and returns what the webhook says.
func (f *front) send(kind string, o runtime.Object, options ...option) *admissionv1.AdmissionResponse {
	f.Helper()
	body, path := review(kind, o, options...)
	status, got := f.post(path+"?timeout=10s", body)
	if status != http.StatusOK {
		f.Fatalf("status %d: %s", status, got)
	}
	return answered(f, got)
}

func (f *front) post(path string, body []byte) (int, []byte) {
	f.Helper()
	rec := httptest.NewRecorder()
	f.hook.ServeHTTP(rec, httptest.NewRequestWithContext(f.Context(), http.MethodPost, path, bytes.NewReader(body)))
	data, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		f.Fatal(err)
	}
	return rec.Code, data
}

func answered(t testing.TB, body []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	var rv admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &rv); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if rv.Kind != "AdmissionReview" || rv.Response == nil || rv.Response.UID != "u-1" {
		t.Fatalf("this answers no review: %s", body)
	}
	return rv.Response
}

// message returns what a refusal says.
func message(r *admissionv1.AdmissionResponse) string {
	if r.Result == nil {
		return ""
	}
	return r.Result.Message
}

// pod is a pod of containers with these images: c0, c1 and so on.
func pod(images ...string) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: "shop"},
	}
	for i, image := range images {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "c" + strconv.Itoa(i), Image: image})
	}
	return p
}

// patched applies a JSON patch (RFC 6902) to an object by hand: replace alone is
// understood, and the place must be there.
func patched[T any](t testing.TB, o *T, patch []byte) *T {
	t.Helper()
	var doc any
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var operations []struct {
		Op, Path string
		Value    any
	}
	if err := json.Unmarshal(patch, &operations); err != nil {
		t.Fatalf("%v: %s", err, patch)
	}
	for _, op := range operations {
		if op.Op != "replace" {
			t.Fatalf("the patch does more than to replace: %s", patch)
		}
		steps := strings.Split(strings.TrimPrefix(op.Path, "/"), "/")
		at := doc
		for i, step := range steps {
			last := i == len(steps)-1
			switch inner := at.(type) {
			case map[string]any:
				if _, ok := inner[step]; !ok {
					t.Fatalf("nothing is at %s", op.Path)
				}
				if last {
					inner[step] = op.Value
				}
				at = inner[step]
			case []any:
				n, err := strconv.Atoi(step)
				if err != nil || n >= len(inner) {
					t.Fatalf("nothing is at %s", op.Path)
				}
				at = inner[n]
			default:
				t.Fatalf("nothing is at %s", op.Path)
			}
		}
	}
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}
