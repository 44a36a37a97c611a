package gate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/rules"
)

// runs has one image scanned that has a hole, and observed in prod.
func (h *house) runs(t *testing.T) gate.Running {
	t.Helper()
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	r := h.running("shop/cart:1", digest, noon)
	r.Place.Owner = "team-cart"
	check(t, h.Observe(t.Context(), "lab", []gate.Running{r}))
	h.scanned(t, 1)
	check(t, h.Observe(t.Context(), "lab", []gate.Running{r}))
	return r
}

// changes are the lines of one side of a simulation.
func changes(list []gate.OwnerChanges) (out []string) {
	for _, o := range list {
		for _, c := range o.Changes {
			line := o.Owner + " " + c.Workload.Name + " " + string(c.From) + " " + string(c.To)
			for _, r := range c.Rules {
				line += " " + r
			}
			if c.Decision != "" {
				line = "decision: " + line
			}
			out = append(out, line)
		}
	}
	return out
}

func TestSimulate(t *testing.T) {
	h := newHouse(t, nil)
	h.runs(t)
	load := func(table string) *touchstone.Rules {
		r, _, err := rules.Load("touchstone.yaml", []byte(table), noon)
		check(t, err)
		return r
	}
	const milder = "version: 1\nenvironments: [dev, prod]\nrules:\n  cvss: {others: any}\n  stale-advisories: {others: any}\n  unscored: {others: allow}\n"
	waiver := touchstone.Waiver{ID: "w", Rule: "cvss", Advisory: "CVE-2026-1", Owner: "kim", Reason: "x", Until: noon.Add(48 * time.Hour)}
	for _, test := range []struct {
		name             string
		trial            gate.Trial
		refused, allowed []string
	}{
		{name: "nothing"},
		{name: "milder rules", trial: gate.Trial{Rules: load(milder)}, allowed: []string{"team-cart cart refused allowed cvss"}},
		{name: "a waiver", trial: gate.Trial{Waivers: []touchstone.Waiver{waiver}}, allowed: []string{"team-cart cart refused allowed cvss"}},
		{name: "a waiver that has lapsed by then", trial: gate.Trial{Waivers: []touchstone.Waiver{waiver}, At: noon.Add(72 * time.Hour)}},
		{name: "the advisories of now", trial: gate.Trial{Advisories: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := h.Simulate(t.Context(), test.trial)
			check(t, err)
			if s.Running != 1 {
				t.Errorf("%d containers were tried", s.Running)
			}
			if diff := cmp.Diff(test.refused, changes(s.Refused)); diff != "" {
				t.Errorf("refused (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.allowed, changes(s.Allowed)); diff != "" {
				t.Errorf("allowed (-want +got)\n%s", diff)
			}
		})
	}

	// What is allowed under milder rules would be refused by those of before.
	before := h.road.book
	h.road.mu.Lock()
	h.road.book = &gate.Book{Rules: load(milder), Source: []byte(milder)}
	h.road.mu.Unlock()
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Allowed, "")
	s, err := h.Simulate(t.Context(), gate.Trial{Rules: before.Rules, Last: 10})
	check(t, err)
	want := []string{"team-cart cart allowed refused cvss", "decision: nobody cart allowed refused cvss"}
	if diff := cmp.Diff(want, append(changes(s.Refused[1:]), changes(s.Refused[:1])...)); diff != "" || s.Decisions == 0 {
		t.Errorf("%d decisions, refused (-want +got)\n%s", s.Decisions, diff)
	}
}
