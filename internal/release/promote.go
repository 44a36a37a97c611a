package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// PromotionAsk asks for artifacts to be let into an environment, all or none. In
// a request they stand as "repository:tag@digest", with the digests that they had
// when it was opened; the tag is there because rules and waivers may be about it.
type PromotionAsk struct {
	Artifacts []string `json:"artifacts"` // references; a tag is resolved once, when asked
	To        string   `json:"to"`        // the environment
	DryRun    bool     `json:"dryRun,omitempty"`
}

// Result is what came of asking for a promotion.
type Result struct {
	// Promoted are the promotions that were made, or were there already; none
	// unless every artifact is let in.
	Promoted []touchstone.Promotion `json:"promoted"`
	Answers  []gate.Answer          `json:"answers"`           // one for each artifact, in the order asked
	Request  *Request               `json:"request,omitempty"` // what waits for approvals; without an id when nothing was written down
	// Opens is when what only time keeps back is next let through: soak time,
	// freezes and windows. Zero where nothing says when, or more is missing.
	Opens    time.Time `json:"opens,omitzero"`
	Warnings []string  `json:"warnings,omitempty"` // what will refuse it later, unless somebody acts
}

// most is how many artifacts may be promoted together.
const most = 200

// Promote asks for artifacts to be let into an environment. They are judged in the
// place that only its environment is known of: an application. What a namespace's
// own place asks besides, or a class of workload is spared, its admission finds
// out.
//
// When nothing but approvals is missing it opens a request, or finds the one that
// is open for the same digests. What is promoted already stays so, whatever the
// rules say of it today, and is told again.
func (r *Release) Promote(ctx context.Context, p Person, ask PromotionAsk) (*Result, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if r.door == nil {
		return nil, errors.New("nothing judges promotions: Through was not called")
	}
	b, err := r.Book(ctx)
	if err != nil {
		return nil, err
	}
	if err := known(ask.To, b.Rules.Environments); err != nil {
		return nil, err
	}
	if n := len(ask.Artifacts); n == 0 || n > most {
		return nil, faulty(ErrInvalid, fmt.Sprintf("a promotion is of 1 to %d artifacts, not of %d", most, n), "")
	}
	return again(ctx, "promoting to "+ask.To, func() (*Result, error) { return r.promote(ctx, p, ask) })
}

func (r *Release) promote(ctx context.Context, p Person, ask PromotionAsk) (*Result, error) {
	b, err := r.Book(ctx)
	if err != nil {
		return nil, err
	}
	j := judging{Release: r, ctx: ctx, rules: b.Rules, to: ask.To, actor: p.Name, dry: ask.DryRun}
	things, err := j.judge(ask.Artifacts, p.Name, nil)
	if err != nil {
		return nil, err
	}
	q := &Request{Kind: KindPromotion, Promotion: &PromotionAsk{Artifacts: fixed(things), To: ask.To}}
	if waits(things) == onNobody {
		return j.result(things, p.Name, p, nil)
	}
	open, err := r.same(ctx, q, ask.DryRun)
	if err != nil {
		return nil, err
	}
	if open == nil {
		return j.opening(things, p, q)
	}
	if len(open.Approvals) > 0 {
		pinned := make([]string, len(things))
		for i, t := range things {
			pinned[i] = t.answer.Pinned
		}
		if things, err = j.judge(pinned, open.By.Name, open.Approvals); err != nil {
			return nil, err
		}
	}
	return j.result(things, open.By.Name, p, open)
}

// opening opens the request when approvals alone are missing, and tells when time
// is missing too.
func (j *judging) opening(things []*thing, p Person, q *Request) (*Result, error) {
	res, err := j.result(things, p.Name, p, nil)
	if err != nil || waits(things) != onPeople {
		return res, err
	}
	group, count := approvalsFor(j.rules, j.to)
	c, err := j.open(p, q, group, count)
	if err != nil {
		return nil, err
	}
	res.Request = q
	if j.dry {
		q.ID = ""
		return res, nil
	}
	return res, j.write(j.ctx, c)
}

// approvalsFor returns whose approvals, and how many, let something into the
// environment that waits for nothing else. It is one at least: another row may ask
// for one.
func approvalsFor(r *touchstone.Rules, to string) (group string, count int) {
	place := r.PlaceIn(to)
	cell, ok := r.Asks("approvals", &place)
	if !ok || cell.Effect.Soft() {
		return "", 1
	}
	return nobodyIs(cell.Group), max(1, int(cell.Limit.Value))
}

// nobodyIs turns the group that everybody is in into none.
func nobodyIs(group string) string {
	if group == touchstone.Anyone {
		return ""
	}
	return group
}

// result makes the promotions if all may be made, and puts the answer together. q
// is the request that is open for them, or nil; asker is who asked.
func (j *judging) result(things []*thing, asker string, p Person, q *Request) (*Result, error) {
	res := &Result{Promoted: []touchstone.Promotion{}, Answers: make([]gate.Answer, len(things)), Request: q}
	for i, t := range things {
		res.Answers[i] = *t.answer
		res.Warnings = append(res.Warnings, j.lapsing(t)...)
	}
	if !let(things) {
		var err error
		res.Opens, err = j.opens(things)
		return res, err
	}
	var fresh []*thing
	for i, t := range things {
		same := func(o *thing) bool { return o.name() == t.name() }
		switch {
		case slices.ContainsFunc(things[:i], same):
		case t.already != nil:
			res.Promoted = append(res.Promoted, *t.already)
		default:
			fresh = append(fresh, t)
		}
	}
	if len(fresh) == 0 || j.dry {
		return res, nil
	}
	changes, made, err := j.promotes(fresh, j.to, asker, p)
	if err != nil {
		return nil, err
	}
	if q != nil {
		closed, err := j.closing(q, p)
		if err != nil {
			return nil, err
		}
		changes = append(changes, closed)
	}
	res.Promoted = append(res.Promoted, made...)
	return res, j.write(j.ctx, changes...)
}

// closing grants a request whose approvals were there before the rest was.
func (j *judging) closing(q *Request, p Person) (record.Change, error) {
	now, f, err := j.pending(j.ctx, q.ID)
	if errors.Is(err, ErrState) {
		return record.Change{}, record.ErrConflict // somebody was quicker: what they did is looked at
	}
	if err != nil {
		return record.Change{}, err
	}
	now.State, now.Needs = Granted, ""
	*q = *now
	return q.step("request", p, q, record.Condition{Seq: f.Seq})
}

// opens returns when what only time keeps back is let through, as far as anybody
// can say.
func (j *judging) opens(things []*thing) (time.Time, error) {
	if waits(things) != onTime {
		return time.Time{}, nil
	}
	b, err := j.Book(j.ctx)
	if err != nil {
		return time.Time{}, err
	}
	now := j.c.Now()
	at := now
	place := j.rules.PlaceIn(j.to)
	soak, asked := j.rules.Asks("soak", &place)
	for _, t := range things {
		if !asked || soak.Effect.Soft() || t.already != nil {
			continue
		}
		before, err := j.promoted(j.ctx, t, j.rules.Before(j.to))
		if err != nil || before == nil {
			return time.Time{}, err // how long it soaks nobody knows before it does
		}
		if over := before.At.Add(soak.Limit.Duration()); over.After(at) {
			at = over
		}
	}
	at, ok := j.rules.Opens(j.to, b.Freezes, at)
	if !ok || !at.After(now) {
		return time.Time{}, nil
	}
	return at.UTC(), nil
}

// lapsing names the waivers that the decision rests on and that lapse soon.
func (j *judging) lapsing(t *thing) []string {
	var out []string
	d := &t.answer.Decision
	for i := range d.Reasons {
		why := &d.Reasons[i]
		if w := why.Waiver; w != nil && w.Until.Before(d.At.Add(j.ahead(j.rules))) {
			out = append(out, fmt.Sprintf("%s: the waiver %s for %s lapses on %s", t.answer.Pinned, w.ID, why.Rule, w.Until.UTC().Format(time.DateOnly)))
		}
	}
	return out
}
