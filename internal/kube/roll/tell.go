package roll

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"touchstone.dev/touchstone/internal/rehydrate"
	"touchstone.dev/touchstone/internal/rules"
)

// Teller writes events on the objects. client-go gathers what is alike, and drops what
// comes too quickly; the record has everything.
type Teller struct{ r record.EventRecorder }

// NewTeller returns one that writes until the context ends.
func NewTeller(ctx context.Context, client kubernetes.Interface) *Teller {
	b := record.NewBroadcaster(record.WithContext(ctx))
	b.StartRecordingToSink(&clientv1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return &Teller{b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "touchstone-rehydrate"})}
}

// Teller returns one for the cluster.
func (k *Cluster) Teller(ctx context.Context) *Teller { return NewTeller(ctx, k.client) }

// Tell implements rehydrate.Teller.
func (t *Teller) Tell(of rehydrate.Identity, uid string, bad bool, what, text string) {
	reason, ok := map[rehydrate.What]string{
		rehydrate.Planned: "Rehydrating", rehydrate.Replaced: "Rehydrated", rehydrate.GoingBack: "RehydrationFailed", rehydrate.Back: "RehydrationUndone",
		rehydrate.Announced: "RehydrationAnnounced", rehydrate.InTheWay: "RehydrationHeld", rehydrate.Stopped: "Stopped",
	}[rehydrate.What(what)]
	if !ok {
		return
	}
	about := &corev1.ObjectReference{APIVersion: apiVersion(of.Kind), Kind: of.Kind, Namespace: of.Namespace, Name: of.Name, UID: types.UID(uid)}
	kind := corev1.EventTypeNormal
	if bad {
		kind = corev1.EventTypeWarning
	}
	t.r.Event(about, kind, reason, shortly(rules.Printable(text)))
}

func apiVersion(kind string) string {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		return "apps/v1"
	case "Job", "CronJob":
		return "batch/v1"
	default:
		return "v1"
	}
}
