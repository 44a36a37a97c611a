package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// Audience is whom a guard's service-account token is for: the API server takes no
// such token for one of its own, so that it is good for nothing there.
const Audience = "touchstone.dev"

// ErrNoGuard says that a token is none of a guard's.
var ErrNoGuard = errors.New("the token is not that of a guard of this cluster")

// What a token review says of a pod's token (k8s.io/apiserver, authentication/serviceaccount).
const (
	extraNode = "authentication.kubernetes.io/node-name"
	extraPod  = "authentication.kubernetes.io/pod-name"
)

// Guard returns the node whose guard holds the token, by asking the API server
// (TokenReview), or ErrNoGuard. The token is that of a pod, and ends with it.
func (k *Cluster) Guard(ctx context.Context, token string) (node string, err error) {
	if k.c.Guards == "" {
		return "", ErrNoGuard
	}
	got, err := k.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the cluster whose token this is: %w", err)
	}
	s := &got.Status
	if !s.Authenticated || s.User.Username != k.c.Guards || !slices.Contains(s.Audiences, Audience) {
		return "", ErrNoGuard
	}
	if named := s.User.Extra[extraNode]; len(named) == 1 && named[0] != "" {
		return named[0], nil
	}
	// An API server that does not say the node says the pod.
	namespace, _, _ := strings.Cut(strings.TrimPrefix(k.c.Guards, "system:serviceaccount:"), ":")
	if named := s.User.Extra[extraPod]; len(named) == 1 {
		if found, ok, _ := k.pods.GetStore().GetByKey(namespace + "/" + named[0]); ok && found.(*pod).node != "" {
			return found.(*pod).node, nil
		}
	}
	return "", ErrNoGuard
}

// Evict asks for a pod to be evicted (policy/v1 Eviction): disruption budgets hold.
// held says what keeps it, and after how long to ask again. A pod that is gone, or of
// another UID, is evicted already.
func (k *Cluster) Evict(ctx context.Context, p *gate.Pod) (held string, after time.Duration, err error) {
	uid := types.UID(p.UID)
	// client-go would wait by itself where it is told to ask again later.
	err = k.client.CoreV1().RESTClient().Post().Namespace(p.Namespace).Resource("pods").Name(p.Name).SubResource("eviction").MaxRetries(0).
		Body(&policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name},
			DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
		}).Do(ctx).Error()
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return "", 0, nil
	case apierrors.IsTooManyRequests(err):
		after = 10 * time.Second
		if s, ok := apierrors.SuggestsClientDelay(err); ok && s > 0 {
			after = time.Duration(s) * time.Second
		}
		return err.Error(), after, nil
	}
	return "", 0, fmt.Errorf("evicting the pod %s/%s: %w", p.Namespace, p.Name, err)
}

// speak begins to write events, and returns what ends it. Of the same about a pod few
// are written: client-go gathers what is alike into one with a count, and drops what
// comes too quickly.
func (k *Cluster) speak(ctx context.Context) (stop func()) {
	b := record.NewBroadcaster(record.WithContext(ctx))
	b.StartRecordingToSink(&clientv1.EventSinkImpl{Interface: k.client.CoreV1().Events("")})
	r := record.EventRecorder(b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "touchstone-guard"}))
	k.recorder.Store(&r)
	return func() {
		k.recorder.Store(nil)
		b.Shutdown()
	}
}

// mostMessage is how long the API server lets the message of an event be (core/v1).
const mostMessage = 1024

// Tell writes an event on the pod that a guard has seen something in, or on its node
// where that is nil: the line, which is to be printable. It does not wait, and is for
// people who look at the cluster: the record has it whether this is written or not.
func (k *Cluster) Tell(p *gate.Pod, e *touchstone.RuntimeEvent, line string) {
	r := k.recorder.Load()
	if r == nil {
		return
	}
	about := &corev1.ObjectReference{Kind: "Node", Name: e.Node, UID: types.UID(e.Node)} // as a kubelet names itself
	if p != nil {
		about = &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.UID)}
		if found, ok, _ := k.pods.GetStore().GetByKey(p.Namespace + "/" + p.Name); ok {
			about.UID = found.(*pod).UID // of the object that shows a static one
		}
		for i := range p.Containers {
			if c := &p.Containers[i]; c.Name == e.Running.Workload.Container && c.Role == gate.RoleMain {
				about.FieldPath = "spec.containers{" + c.Name + "}"
			}
		}
	}
	kind := corev1.EventTypeWarning
	if e.Action == "" || e.Action == touchstone.EffectNone || e.Kind == touchstone.EventReplaced {
		kind = corev1.EventTypeNormal
	}
	(*r).Event(about, kind, reasonOf(e.Kind), cut(line, mostMessage))
}

func reasonOf(k touchstone.RuntimeEventKind) string {
	switch k {
	case touchstone.EventRunUnknown:
		return "UnknownExecuted"
	case touchstone.EventChange:
		return "FileChanged"
	case touchstone.EventLogin:
		return "Login"
	case touchstone.EventReplaced:
		return "Replaced"
	default:
		return "Guard"
	}
}

// cut shortens text to so many bytes, at a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}
