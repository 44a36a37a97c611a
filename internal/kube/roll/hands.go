package roll

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// What the hands write. The first two are on a pod template, and so on its pods.
const (
	AnnotationReplacedAt  = "touchstone.dev/replaced-at"
	AnnotationReplacement = "touchstone.dev/replacement" // the step
	// AnnotationStopped is on what was made to end: how many replicas it had.
	AnnotationStopped = "touchstone.dev/stopped-from"
	// AnnotationDrained and AnnotationHanded are on a node: the step that drains it,
	// and whether the provider has taken it.
	AnnotationDrained = "touchstone.dev/drained-for"
	AnnotationHanded  = "touchstone.dev/handed-over"
)

// Hands are those of a cluster. Each object is looked up anew before it is changed,
// and changed only as it was then.
type Hands struct {
	Client   kubernetes.Interface
	Provider Provider // of nodes; nil for none
}

var _ rehydrate.Hands = (*Hands)(nil)

// Hands returns those for the cluster.
func (k *Cluster) Hands() *Hands { return &Hands{Client: k.client, Provider: k.c.Nodes} }

// manner is a way of replacing, with the methods of rehydrate.Hands.
type manner interface {
	look(context.Context, *rehydrate.Step) (rehydrate.Stage, string, error)
	begin(context.Context, *rehydrate.Step) error
	goOn(context.Context, *rehydrate.Step) error
	undo(context.Context, *rehydrate.Step) error
}

func (h *Hands) manner(s *rehydrate.Step) manner {
	switch {
	case s.Deed == rehydrate.Stop:
		return stopping{h}
	case s.Means == rehydrate.Rollout:
		return rolling{h}
	case s.Means == rehydrate.Drain:
		return draining{h}
	default:
		return evicting{h}
	}
}

// Look implements rehydrate.Hands.
func (h *Hands) Look(ctx context.Context, s *rehydrate.Step) (rehydrate.Stage, string, error) {
	stage, why, err := h.manner(s).look(ctx, s)
	return stage, shortly(why), err
}

// Begin implements rehydrate.Hands.
func (h *Hands) Begin(ctx context.Context, s *rehydrate.Step) error {
	return h.manner(s).begin(ctx, s)
}

// Go implements rehydrate.Hands.
func (h *Hands) Go(ctx context.Context, s *rehydrate.Step) error { return h.manner(s).goOn(ctx, s) }

// Undo implements rehydrate.Hands.
func (h *Hands) Undo(ctx context.Context, s *rehydrate.Step) error { return h.manner(s).undo(ctx, s) }

// merge is a JSON merge patch (RFC 7386) of an object that must be as it was read.
func merge(resourceVersion string, metadata, rest map[string]any) ([]byte, error) {
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["resourceVersion"] = resourceVersion
	patch := map[string]any{"metadata": metadata}
	for k, v := range rest {
		patch[k] = v
	}
	return json.Marshal(patch)
}

// again tries once more what met a change of something else, such as a status.
func again(try func() error) error {
	const most = 5
	var err error
	for range most {
		if err = try(); !apierrors.IsConflict(err) {
			return err
		}
	}
	return err
}

func changed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, rehydrate.ErrChanged)...)
}

func get() metav1.GetOptions { return metav1.GetOptions{} }

// by names who changes a field (server-side field managers).
func by() metav1.PatchOptions { return metav1.PatchOptions{FieldManager: "touchstone-rehydrate"} }

// removed deletes a very pod, past any disruption budget.
func (h *Hands) removed(ctx context.Context, namespace, name, uid string) error {
	id := types.UID(uid)
	err := h.Client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &id}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // a conflict is another of the name
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting the pod %s/%s: %w", namespace, name, err)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
