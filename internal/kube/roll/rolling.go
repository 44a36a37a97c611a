package roll

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// rolling replaces through the controller of the workload, and goes back the same
// way.
type rolling struct{ *Hands }

func (h rolling) look(ctx context.Context, s *rehydrate.Step) (rehydrate.Stage, string, error) {
	o, err := h.object(ctx, s.Of, s.UID)
	switch {
	case err != nil:
		return rehydrate.NotBegun, "", err
	case o == nil:
		return rehydrate.Gone, "it is gone, or another of the same name", nil
	}
	was := stateOf(s.Before)
	switch own := o.template.Annotations[AnnotationReplacement]; {
	case own == s.ID && s.Undoing != "":
		return rehydrate.Going, "", nil // it is still to be put back
	case own == s.ID && o.rolled:
		return rehydrate.Ready, "", nil
	case own == s.ID:
		why := h.trouble(ctx, s)
		if o.failed != "" {
			return rehydrate.Stuck, join(o.failed, why), nil
		}
		return rehydrate.Going, join(o.seen, why), nil
	case !maps.Equal(ours(o.template.Annotations), was.Template):
		return rehydrate.Strange, "another replacement is on its template", nil
	case s.Undoing == "" && o.Generation == was.Generation:
		return h.old(ctx, s, o)
	case s.Undoing == "":
		return rehydrate.Strange, "somebody has changed it meanwhile", nil
	case !o.rolled:
		return rehydrate.Going, "what was there before is coming back: " + o.seen, nil
	default:
		return rehydrate.Undone, "", nil
	}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// begin writes the annotations that make the controller replace the pods.
func (h rolling) begin(ctx context.Context, s *rehydrate.Step) error {
	was := stateOf(s.Before)
	return again(func() error {
		o, err := h.object(ctx, s.Of, s.UID)
		switch {
		case err != nil:
			return err
		case o == nil:
			return changed("the %s is gone, or another of the same name", s.Of)
		case o.template.Annotations[AnnotationReplacement] == s.ID:
			return nil
		case o.Generation != was.Generation || !maps.Equal(ours(o.template.Annotations), was.Template):
			return changed("somebody has changed the %s", s.Of)
		}
		return annotate(ctx, o, map[string]any{AnnotationReplacedAt: stamp(s.Planned), AnnotationReplacement: s.ID})
	})
}

func annotate(ctx context.Context, o *object, annotations map[string]any) error {
	patch, err := merge(o.ResourceVersion, nil, map[string]any{
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": annotations}}},
	})
	if err != nil {
		return err
	}
	err = o.patch(ctx, patch)
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) { // as a webhook of somebody's may
		return fmt.Errorf("%w: %w", rehydrate.ErrRefused, err)
	}
	return err
}

// undo makes the template what it was. A StatefulSet does not take away by itself
// what never became ready (kubernetes.io, StatefulSet, "Forced rollback").
func (h rolling) undo(ctx context.Context, s *rehydrate.Step) error {
	before := map[string]any{AnnotationReplacedAt: nil, AnnotationReplacement: nil}
	for name, value := range stateOf(s.Before).Template {
		before[name] = value
	}
	err := again(func() error {
		o, err := h.object(ctx, s.Of, s.UID)
		if err != nil || o == nil || o.template.Annotations[AnnotationReplacement] != s.ID {
			return err
		}
		return annotate(ctx, o, before)
	})
	if err != nil || s.Of.Kind != "StatefulSet" {
		return err
	}
	pods, err := h.made(ctx, s)
	if err != nil {
		return err
	}
	for i := range pods {
		if p := &pods[i]; !ready(p) && p.DeletionTimestamp == nil {
			err = errors.Join(err, h.removed(ctx, p.Namespace, p.Name, string(p.UID)))
		}
	}
	return err
}

func (rolling) goOn(context.Context, *rehydrate.Step) error { return nil }

// made are the pods that a step has made: they carry its ID, as their template does.
func (h rolling) made(ctx context.Context, s *rehydrate.Step) ([]corev1.Pod, error) {
	o, err := h.object(ctx, s.Of, s.UID)
	if err != nil || o == nil {
		return nil, err
	}
	list, err := h.Client.CoreV1().Pods(s.Of.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: o.template.Labels}),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of the %s: %w", s.Of, err)
	}
	var out []corev1.Pod
	for i := range list.Items {
		if list.Items[i].Annotations[AnnotationReplacement] == s.ID {
			out = append(out, list.Items[i])
		}
	}
	return out, nil
}

// trouble says what keeps a new pod from serving, as far as it tells.
func (h rolling) trouble(ctx context.Context, s *rehydrate.Step) string {
	pods, err := h.made(ctx, s)
	if err != nil {
		return ""
	}
	for i := range pods {
		p := &pods[i]
		for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
				return fmt.Sprintf("%s of %s: %s %s", c.Name, p.Name, w.Reason, w.Message)
			}
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				return fmt.Sprintf("%s: %s", p.Name, c.Message)
			}
		}
	}
	return ""
}
