package roll

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// draining replaces a node: it is cordoned, its pods leave as disruption budgets let
// them, the provider takes it, and a young one must come.
type draining struct{ *Hands }

func (h draining) look(ctx context.Context, s *rehydrate.Step) (rehydrate.Stage, string, error) {
	n, err := h.node(ctx, s)
	if err != nil {
		return rehydrate.NotBegun, "", err
	}
	if n == nil {
		young, err := h.young(ctx, s)
		switch {
		case err != nil:
			return rehydrate.NotBegun, "", err
		case young:
			return rehydrate.Ready, "", nil
		case s.Undoing != "":
			return rehydrate.Gone, "the node is gone, and no young one came", nil
		}
		return rehydrate.Going, "the node is gone, and no young one is there yet", nil
	}
	switch own := n.Annotations[AnnotationDrained]; {
	case own == "" && s.Undoing != "":
		return rehydrate.Undone, "", nil
	case own == "":
		return rehydrate.NotBegun, "", nil
	case own != s.ID:
		return rehydrate.Strange, "another drains it", nil
	case n.Annotations[AnnotationHanded] == s.ID:
		return rehydrate.Going, "the provider has it", nil
	}
	left, err := h.left(ctx, n.Name)
	if err != nil {
		return rehydrate.NotBegun, "", err
	}
	return rehydrate.Going, fmt.Sprintf("%d pods are still on it", len(left)), nil
}

// node looks the very node up; nil where it is gone.
func (h draining) node(ctx context.Context, s *rehydrate.Step) (*corev1.Node, error) {
	n, err := h.Client.CoreV1().Nodes().Get(ctx, s.Of.Name, get())
	switch {
	case apierrors.IsNotFound(err), err == nil && string(n.UID) != s.UID:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking up the node %s: %w", s.Of.Name, err)
	}
	return n, nil
}

// young reports whether a node that is younger than the step serves.
func (h draining) young(ctx context.Context, s *rehydrate.Step) (bool, error) {
	list, err := h.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("listing the nodes: %w", err)
	}
	for i := range list.Items {
		n := &list.Items[i]
		// The API server counts seconds.
		if nodeReady(n) && !n.Spec.Unschedulable && n.CreationTimestamp.Unix() >= s.Planned.Unix() {
			return true, nil
		}
	}
	return false, nil
}

// left are the pods that must leave the node first.
func (h draining) left(ctx context.Context, node string) ([]corev1.Pod, error) {
	list, err := h.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of the node %s: %w", node, err)
	}
	var out []corev1.Pod
	for i := range list.Items {
		if !leaves(&list.Items[i]) {
			out = append(out, list.Items[i])
		}
	}
	return out, nil
}

func (h draining) begin(ctx context.Context, s *rehydrate.Step) error {
	if h.Provider == nil {
		return changed("nobody can bring another node")
	}
	return again(func() error {
		n, err := h.node(ctx, s)
		switch {
		case err != nil:
			return err
		case n == nil:
			return changed("the node %s is gone", s.Of.Name)
		case n.Annotations[AnnotationDrained] == s.ID:
			return nil
		case n.Spec.Unschedulable || n.Annotations[AnnotationDrained] != "":
			return changed("somebody has cordoned the node %s", s.Of.Name)
		}
		return h.mark(ctx, n, map[string]any{AnnotationDrained: s.ID, AnnotationHanded: nil}, true)
	})
}

func (h draining) mark(ctx context.Context, n *corev1.Node, annotations map[string]any, cordoned bool) error {
	var rest any
	if cordoned {
		rest = true
	}
	patch, err := merge(n.ResourceVersion, map[string]any{"annotations": annotations}, map[string]any{"spec": map[string]any{"unschedulable": rest}})
	if err != nil {
		return err
	}
	_, err = h.Client.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, by())
	return err
}

// goOn evicts what is left; past the deadline what a disruption budget holds is
// deleted. Once nothing is left the provider is called, and told so on the node.
func (h draining) goOn(ctx context.Context, s *rehydrate.Step) error {
	n, err := h.node(ctx, s)
	if err != nil || n == nil || n.Annotations[AnnotationHanded] == s.ID {
		return err
	}
	left, err := h.left(ctx, n.Name)
	if err != nil {
		return err
	}
	var held error
	for i := range left {
		p := &left[i]
		switch {
		case p.DeletionTimestamp != nil:
		case staysOn(p) != "":
			held = errors.Join(held, errors.New(staysOn(p)))
		default:
			err := h.evicted(ctx, p.Namespace, p.Name, string(p.UID))
			if errors.Is(err, rehydrate.ErrChanged) && s.Forced {
				err = h.removed(ctx, p.Namespace, p.Name, string(p.UID))
			}
			held = errors.Join(held, err)
		}
	}
	if len(left) > 0 {
		return held
	}
	if err := h.Provider.Replace(ctx, s.ID, n.Name); err != nil {
		return fmt.Errorf("handing the node %s over: %w", n.Name, err)
	}
	return again(func() error {
		n, err := h.node(ctx, s)
		if err != nil || n == nil {
			return err
		}
		return h.mark(ctx, n, map[string]any{AnnotationHanded: s.ID}, true)
	})
}

// undo uncordons the node, unless the provider has it: then nobody can.
func (h draining) undo(ctx context.Context, s *rehydrate.Step) error {
	return again(func() error {
		n, err := h.node(ctx, s)
		if err != nil || n == nil || n.Annotations[AnnotationDrained] != s.ID {
			return err
		}
		if n.Annotations[AnnotationHanded] == s.ID {
			return fmt.Errorf("the node %s was handed to its provider and is still there", n.Name)
		}
		return h.mark(ctx, n, map[string]any{AnnotationDrained: nil}, false)
	})
}
