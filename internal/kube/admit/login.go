package admit

import (
	"context"
	"errors"
	"fmt"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// wayIn returns the way into a pod that a subresource is. Its proxy reaches the
// pod's ports as a port-forward does.
func wayIn(subresource string) (touchstone.LoginKind, bool) {
	switch subresource {
	case "exec":
		return touchstone.LoginExec, true
	case "attach":
		return touchstone.LoginAttach, true
	case "portforward", "proxy":
		return touchstone.LoginPortForward, true
	}
	return "", false
}

// connect judges a way into a pod that runs. The review names the pod and holds
// the options, so that the pod is looked up.
func (w *Webhook) connect(ctx context.Context, r *request, kind touchstone.LoginKind) (answer, error) {
	pod, err := w.c.Cluster.Pod(ctx, r.Namespace, r.Name)
	if errors.Is(err, ErrNone) {
		return refused(text(fmt.Sprintf("refused: there is no pod %s in %s", r.Name, r.Namespace), "")), nil
	}
	if err != nil {
		return answer{}, fmt.Errorf("looking up the pod %s: %w", r.Name, err)
	}
	place, err := w.place(ctx, r.Namespace, pod.Labels)
	if err != nil {
		return answer{}, err
	}
	workload := touchstone.Workload{Kind: "Pod", Name: r.Name}
	for i := range pod.OwnerReferences {
		if c := pod.OwnerReferences[i].Controller; c == nil || !*c {
			continue
		}
		o, err := w.owner(ctx, r.Namespace, pod.OwnerReferences[i:i+1])
		if err != nil {
			return answer{}, err
		}
		workload = touchstone.Workload{Kind: o.Kind, Name: o.Name}
	}
	return w.login(ctx, r, place, workload, r.Object.Container, touchstone.Login{
		Kind: kind, By: r.User.Username, Command: r.Object.Command, TTY: r.Object.TTY,
	})
}

// login asks the door about a way in.
func (w *Webhook) login(ctx context.Context, r *request, place touchstone.Place, workload touchstone.Workload, container string, l touchstone.Login) (answer, error) {
	workload.Container = container
	got, err := w.c.Door.Login(ctx, gate.Request{
		Actor: r.User.Username, DryRun: r.DryRun, Pod: r.Name,
		Question: touchstone.Question{Occasion: touchstone.OccasionLogin, Place: place, Workload: workload, Login: &l},
	})
	if err != nil {
		return answer{}, fmt.Errorf("judging the %s: %w", l.Kind, err)
	}
	if got == nil {
		return answer{}, errNoAnswer
	}
	j := judged{part: &part{name: container, image: string(l.Kind) + " into " + workload.Kind + " " + workload.Name}, answer: got}
	out := answer{allowed: got.Admit(), audit: audited([]judged{j})}
	if out.allowed {
		out.warnings = few(j.warnings())
	} else {
		out.message = message([]judged{j})
	}
	return out, nil
}
