package admit

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"touchstone.dev/touchstone"
)

// Following is a pod that would be made in the place of one that runs.
type Following struct {
	Namespace string
	Labels    map[string]string
	Owner     Owner
	// Revision tells apart what the owner makes, as the label
	// controller-revision-hash does; empty where it has but one.
	Revision string
	Spec     *corev1.PodSpec
}

// Follow says whether the pod would be let in at the door, were it made now, and if
// not, why: a sentence for each image. It asks as /validate does for its owner's
// controller, and writes nothing down.
func (w *Webhook) Follow(ctx context.Context, f Following) (touchstone.Verdict, []string, error) {
	data, err := json.Marshal(f.Spec)
	if err != nil {
		return "", nil, err
	}
	s := &spec{}
	if err := utiljson.Unmarshal(data, s); err != nil {
		return "", nil, fmt.Errorf("reading the pod that would follow: %w", err)
	}
	s.Ephemeral = nil // nothing makes those again
	if too := w.tooMany(s); too != nil {
		return touchstone.Refused, []string{too.message}, nil
	}
	place, err := w.place(ctx, f.Namespace, f.Labels)
	if err != nil {
		return "", nil, err
	}
	k := kept{workload: touchstone.Workload{Kind: f.Owner.Kind, Name: f.Owner.Name}, equal: f.Owner.UID}
	if f.Revision != "" && k.equal != "" {
		k.equal += "/" + f.Revision
	}
	r := &request{Namespace: f.Namespace, Operation: "CREATE", DryRun: true}
	r.User.Username = "touchstone"
	a := &asking{Webhook: w, r: r, place: place, kept: k, spec: s}
	if w.own(f.Namespace) {
		a.glass = w.ownGlass()
	}
	verdict := touchstone.Allowed
	var reasons []string
	all := a.all(ctx, s.parts())
	for i := range all {
		j := &all[i]
		if j.admit() || a.excused(j) {
			continue
		}
		reasons = append(reasons, j.line())
		said := touchstone.Undecided
		if j.err == nil && j.answer.Decision.Verdict != touchstone.Allowed {
			said = j.answer.Decision.Verdict
		}
		if said.Worse(verdict) {
			verdict = said
		}
	}
	return verdict, reasons, nil
}
