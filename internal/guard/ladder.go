package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// act is something that was done to a subject, on its way to be told.
type act struct {
	subject  *subject
	kind     touchstone.RuntimeEventKind
	thing    string // what is the same when it happens again
	question touchstone.Question
	process  *touchstone.Process
	tree     []touchstone.Process
	// steps are what the layers have done already.
	steps []touchstone.Step
	// copy is a file to be kept before anything is taken away; empty for none.
	copy string
	at   time.Time
	// session is that of a login; 0 for anything else.
	session uint64
}

// errNobodyKnows: what would follow could not be asked, so nothing is taken away.
var errNobodyKnows = errors.New("nobody could say whether it could come back")

// happened tells of an act, and does what is left to be done about it. It waits for
// nothing: what is slow goes on by itself.
func (g *Guard) happened(a act, j judgement) {
	g.figures.act(a.kind, j.action)
	if j.asked == touchstone.EffectKill {
		_, place := a.subject.about()
		g.probation.tainted(j.reason.Rule, &place, a.at)
	}
	if j.action == touchstone.EffectNone {
		return
	}
	key := repeatKey{a.subject.id, a.kind, a.thing}
	if !g.repeats.fresh(key, a.at) {
		return
	}
	e := g.event(&a, &j)
	g.remember(a.session, &e, j.action == touchstone.EffectKill)
	if j.action != touchstone.EffectKill {
		g.tell(key, e)
		return
	}
	g.working.Go(func() {
		g.takeAway(a.subject, &e, a.copy)
		g.settled(a.session, &e)
		g.tell(key, e)
	})
}

// event is what is told of an act.
func (g *Guard) event(a *act, j *judgement) touchstone.RuntimeEvent {
	artifact, place := a.subject.about()
	e := touchstone.RuntimeEvent{
		Schema: touchstone.SchemaRuntimeEvent, ID: record.NewID(a.at), At: a.at, Count: 1, Kind: a.kind,
		Node: g.c.Node, Running: a.subject.who(), Artifact: artifact, Place: place,
		Execution: a.question.Execution, Drift: a.question.Drift, Login: a.question.Login,
		Process: a.process, Tree: a.tree, Reason: j.reason, Action: j.action, Steps: a.steps,
	}
	if len(e.Steps) == 0 {
		e.Steps = []touchstone.Step{{At: a.at, Do: touchstone.DeedTold, Problem: j.milder}}
	} else if j.milder != "" {
		e.Steps = append(e.Steps, touchstone.Step{At: a.at, Do: touchstone.DeedStopped, Problem: j.milder})
	}
	return e
}

// stopWithin bounds how long a container may take to stop before the next rung.
const stopWithin = 10 * time.Second

// takeAway stops a container: evidence is kept first, and nothing is taken away
// that could not come back.
func (g *Guard) takeAway(s *subject, e *touchstone.RuntimeEvent, copy string) {
	step := func(do touchstone.Deed, layer string, err error) bool {
		st := touchstone.Step{At: g.c.Now(), Do: do, Layer: layer}
		if err != nil {
			st.Problem = err.Error()
		}
		e.Steps = append(e.Steps, st)
		return err == nil
	}
	if s.host {
		step(touchstone.DeedStopped, "", errors.New("a machine is never stopped: its process or login was"))
		return
	}
	if s.own {
		step(touchstone.DeedStopped, "", errors.New("the guard does not stop itself"))
		return
	}
	if !s.stopping.CompareAndSwap(false, true) {
		step(touchstone.DeedStopped, "runtime", errors.New("it is being stopped already"))
		return
	}
	if err := g.evidence.keep(s, e, copy); err != nil {
		g.c.Log.Warn("the evidence could not be kept", "event", e.ID, "error", err)
	}
	if err := g.follows(s); err != nil {
		s.stopping.Store(false)
		step(touchstone.DeedStopped, "server", fmt.Errorf("left running, rebuild first: %w", err))
		return
	}
	if !g.disarmer.mayStop(g.ground.Load().Rules.Guard.MostStops, g.c.Now()) {
		s.stopping.Store(false)
		step(touchstone.DeedStopped, "", errors.New("left running: too many were stopped in this minute; look first (the rules' guard: most-stops)"))
		g.figures.disarmed.Inc()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), stopWithin)
	defer cancel()
	begin := time.Now()
	err := g.c.Runtime.Stop(ctx, s.container)
	g.figures.stop.Observe(time.Since(begin).Seconds())
	if step(touchstone.DeedStopped, "runtime", err) {
		g.replaced.await(s, e)
		return
	}
	s.stopping.Store(false)
	if s.who().Pod == "" || g.c.Server == nil {
		return
	}
	step(touchstone.DeedEvicted, "server", g.c.Server.Evict(ctx, s.who(), e.ID))
}

// follows asks whether what would follow the container may run. What was answered
// before is good enough where it cannot be asked now.
func (g *Guard) follows(s *subject) error {
	if g.c.Server == nil || s.who().Pod == "" {
		return nil // nobody but this guard's own rules stands between it and its restart
	}
	answer, err := s.successor.ask(g.ctx, g.c.Server, s.who(), g.c.Now())
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errNobodyKnows, err)
	case answer.Verdict != touchstone.Allowed:
		return fmt.Errorf("what would follow is %s: %s", answer.Verdict, answer.Why)
	default:
		return nil
	}
}
