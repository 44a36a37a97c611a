package guard

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// status is what the guard says of itself now.
func (g *Guard) status() *Status {
	now, ground := g.c.Now(), g.ground.Load()
	st := &Status{
		Schema: SchemaStatus, Tool: g.c.Tool, Node: g.c.Node, Since: g.since, At: now,
		Rules: ground.Rules.Version, RulesAt: ground.Confirmed, Problems: []string{}, Unsent: -1,
		Layers: g.layers.states(), Subjects: []SubjectStatus{},
	}
	if p := g.groundProblem.Load(); p != nil {
		st.RulesProblem = *p
		st.Problems = append(st.Problems, fmt.Sprintf("judging by rules of %s: %s", ground.Confirmed.UTC().Format(time.RFC3339), *p))
	}
	if g.c.Runtime != nil && !g.synced.Load() {
		st.Problems = append(st.Problems, "the runtime has not told yet what runs")
	}
	for _, l := range st.Layers {
		if l.Problem != "" {
			st.Problems = append(st.Problems, "layer "+l.Name+": "+l.Problem)
		}
	}
	for _, s := range g.all() {
		st.Subjects = append(st.Subjects, g.statusOf(s))
	}
	slices.SortFunc(st.Subjects, func(a, b SubjectStatus) int {
		return cmp.Or(cmp.Compare(a.Running.Namespace, b.Running.Namespace), cmp.Compare(a.Running.Pod, b.Running.Pod), cmp.Compare(a.Running.ID, b.Running.ID))
	})
	var err error
	if st.Last, err = g.journal.last(20); err != nil {
		st.Problems = append(st.Problems, err.Error())
	}
	if g.c.Server != nil {
		waiting, _, err := g.journal.batch(1 << 16)
		if err != nil {
			st.Problems = append(st.Problems, err.Error())
		}
		st.Unsent = len(waiting)
	}
	return st
}

func (g *Guard) statusOf(s *subject) SubjectStatus {
	artifact, place := s.about()
	p := s.current()
	out := SubjectStatus{
		Running: s.who(), Artifact: artifact, Place: place, Started: s.started, Logins: g.openSessions(s.id),
		Actions: map[string]touchstone.Effect{
			touchstone.RuleRunUnknown: p.run.action, touchstone.RuleRunUnjudged: p.unjudged.action,
			touchstone.RuleChange: p.change.action, touchstone.RuleLogin: p.login.action,
		},
	}
	s.mu.Lock()
	out.Problem = s.problem
	s.mu.Unlock()
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if im != nil {
		out.Manifest, out.Files = im.from, im.manifest.Summary().Files
	}
	s.drift.mu.Lock()
	out.Drift = s.drift.found
	s.drift.mu.Unlock()
	return out
}

// guardEvent is what is told of the guard itself.
func (g *Guard) guardEvent(what string, now time.Time) touchstone.RuntimeEvent {
	return touchstone.RuntimeEvent{
		Schema: touchstone.SchemaRuntimeEvent, ID: record.NewID(now), At: now, Count: 1, Kind: touchstone.EventGuard,
		Node: g.c.Node, Running: touchstone.Running{ID: "guard"}, Trouble: what, Action: touchstone.EffectAlert, Steps: []touchstone.Step{},
	}
}
