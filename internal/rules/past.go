package rules

import (
	"reflect"
	"time"

	"touchstone.dev/touchstone"
)

func occasions() []string {
	return words([]touchstone.Occasion{touchstone.OccasionCheck, touchstone.OccasionPromote, touchstone.OccasionAdmit,
		touchstone.OccasionRestart, touchstone.OccasionRunning, touchstone.OccasionLogin, touchstone.OccasionChange, touchstone.OccasionExecute})
}

// workload reads what is to run the artifact, and what it sets.
func (g *giving) workload(n *node) {
	q := &g.c.Question
	if v := n.get("workload"); v != nil {
		g.decode(v, reflect.ValueOf(&q.Workload).Elem(), "workload")
	}
	if v := n.get("settings"); v != nil {
		g.decode(v, reflect.ValueOf(&q.Settings).Elem(), "settings")
	}
	if v := n.get("login"); v != nil {
		g.decode(v, reflect.ValueOf(&q.Login).Elem(), "login")
	}
	if v := n.get("drift"); v != nil {
		g.decode(v, reflect.ValueOf(&q.Drift).Elem(), "drift")
	}
	if v := n.get("execution"); v != nil {
		g.decode(v, reflect.ValueOf(&q.Execution).Elem(), "execution")
	}
	q.Started = g.moment(n, "started", q.Started)
}

// history reads what happened before. A server keeps it, but for a check without
// one; somebody called "somebody" asks.
func (g *giving) history(n *node) {
	h := &g.c.History
	h.Kept = g.c.Question.Occasion != touchstone.OccasionCheck
	h.Asker = "somebody"
	if v := n.get("asker"); v != nil {
		h.Asker, _ = g.word(v, "asker")
	}
	if v := n.get("promoted"); v != nil {
		g.promoted(v)
	}
	if v := n.get("approvals"); v != nil {
		g.decode(v, reflect.ValueOf(&h.Approvals).Elem(), "approvals")
	}
	if v := n.get("freezes"); v != nil {
		h.Freezes = g.freezes(v, freezeKeys(), "freeze", g.rules.Environments)
	}
	if v := n.get("let-in"); v != nil {
		h.LetIn = &touchstone.LetIn{Decision: "before"}
		h.LetIn.At, _, _ = g.day(v, "let-in")
	}
	if v := n.get("runs"); v != nil {
		h.Runs = &touchstone.Runs{}
		h.Runs.Failing, _ = g.words(v, "runs")
	}
	if v := n.get("findings"); v != nil {
		g.decode(v, reflect.ValueOf(&h.Findings).Elem(), "findings")
	}
	if v := n.get("glass"); v != nil {
		h.Glass = &touchstone.Glass{By: "somebody", Reason: "it burns", Until: g.c.Now.Add(time.Hour)}
		g.decode(v, reflect.ValueOf(h.Glass).Elem(), "glass")
	}
}

// promoted reads since when the artifact has been promoted to which environments.
func (g *giving) promoted(n *node) {
	g.table(n, "promoted", func(e entry) {
		g.environment(e.key, e.key.text, g.rules.Environments)
		at, _, _ := g.day(e.value, "promoted")
		g.c.History.Promotions = append(g.c.History.Promotions, touchstone.Promotion{
			ID: e.key.text, Artifact: g.c.Artifact.Name, Digest: g.c.Artifact.Digest, Environment: e.key.text, By: "somebody", At: at,
		})
	})
}
