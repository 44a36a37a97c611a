package admit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"touchstone.dev/touchstone"
)

// mirrorAnnotation marks a pod by which a node shows what it runs without having
// been told by the API server (core/v1, MirrorPodAnnotationKey).
const mirrorAnnotation = "kubernetes.io/config.mirror"

// pod judges the images of a pod that are new or run otherwise than before.
func (w *Webhook) pod(ctx context.Context, r *request, mutate bool) (answer, error) {
	if too := w.tooMany(&r.Object.Spec); too != nil {
		return *too, nil
	}
	parts := r.Object.Spec.parts()
	if r.Operation == "UPDATE" {
		parts = changed(parts, r.Old.Spec.parts())
	}
	if len(parts) == 0 && !r.annotated() {
		return passed(), nil // whatever fails inside, what runs can be labelled and ended
	}
	k, err := w.keeper(ctx, r)
	if err != nil {
		return answer{}, err
	}
	breaking, no, err := w.breaks(ctx, r, k.bare)
	if err != nil || no != nil {
		return orRefused(no), err
	}
	if len(parts) == 0 {
		return passed(warning("no glass is broken: this changes nothing that would be judged")), nil
	}
	place, err := w.place(ctx, r.Namespace, r.Object.Metadata.Labels)
	if err != nil {
		return answer{}, err
	}
	a := &asking{
		Webhook: w, r: r, place: place, kept: k, spec: &r.Object.Spec, mirror: mirror(r),
		mutable: !mutate && !mirror(r), glass: breaking.history(),
	}
	if w.own(r.Namespace) && a.glass == nil {
		a.glass = w.ownGlass()
	}
	if !mutate {
		if no, err := a.debugs(ctx, parts); no != nil || err != nil {
			return orRefused(no), err
		}
	}
	// A pod comes in whole or not at all: nothing is written down as let in while
	// another of its images may keep it out.
	a.quiet = mutate || len(parts) > 1
	all := a.all(ctx, parts)
	out, err := a.verdict(all, mutate)
	if err == nil && out.allowed && a.quiet && !mutate {
		a.quiet = false
		all = a.all(ctx, parts)
		out, err = a.verdict(all, mutate)
	}
	if err == nil && out.allowed && breaking != nil && !mutate {
		err = w.broke(ctx, breaking, k.workload, all, &out)
	}
	return out, err
}

// mirror reports whether the review is about a mirror pod, shown by a node.
func mirror(r *request) bool {
	_, marked := r.Object.Metadata.Annotations[mirrorAnnotation]
	return marked && slices.Contains(r.User.Groups, "system:nodes")
}

// tooMany refuses what would take longer to judge than anybody waits.
func (w *Webhook) tooMany(s *spec) *answer {
	if n := s.count(); n > w.c.MaxImages {
		no := refused(text(fmt.Sprintf("refused: %d images in one pod; %d are judged at most", n, w.c.MaxImages), "make several pods of it"))
		return &no
	}
	return nil
}

// orRefused returns the refusal, where there is one.
func orRefused(no *answer) answer {
	if no == nil {
		return answer{}
	}
	return *no
}

// verdict puts together what was said of all images.
func (a *asking) verdict(all []judged, mutate bool) (answer, error) {
	out := answer{allowed: true, audit: audited(all)}
	var bad []judged
	for i := range all {
		j := &all[i]
		switch {
		case j.admit():
			if patch, ok := a.patch(j); ok && mutate {
				out.patch = append(out.patch, patch)
			}
			out.warnings = append(out.warnings, j.warnings()...)
		case a.excused(j):
			out.warnings = append(out.warnings, warning("let in all the same: "+j.line()))
		default:
			bad = append(bad, *j)
		}
	}
	slices.SortStableFunc(bad, func(x, y judged) int { return x.rank() - y.rank() })
	switch {
	case len(bad) == 0:
	case mutate && bad[0].rank() >= rankUndecided:
		// Another webhook may still put something in its place. What stays as it is
		// has no digest then, or is asked about again, and /validate refuses it.
	case bad[0].answer == nil:
		return answer{}, fmt.Errorf("judging %s: %w", bad[0].part.image, bad[0].err)
	default:
		out.allowed, out.patch, out.warnings = false, nil, nil
		out.message = message(bad)
		return out, nil
	}
	if mutate {
		out.warnings = nil // /validate says them
	}
	out.warnings = few(out.warnings)
	return out, nil
}

// patch is what pins the image. Where rules are only reported on, and where a node
// shows what it runs, nothing is touched.
func (a *asking) patch(j *judged) (operation, bool) {
	if !j.answer.Enforced || a.mirror {
		return operation{}, false
	}
	image, differs := pinned(j.part.image, j.answer)
	return operation{Op: "replace", Path: j.part.path, Value: image}, differs
}

// excused reports whether something that is not let in must be let in all the
// same; see "When something goes wrong" in the package's comment.
func (a *asking) excused(j *judged) bool {
	switch {
	case a.mirror:
		return true
	case j.answer == nil || j.late:
		return a.system(a.r.Namespace)
	case a.own(a.r.Namespace):
		return !slices.ContainsFunc(j.answer.Decision.Reasons, func(why touchstone.Reason) bool {
			return why.Rule == touchstone.RuleIntegrity && why.Outcome == touchstone.Fail
		})
	}
	return false
}

// debugs judges the ephemeral containers among the parts as what they are: ways
// into something that runs.
func (a *asking) debugs(ctx context.Context, parts []part) (*answer, error) {
	if a.r.Operation != "UPDATE" {
		return nil, nil
	}
	for i := range parts {
		p := &parts[i]
		if !p.debug {
			continue
		}
		out, err := a.login(ctx, a.r, a.place, a.kept.workload, p.name, touchstone.Login{
			Kind: touchstone.LoginDebug, By: a.r.User.Username, Command: slices.Concat(p.settings.Command, p.settings.Args), TTY: p.tty,
		})
		if err != nil || !out.allowed {
			return &out, err
		}
	}
	return nil, nil
}

var errNoAnswer = errors.New("the door gave no answer")
