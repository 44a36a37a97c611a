package guard

import (
	"time"

	"touchstone.dev/touchstone"
)

// applyPolicy finds what is done in a subject as a matter of course, and has the
// layers do it.
func (g *Guard) applyPolicy(s *subject) {
	// One at a time, and by the ground that is in force then: whichever comes last
	// has the last word in the layers.
	s.applying.Lock()
	defer s.applying.Unlock()
	s.settle(g.ground.Load(), g.c.Node)
	p := g.policyOf(s)
	s.mu.Lock()
	s.policy = p
	s.mu.Unlock()
	if s.gone.Load() {
		return
	}
	if err := g.layers.apply(s, &p); err != nil && !s.gone.Load() {
		s.complain(err)
		g.trouble(s.name() + " is enforced less than the rules say: " + err.Error())
	}
}

// policyOf asks the rules about one act of each sort.
func (g *Guard) policyOf(s *subject) policy {
	ask := func(q touchstone.Question) judgement { return g.judge(s, q) }
	unknown := touchstone.Execution{Kind: touchstone.ExecuteProgram}
	unjudged := touchstone.Execution{Kind: touchstone.ExecuteProgram, Unjudged: "it took too long"}
	p := policy{
		run:      ask(touchstone.Question{Occasion: touchstone.OccasionExecute, Execution: &unknown}),
		unjudged: ask(touchstone.Question{Occasion: touchstone.OccasionExecute, Execution: &unjudged}),
		change:   ask(touchstone.Question{Occasion: touchstone.OccasionChange, Drift: &touchstone.Drift{Change: touchstone.Added}}),
		login:    ask(touchstone.Question{Occasion: touchstone.OccasionLogin, Login: &touchstone.Login{Kind: touchstone.LoginExec}}),
		ready:    s.image.Load() != nil,
	}
	for _, j := range []*judgement{&p.run, &p.unjudged, &p.change, &p.login} {
		p.until = sooner(p.until, j.until)
	}
	return p
}

// current returns the policy in force.
func (s *subject) current() policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy
}

// sooner returns the earlier of two moments, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
