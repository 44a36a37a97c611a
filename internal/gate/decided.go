package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// Decided is one line about a decision: the value of its fact.
type Decided struct {
	ID          string              `json:"id"`
	At          time.Time           `json:"at"`
	Occasion    touchstone.Occasion `json:"occasion"`
	Artifact    string              `json:"artifact"` // "repository@digest"; the name alone where no digest is known, empty for a login
	Reference   string              `json:"reference,omitempty"`
	Environment string              `json:"environment"`
	Cluster     string              `json:"cluster,omitempty"`
	Namespace   string              `json:"namespace,omitempty"`
	Workload    touchstone.Workload `json:"workload,omitzero"`
	Pod         string              `json:"pod,omitempty"`   // that a login is into
	Owner       string              `json:"owner,omitempty"` // of the place
	Verdict     touchstone.Verdict  `json:"verdict"`
	Why         string              `json:"why,omitempty"` // the worst reason, in a line
	Actor       string              `json:"actor"`
	Enforced    bool                `json:"enforced"`
}

// decided is a decision that may be given again.
type decided struct {
	Decided
	artifact touchstone.Artifact
	decision touchstone.Decision
}

// holds reports whether nothing but time has changed, and not too much of it. A
// clock that was set back makes no answer older than it is.
func (one *decided) holds(now time.Time) bool {
	d := &one.decision
	return !now.Before(d.At) && (d.Until.IsZero() || now.Before(d.Until))
}

// decided asks Decide, or gives again what it has said to the same. led is true
// when this request's own admission was written down with the decision.
func (a *asking) decided(ctx context.Context) (one *decided, led bool, err error) {
	key, err := a.question()
	if err != nil {
		return nil, false, err
	}
	if one, ok := a.decisions.get(key); ok && one.holds(a.g.now) {
		return one, false, nil
	}
	// Those who ask the same at the same time share the decision. It goes on when
	// the first of them leaves, who then looks at nothing of it any more.
	mine := false
	answer := a.deciding.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		mine = true
		return a.decide(ctx, key)
	})
	select {
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case got := <-answer:
		one, _ = got.Val.(*decided)
		return one, mine, got.Err
	}
}

// question names everything that the answer depends on but time.
func (a *asking) question() (string, error) {
	state := "unseen"
	switch {
	case a.seen != nil:
		state = fmt.Sprint("seen ", a.seen.seq)
	case a.problem != "" || a.lie != "":
		state = a.problem + "\n" + a.lie
	}
	text, err := json.Marshal([]any{a.about(), a.n.name(), state, a.r.Question, a.history, a.g.id(), a.mode.Enforced, a.r.DryRun, a.r.Quiet})
	return string(touchstone.DigestOf(text)), err
}

// decide gathers, asks Decide and writes down what it says.
func (a *asking) decide(ctx context.Context, key string) (*decided, error) {
	if one, ok := a.decisions.get(key); ok && one.holds(a.g.now) {
		return one, a.write(ctx, a.admission(one))
	}
	if err := a.gathering.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	c, dec, err := a.judge(ctx)
	a.gathering.Release(1)
	if err != nil {
		return nil, err
	}
	one := &decided{Decided: a.line(c, dec), artifact: c.Artifact, decision: *dec}
	if a.r.DryRun || a.r.Quiet && dec.Verdict == touchstone.Allowed {
		return one, a.write(ctx, a.admission(one))
	}
	one.ID = record.NewID(a.g.now)
	k, err := keep(one.ID, a.r.Actor, c, a.g.book, dec)
	if err != nil {
		return nil, err
	}
	fact, err := one.fact()
	if err != nil {
		return nil, err
	}
	change := record.Change{
		ID: one.ID, Kind: "decision", Actor: a.r.Actor, About: a.about(), Body: k.Body, Blobs: k.Blobs, Facts: []record.Fact{fact},
	}
	opens := c.Question.Occasion == touchstone.OccasionRestart && len(dec.Findings) > 0
	if opens {
		f, changed, err := a.observed.finding(&c.Question.Place, c.Question.Workload, a.key, dec.Findings)
		if err != nil {
			return nil, err
		}
		if opens = changed; changed {
			change.Facts = append(change.Facts, f)
		}
	}
	if err := a.write(ctx, append([]record.Change{change}, a.admission(one)...)); err != nil {
		return nil, err
	}
	if opens {
		a.observed.found(&c.Question.Place, c.Question.Workload, a.key, dec.Findings)
	}
	a.decisions.put(key, one, int64(2000+5*len(k.Body))) // twelve or so reasons, each of a dozen strings
	a.publish(Event{Kind: "decision", At: a.g.now, Decision: &one.Decided})
	return one, nil
}

// judge decides the case of every platform; the worst holds.
func (a *asking) judge(ctx context.Context) (*touchstone.Case, *touchstone.Decision, error) {
	all := []Inspected{{Artifact: a.artifact(), Problem: a.problem, False: a.lie}}
	if a.seen != nil {
		var err error
		if all, err = a.inspected(a.seen, a.n); err != nil {
			return nil, nil, err
		}
	}
	q := redacted(a.r.Question)
	q.Occasion = a.occasion()
	return a.worst(ctx, a.g, all, q, a.history)
}

// worst decides about each of the platforms and returns the hardest answer, with
// its case.
func (d *Door) worst(ctx context.Context, g *ground, all []Inspected, q touchstone.Question, h touchstone.History) (*touchstone.Case, *touchstone.Decision, error) {
	var worst *touchstone.Case
	var answer *touchstone.Decision
	for _, in := range all {
		c := d.caseOf(ctx, g, in, q, h)
		dec := touchstone.Decide(g.book.Rules, c)
		if answer == nil || dec.Verdict.Worse(answer.Verdict) {
			worst, answer = c, &dec
		}
	}
	if answer == nil {
		return nil, nil, errLost
	}
	return worst, answer, ctx.Err()
}

// caseOf puts together what a decision may look at.
func (d *Door) caseOf(ctx context.Context, g *ground, in Inspected, q touchstone.Question, h touchstone.History) *touchstone.Case {
	c := &touchstone.Case{
		Artifact: in.Artifact, Evidence: in.Evidence, Problem: in.Problem, False: in.False, Question: q, History: h,
		Waivers: g.book.Waivers, WaiversDigest: g.book.WaiversDigest, Now: g.now,
	}
	if in.Evidence != nil {
		c.Knowledge = *d.know(ctx, g, in)
	}
	return c
}

// occasion is what is asked at the door: something that was let in before starts
// again, whoever calls it what.
func (a *asking) occasion() touchstone.Occasion {
	switch o := a.r.Question.Occasion; {
	case o != touchstone.OccasionAdmit && o != touchstone.OccasionRestart:
		return o
	case a.history.LetIn != nil:
		return touchstone.OccasionRestart
	default:
		return touchstone.OccasionAdmit
	}
}

// unwritten is the answer where a decision cannot be written down: undecided,
// because nothing is let in that the log does not hold, whatever ran before.
func (a *asking) unwritten(cause error) *decided {
	c := &touchstone.Case{
		Artifact: a.artifact(), Question: redacted(a.r.Question), History: touchstone.History{Kept: true}, Now: a.g.now,
		Problem: "the decision cannot be written down: " + cause.Error() + "\nhint: look at the gate's disk and its log",
	}
	dec := touchstone.Decide(a.g.book.Rules, c)
	if dec.Verdict == touchstone.Allowed {
		dec.Verdict = touchstone.Undecided
	}
	a.figures.count(dec.Verdict)
	return &decided{Decided: a.line(c, &dec), artifact: c.Artifact, decision: dec}
}

// line is what the list of decisions shows.
func (a *asking) line(c *touchstone.Case, dec *touchstone.Decision) Decided {
	l := lineOf(c, dec, a.r.Actor, a.mode.Enforced)
	l.Artifact, l.Reference = a.about(), a.n.name()
	return l
}

func lineOf(c *touchstone.Case, dec *touchstone.Decision, actor string, enforced bool) Decided {
	q := &c.Question
	l := Decided{
		At: dec.At, Occasion: q.Occasion, Environment: q.Place.Environment, Cluster: q.Place.Cluster, Namespace: q.Place.Namespace,
		Workload: q.Workload, Owner: q.Place.Owner, Verdict: dec.Verdict, Actor: actor, Enforced: enforced,
	}
	if len(dec.Reasons) > 0 && dec.Verdict != touchstone.Allowed {
		why := &dec.Reasons[0]
		l.Why = why.Rule + ": " + why.Seen
	}
	return l
}

// fact is how a decision is found again.
func (l *Decided) fact() (record.Fact, error) {
	tags := []string{"env:" + l.Environment, "verdict:" + string(l.Verdict), "occasion:" + string(l.Occasion)}
	if l.Artifact != "" {
		repository, digest := cutKey(l.Artifact)
		tags = append(tags, "artifact:"+l.Artifact)
		if digest != "" {
			tags = append(tags, "artifact:"+repository, "artifact:"+string(digest))
		}
	}
	if l.Namespace != "" {
		tags = append(tags, "ns:"+l.Namespace)
	}
	if l.Workload.Name != "" {
		tags = append(tags, "workload:"+l.Workload.Kind+" "+l.Workload.Name)
	}
	return record.Put(factDecision, l.ID, l, tags...)
}
