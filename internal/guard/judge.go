package guard

import (
	"fmt"
	"time"

	"touchstone.dev/touchstone"
)

// judgement is what the rules say of an act on something that runs, and what the
// guard may do about it now.
type judgement struct {
	reason touchstone.Reason
	// asked is what the rules ask for, action what is done: not more than that.
	asked, action touchstone.Effect
	// milder says why action is less than asked; empty where it is not.
	milder string
	// until is when it has to be judged anew although nothing else has changed;
	// zero for never.
	until time.Time
}

// stops reports whether the act itself is to fail.
func (j *judgement) stops() bool {
	return j.action == touchstone.EffectBlock || j.action == touchstone.EffectKill
}

// judge puts an act before Decide.
func (g *Guard) judge(s *subject, q touchstone.Question) judgement {
	now, ground := g.c.Now(), g.ground.Load()
	artifact, place := s.about()
	q.Place, q.Workload, q.Started = place, s.who().Workload, s.started
	d := touchstone.Decide(ground.Rules, &touchstone.Case{
		Artifact: artifact, Question: q, Waivers: ground.Waivers, WaiversDigest: ground.WaiversDigest, Now: now,
	})
	j := judgement{asked: d.Action, action: d.Action, until: d.Until}
	if j.asked == "" {
		j.asked, j.action = touchstone.EffectNone, touchstone.EffectNone
	}
	if len(d.Reasons) > 0 {
		j.reason = d.Reasons[0]
	}
	g.temper(&j, s, q.Occasion, &place, ground, now)
	return j
}

// placedWithin is how long a cluster may take to tell of a pod that has started.
const placedWithin = 30 * time.Second

// temper makes the action milder than the rules ask for where the namespace is only
// reported on, and where a rule that kills was not watched for long enough.
func (g *Guard) temper(j *judgement, s *subject, occasion touchstone.Occasion, place *touchstone.Place, ground *Ground, now time.Time) {
	if j.asked.Soft() {
		return
	}
	if namespace := s.who().Namespace; namespace != "" && ground.Reported[namespace] {
		j.action, j.milder = touchstone.EffectAlert, "the rules are not enforced in namespace "+namespace+" yet"
		return
	}
	s.mu.Lock()
	unplaced := s.unplaced
	s.mu.Unlock()
	// A place that only its namespace's name tells may be a stricter one than it is.
	if over := s.started.Add(placedWithin); unplaced && now.Before(over) {
		j.until = sooner(j.until, over)
		j.action, j.milder = touchstone.EffectAlert, "the cluster has not told of its pod yet, so its place is not certain"
		return
	}
	// Nor are its probes known, however long that takes: to end one as a login would be
	// to end what runs well.
	if unplaced && occasion == touchstone.OccasionLogin {
		j.action, j.milder = touchstone.EffectAlert, "the cluster has not told of its pod yet, so its probes are not known"
		return
	}
	if j.asked != touchstone.EffectKill || g.c.KillNow {
		return
	}
	g.probation.watch(j.reason.Rule, place, now)
	if until := g.probation.until(j.reason.Rule, place, now); now.Before(until) {
		j.until = sooner(j.until, until)
		j.action = touchstone.EffectBlock
		j.milder = fmt.Sprintf("the rule kills from %s on, if it has no case until then (touchstone guard --now)", until.UTC().Format(time.DateOnly))
	}
}
