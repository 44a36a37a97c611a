// Package load asks a webhook as a busy API server does, and measures how long the
// answers take. It is for benchmarks; the floor to hold a webhook against is one that
// reads the review and allows everything, in the same run.
//
//	Review ─► Run (so many in flight, over TLS) ─► webhook, then AllowAll ─► two Results
package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Review returns the review of a pod as an API server writes it when a Deployment
// is rolled out: one container of the image, about 4 KB. n numbers the pod.
func Review(namespace, image string, n int) ([]byte, error) {
	env := make([]corev1.EnvVar, 20)
	for i := range env {
		env[i] = corev1.EnvVar{Name: "SETTING_" + strconv.Itoa(i), Value: "a value as long as most of them are"}
	}
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "cart-5f-", Namespace: namespace, Labels: map[string]string{"app": "cart", "pod-template-hash": "5f"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart-5f", UID: "6f1c2b1e-0000-4000-8000-000000000001", Controller: new(true), BlockOwnerDeletion: new(true),
			}},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1",
				FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"cart\"}":{".":{},"f:image":{},"f:env":{},"f:name":{},"f:resources":{}}},"f:restartPolicy":{}}}`),
			}},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: "cart", RestartPolicy: corev1.RestartPolicyAlways,
			Volumes: []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			Containers: []corev1.Container{{
				Name: "cart", Image: image, Env: env, VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
				Ports:           []corev1.ContainerPort{{ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
				SecurityContext: &corev1.SecurityContext{RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false)},
			}},
		},
	}
	object, err := json.Marshal(pod)
	if err != nil {
		return nil, err
	}
	return json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:       types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)),
			Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Namespace: namespace, Operation: admissionv1.Create,
			UserInfo: authenticationv1.UserInfo{Username: "system:serviceaccount:kube-system:replicaset-controller", Groups: []string{"system:serviceaccounts", "system:authenticated"}},
			Object:   runtime.RawExtension{Raw: object},
		},
	})
}

// AllowAll is a webhook that reads the review and allows it.
func AllowAll() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(admissionv1.AdmissionReview{
			TypeMeta: review.TypeMeta, Response: &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true},
		})
	})
}

// Config says what is asked, and how hard.
type Config struct {
	Client *http.Client // trusts the webhook's certificate
	URL    string       // with the path and "?timeout=10s"
	// Bodies are sent in turn.
	Bodies [][]byte
	// InFlight is how many wait for an answer at a time; 200 when zero.
	InFlight int
	// Requests is how many are sent.
	Requests int
	// Allowed is the answer that counts as right.
	Allowed bool
}

// Result is what came of it.
type Result struct {
	P50, P99 time.Duration
	Rate     float64 // answers in a second
	Errors   int     // no answer, or not the right one
	First    error   // the first of the errors
}

// Run sends the requests.
func Run(ctx context.Context, c Config) Result {
	if c.InFlight == 0 {
		c.InFlight = 200
	}
	took := make([]time.Duration, c.Requests)
	var next atomic.Int64
	var failed atomic.Int64
	var once sync.Once
	var first error
	var wg sync.WaitGroup
	start := time.Now()
	for range c.InFlight {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= c.Requests {
					return
				}
				asked := time.Now()
				if err := ask(ctx, c, c.Bodies[i%len(c.Bodies)]); err != nil {
					failed.Add(1)
					once.Do(func() { first = err })
				}
				took[i] = time.Since(asked)
			}
		})
	}
	wg.Wait()
	all := time.Since(start)
	slices.Sort(took)
	r := Result{Rate: float64(c.Requests) / all.Seconds(), Errors: int(failed.Load()), First: first}
	if n := len(took); n > 0 {
		r.P50, r.P99 = took[n/2], took[n*99/100]
	}
	return r
}

func ask(ctx context.Context, c Config, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var said struct {
		Response struct {
			Allowed bool `json:"allowed"`
			Status  struct {
				Message string `json:"message"`
			} `json:"status"`
		} `json:"response"`
	}
	switch err := json.Unmarshal(data, &said); {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("status %s: %s", resp.Status, data)
	case err != nil:
		return err
	case said.Response.Allowed != c.Allowed:
		return errors.New("the wrong answer: " + said.Response.Status.Message)
	}
	return nil
}
