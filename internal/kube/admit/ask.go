package admit

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// atOnce is how many images of one review are asked about at the same time.
const atOnce = 16

// asking is what all images of one review have in common.
type asking struct {
	*Webhook
	r     *request
	place touchstone.Place
	kept  kept
	spec  *spec
	// glass is what a person breaks with this very write; nil for nothing.
	glass *touchstone.Glass
	// quiet asks ahead: what is let in will be asked about again.
	quiet bool
	// mutable is true where an image without a digest is one that /mutate has not
	// seen.
	mutable bool
	// mirror is true for a pod that runs already, whatever is said here.
	mirror bool
}

// judged is one image and what was said of it.
type judged struct {
	part   *part
	answer *gate.Answer
	err    error
	late   bool // it was added after the pod was judged
}

// admit reports whether the image is let in.
func (j *judged) admit() bool { return j.err == nil && !j.late && j.answer.Admit() }

// all asks about each of the parts.
func (a *asking) all(ctx context.Context, parts []part) []judged {
	out := make([]judged, len(parts))
	if len(parts) == 1 {
		out[0] = a.one(ctx, &parts[0])
		return out
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range parts {
		g.Go(func() error {
			out[i] = a.one(ctx, &parts[i])
			return nil
		})
	}
	_ = g.Wait() // what failed is in each of them
	return out
}

// one asks about one image.
func (a *asking) one(ctx context.Context, p *part) judged {
	j := judged{part: p}
	q := a.request(p)
	if a.mutable && !strings.Contains(p.image, "@") {
		// What is refused has its reason; what is let in was never pinned.
		q.Quiet = true
		if j.answer, j.err = a.ask(ctx, q); j.err != nil || !j.answer.Admit() {
			return j
		}
		if j.answer.Enforced && !a.system(a.r.Namespace) {
			j.late = true
			return j
		}
		q.Quiet = a.quiet
	}
	j.answer, j.err = a.ask(ctx, q)
	return j
}

// ask asks the door, and again with what the workload has inherited of a break-glass
// when that is needed.
func (a *asking) ask(ctx context.Context, q gate.Request) (*gate.Answer, error) {
	answer, err := a.c.Door.Ask(ctx, q)
	if err == nil && answer == nil {
		err = errNoAnswer
	}
	if err != nil || answer.Admit() || q.History.Glass != nil {
		return answer, err
	}
	g, err := a.broken(ctx, a.r.Namespace, a.kept.workload)
	if err != nil {
		a.c.Log.Error("nobody can tell whether the glass is broken", "namespace", a.r.Namespace, "workload", a.kept.workload.Name, "error", err)
	}
	if err != nil || !g.covers(&q.Question, digestOf(answer)) {
		return answer, nil // the refusal stands
	}
	q.History.Glass = g.history()
	if again, err := a.c.Door.Ask(ctx, q); err == nil && again != nil {
		return again, nil
	}
	return answer, nil
}

// request is the question about one image.
func (a *asking) request(p *part) gate.Request {
	w := a.kept.workload
	w.Container = p.name
	q := gate.Request{
		Actor: a.r.User.Username, Reference: p.image, Credential: a.credential(),
		Question: touchstone.Question{Occasion: touchstone.OccasionAdmit, Place: a.place, Workload: w, Settings: p.settings},
		Owner:    a.kept.equal, Runs: a.c.Cluster.Runs(a.r.Namespace, w),
		DryRun: a.r.DryRun, Quiet: a.quiet,
	}
	q.History.Glass = a.glass
	if a.mirror {
		q.Question.Occasion, q.DryRun = touchstone.OccasionRunning, true
	}
	return q
}

// credential names how the pod's images are pulled. The API server has put the
// service account's own pull secrets into the pod already.
func (a *asking) credential() gate.Credential {
	c := gate.Credential{Namespace: a.r.Namespace, ServiceAccount: a.spec.ServiceAccount}
	for i := range a.spec.PullSecrets {
		c.Secrets = append(c.Secrets, a.spec.PullSecrets[i].Name)
	}
	return c
}

// digestOf returns the digest that was judged; "" when none is known.
func digestOf(a *gate.Answer) touchstone.Digest {
	_, digest, _ := strings.Cut(a.Pinned, "@")
	if d := touchstone.Digest(digest); d.Valid() {
		return d
	}
	return ""
}

// pinned returns the image as the pod wrote it, with the tag and digest that were
// judged, and whether that differs.
func pinned(image string, a *gate.Answer) (string, bool) {
	if digestOf(a) == "" || strings.Contains(image, "@") {
		return image, false
	}
	from := strings.LastIndexByte(a.Pinned, '/') + 1
	tail := strings.IndexAny(a.Pinned[from:], ":@")
	bare := image
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		bare = image[:i]
	}
	return bare + a.Pinned[from+tail:], true
}
