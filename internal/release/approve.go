package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// Ask opens a request for a waiver, rules or an improvement, or finds the one that
// is open for the same. Only what it asks for is looked at. Who must agree:
//
//	waiver       one of the group that the rules name (waivers: approved-by), else anybody else
//	rules        anybody else; who may approve at all is for the token to say
//	improvement  anybody else
func (r *Release) Ask(ctx context.Context, p Person, asked Request) (*Request, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	b, err := r.Book(ctx)
	if err != nil {
		return nil, err
	}
	q, err := r.checked(&asked, b.Rules)
	if err != nil {
		return nil, err
	}
	return again(ctx, "asking for a "+string(q.Kind), func() (*Request, error) {
		if open, err := r.same(ctx, q, false); err != nil || open != nil {
			return open, err
		}
		group, count := needs(b.Rules, q)
		c, err := r.open(p, q, group, count)
		if err != nil {
			return nil, err
		}
		return q, r.write(ctx, c)
	})
}

// checked is what is asked for, and nothing else of the request.
func (r *Release) checked(asked *Request, policy *touchstone.Rules) (*Request, error) {
	q := &Request{Kind: asked.Kind}
	var err error
	switch {
	case asked.Kind == KindWaiver && asked.Waiver != nil:
		q.Waiver, err = checkWaiver(asked.Waiver, policy, r.c.Now())
	case asked.Kind == KindRules && asked.Rules != nil:
		ask := *asked.Rules
		q.Rules, err = &ask, r.checkRules(&ask)
	case asked.Kind == KindImprovement && asked.Improvement != nil:
		ask := *asked.Improvement
		q.Improvement, err = &ask, checkImprovement(&ask, policy)
	case asked.Kind == KindPromotion:
		err = faulty(ErrInvalid, "a promotion is asked for by promoting: the request is opened when approvals alone are missing", "touchstone promote ARTIFACT --to ENVIRONMENT")
	default:
		err = faulty(ErrInvalid, fmt.Sprintf("a request of the kind %q is not known, or says nothing of what it asks for", asked.Kind), "kind: waiver, rules or improvement, and the field of that name")
	}
	return q, err
}

// needs returns whose approvals, and how many, the request takes by the rules.
func needs(r *touchstone.Rules, q *Request) (group string, count int) {
	switch q.Kind {
	case KindPromotion:
		return approvalsFor(r, q.Promotion.To)
	case KindWaiver:
		return nobodyIs(r.Waiving.ApprovedBy), 1
	default:
		return "", 1
	}
}

// Approve says yes to a request, and grants it when nothing more is missing; what
// then still is, Needs says, and it stays open. Saying yes again counts once, and
// tries again to grant. Errors: ErrForbidden, ErrState, record.ErrNotFound.
func (r *Release) Approve(ctx context.Context, p Person, id, reason string) (*Request, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return again(ctx, "approving the request "+id, func() (*Request, error) { return r.approve(ctx, p, id, strings.TrimSpace(reason)) })
}

func (r *Release) approve(ctx context.Context, p Person, id, reason string) (*Request, error) {
	q, f, err := r.pending(ctx, id)
	if err != nil {
		return nil, err
	}
	b, err := r.Book(ctx)
	if err != nil {
		return nil, err
	}
	group, count := needs(b.Rules, q)
	switch {
	case p.is(q.By.Name):
		return nil, faulty(ErrForbidden, "nobody approves what they ask for themselves", "ask somebody else"+ofGroup(group))
	case !p.in(group):
		return nil, faulty(ErrForbidden, fmt.Sprintf("%s is not in the group %s, whose approval counts", p.Name, group), "ask somebody"+ofGroup(group))
	}
	said := slices.ContainsFunc(q.Approvals, func(a touchstone.Approval) bool { return p.is(a.By) })
	given := touchstone.Approval{By: p.Name, Groups: p.Groups, At: r.c.Now().UTC(), Reason: reason}
	if !said {
		q.Approvals = append(q.Approvals, given)
	}
	q.wants(group, count)
	var granted []record.Change
	if q.Needs == "" {
		if granted, q.Needs, err = r.grant(ctx, b.Rules, q, p); err != nil {
			return nil, err
		}
		if q.Needs == "" {
			q.State = Granted
		}
	}
	if said && q.State == Open {
		return q, nil
	}
	c, err := q.step("approval", p, map[string]any{"request": q.ID, "approval": given, "state": q.State}, record.Condition{Seq: f.Seq})
	if err != nil {
		return nil, err
	}
	return q, r.write(ctx, append([]record.Change{c}, granted...)...)
}

func ofGroup(group string) string {
	if group == "" {
		return ""
	}
	return " of " + group
}

// grant makes the changes that bring about what was asked for, or says why it
// cannot be now.
func (r *Release) grant(ctx context.Context, policy *touchstone.Rules, q *Request, p Person) (changes []record.Change, why string, err error) {
	switch q.Kind {
	case KindPromotion:
		return r.grantPromotion(ctx, policy, q, p)
	case KindWaiver:
		return r.grantWaiver(policy, q, p)
	case KindRules:
		return r.grantRules(q, p)
	default: // an improvement is in force by being granted
		q.Until = r.c.Now().UTC().Add(r.c.Life)
		return nil, "", nil
	}
}

// grantPromotion judges the artifacts again, at this moment and with the
// approvals.
func (r *Release) grantPromotion(ctx context.Context, policy *touchstone.Rules, q *Request, p Person) ([]record.Change, string, error) {
	if err := known(q.Promotion.To, policy.Environments); err != nil {
		return nil, err.Error(), nil
	}
	if r.door == nil {
		return nil, "somebody to judge it: nothing judges promotions here", nil
	}
	j := judging{Release: r, ctx: ctx, rules: policy, to: q.Promotion.To, actor: p.Name}
	things, err := j.judge(q.Promotion.Artifacts, q.By.Name, q.Approvals)
	if err != nil {
		return nil, "", err
	}
	if !slices.Equal(names(fixed(things)), names(q.Promotion.Artifacts)) {
		return nil, "", fmt.Errorf("judging the request %s: the gate answers about other artifacts than it was asked about", q.ID)
	}
	if !let(things) {
		return nil, refusals(things), nil
	}
	fresh := slices.DeleteFunc(things, func(t *thing) bool { return t.already != nil })
	changes, _, err := j.promotes(fresh, q.Promotion.To, q.By.Name, p)
	return changes, "", err
}

// refusals says what keeps the things back, for people.
func refusals(things []*thing) string {
	var out []string
	for _, t := range things {
		if t.already != nil {
			continue
		}
		if t.answer.Scanning {
			out = append(out, t.repository+" was not seen before and is being scanned: approve again in about 10 s")
			continue
		}
		for i := range t.answer.Decision.Reasons {
			why := &t.answer.Decision.Reasons[i]
			if !why.Refuses() && !why.Stalls() {
				continue
			}
			s := t.repository + ": " + why.Rule + ": " + why.Seen
			if why.Fix != "" {
				s += " (" + why.Fix + ")"
			}
			out = append(out, s)
		}
	}
	return "approved, but refused now: " + strings.Join(out, "; ")
}

// Reject says no to a request; whoever asked may take it back so. Errors:
// ErrState, record.ErrNotFound, ErrInvalid without a reason.
func (r *Release) Reject(ctx context.Context, p Person, id, reason string) (*Request, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	reason, err := because(reason, "saying no")
	if err != nil {
		return nil, err
	}
	return again(ctx, "rejecting the request "+id, func() (*Request, error) {
		q, f, err := r.pending(ctx, id)
		if err != nil {
			return nil, err
		}
		q.State, q.Needs = Rejected, ""
		q.Rejection = &touchstone.Approval{By: p.Name, Groups: p.Groups, At: r.c.Now().UTC(), Reason: reason}
		c, err := q.step("rejection", p, map[string]any{"request": q.ID, "rejection": q.Rejection}, record.Condition{Seq: f.Seq})
		if err != nil {
			return nil, err
		}
		return q, r.write(ctx, c)
	})
}
