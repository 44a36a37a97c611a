package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
)

func (s *Server) decisions(c *call) (*api.Page[api.Decision], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	q := c.URL.Query()
	all, next, err := s.door.Decisions(c.Context(), gate.DecisionQuery{
		Artifact: q.Get("artifact"), Environment: q.Get("environment"), Namespace: q.Get("namespace"),
		Verdict: touchstone.Verdict(q.Get("verdict")), After: after, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	out := make([]api.Decision, len(all))
	for i := range all {
		out[i] = shownDecision(&all[i])
	}
	return page(out, next), nil
}

func shownDecision(one *gate.Decided) api.Decision {
	return api.Decision{
		ID: one.ID, At: one.At, Occasion: one.Occasion, Artifact: one.Artifact, Reference: one.Reference, Environment: one.Environment,
		Namespace: one.Namespace, Workload: strings.TrimSpace(one.Workload.Kind + " " + one.Workload.Name), Verdict: one.Verdict, Why: one.Why, Actor: one.Actor,
	}
}

func (s *Server) decision(c *call) (*api.DecisionDocument, error) {
	id := c.PathValue("id")
	k, err := s.door.Decision(c.Context(), id)
	if err != nil {
		return nil, noDecision(err, id)
	}
	return &api.DecisionDocument{
		Schema: k.Schema, ID: k.ID, Actor: k.Actor, Artifact: k.Artifact, Question: k.Question, Decision: k.Decision,
	}, nil
}

func noDecision(err error, id string) error {
	if errors.Is(err, record.ErrNotFound) {
		return problem(http.StatusNotFound, fmt.Sprintf("there is no decision %q, or its retention is over", id), "touchstone decisions lists them")
	}
	return err
}

func (s *Server) replay(c *call) (*api.Replay, error) {
	r, err := s.door.Replay(c.Context(), c.PathValue("id"))
	if err != nil {
		return nil, noDecision(err, c.PathValue("id"))
	}
	return &api.Replay{ID: r.ID, Same: r.Same, Missing: r.Missing, Differs: r.Differs, Then: r.Then, Again: r.Again}, nil
}

// simulate tries other rules, a waiver or the advisories of now, and changes
// nothing.
func (s *Server) simulate(c *call, ask api.SimulationAsk) (*gate.Simulation, error) {
	named := 0
	for _, set := range []bool{ask.Rules != "", ask.Waiver != nil, ask.Advisories} {
		if set {
			named++
		}
	}
	if named != 1 {
		return nil, problem(http.StatusUnprocessableEntity, "name exactly one thing to try: rules, waiver or advisories", "")
	}
	if ask.Last < 0 || ask.Last > 100_000 {
		return nil, problem(http.StatusUnprocessableEntity, "last is not a number from 0 to 100,000", "leave it out for 1,000")
	}
	t := gate.Trial{Advisories: ask.Advisories, At: ask.At, Last: ask.Last}
	if t.Last == 0 {
		t.Last = 1000
	}
	if ask.Waiver != nil {
		t.Waivers = []touchstone.Waiver{*ask.Waiver}
	}
	if ask.Rules != "" {
		table, _, err := rules.Load("the rules to try", []byte(ask.Rules), s.now())
		if err != nil {
			return nil, invalid(err)
		}
		t.Rules = table
	}
	return s.door.Simulate(c.Context(), t)
}

// relay hands on what happens at the door to whoever listens.
func (s *Server) relay(ctx context.Context) error {
	for ctx.Err() == nil {
		happens, cancel := s.door.Subscribe()
		s.relayFrom(ctx, happens)
		cancel()
	}
	return nil
}

// relayFrom ends when the context does, or when it was too slow.
func (s *Server) relayFrom(ctx context.Context, happens <-chan gate.Event) {
	for {
		select {
		case <-ctx.Done():
			return
		case e, more := <-happens:
			if !more {
				return
			}
			out := api.Event{Kind: e.Kind, At: e.At, Guard: e.Guard}
			if e.Decision != nil {
				d := shownDecision(e.Decision)
				out.Decision = &d
			}
			if e.Scan != nil {
				one := shownScan(e.Scan)
				if e.Seen != nil {
					one.State = "done"
				}
				out.Scan = &one
			}
			s.figures.happened(&e)
			s.broker.publish(out)
		}
	}
}
