package admit

import (
	"context"
	"fmt"

	"touchstone.dev/touchstone"
)

// workload tells whoever writes something that makes pods what its pods will be
// told, and has what was not seen scanned. It refuses only what the rules refuse for
// sure: what was not seen yet, or could not be decided, may be let in by the time
// that there are pods.
func (w *Webhook) workload(ctx context.Context, r *request) (answer, error) {
	pod := r.Object.pod()
	if pod == nil {
		return passed(), nil // a ReplicationController may have none
	}
	if too := w.tooMany(&pod.Spec); too != nil {
		return *too, nil
	}
	bare := w.believed(&r.User, r.Object.Metadata.Owners) == nil
	breaking, no, err := w.breaks(ctx, r, bare)
	if err != nil || no != nil {
		return orRefused(no), err
	}
	if !bare {
		return passed(), nil // what keeps it was judged
	}
	parts := pod.Spec.parts()
	if old := r.Old.pod(); r.Operation == "UPDATE" && old != nil && breaking == nil {
		parts = changed(parts, old.Spec.parts())
	}
	if len(parts) == 0 {
		return passed(), nil
	}
	place, err := w.place(ctx, r.Namespace, pod.Metadata.Labels)
	if err != nil {
		return answer{}, err
	}
	a := &asking{
		Webhook: w, r: r, place: place, spec: &pod.Spec, quiet: true, glass: breaking.history(),
		kept: kept{workload: touchstone.Workload{Kind: r.Kind.Kind, Name: nameOf(r)}, bare: true},
	}
	all := a.all(ctx, parts)
	out := a.early(all)
	if out.allowed && breaking != nil {
		err = w.broke(ctx, breaking, a.kept.workload, all, &out)
	}
	return out, err
}

// early turns what was said of the images into warnings, and into a refusal where
// that is sure.
func (a *asking) early(all []judged) answer {
	out := answer{allowed: true, audit: audited(all)}
	var bad []judged
	for i := range all {
		j := &all[i]
		switch {
		case j.admit():
			out.warnings = append(out.warnings, j.warnings()...)
		case j.rank() == rankRefused && !a.c.OnlyWarn && !a.excused(j):
			bad = append(bad, *j)
		case j.part.image == "":
			out.warnings = append(out.warnings, warning(fmt.Sprintf("the container %s names no image yet", j.part.name)))
		case j.rank() == rankUnseen:
			out.warnings = append(out.warnings, warning(j.line()))
		default:
			out.warnings = append(out.warnings, warning("its pods would be "+j.line()))
		}
	}
	if len(bad) > 0 {
		out.allowed, out.warnings, out.message = false, nil, message(bad)
	}
	out.warnings = few(out.warnings)
	return out
}
