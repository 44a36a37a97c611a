package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
)

// mostSightings is how many events one call may bring.
const mostSightings = 500

// takeSightings takes in what a guard has seen. A field that this server does not know
// is passed over: the guard may be newer, and its events must not be stuck for that.
func (s *Server) takeSightings(w http.ResponseWriter, c *call) error {
	data, err := io.ReadAll(c.Body)
	if err != nil {
		return err
	}
	var told api.GuardEvents
	if err := json.Unmarshal(data, &told); err != nil {
		return problem(http.StatusBadRequest, "the request is not the document that is wanted: "+err.Error(), "/openapi.json says what is wanted")
	}
	node, err := c.own(told.Node)
	if err != nil {
		return err
	}
	if err := s.guards.tells(node, len(data)); err != nil {
		w.Header().Set("Retry-After", "10")
		return err
	}
	if len(told.Events) > mostSightings {
		return problem(http.StatusUnprocessableEntity, fmt.Sprintf("%d events, and %d are taken at once", len(told.Events), mostSightings), "send them in several calls")
	}
	pods, _, err := s.podsOf(c.Context(), node)
	if err != nil {
		return err
	}
	known := make(map[string]*gate.Pod, len(pods))
	for i := range pods {
		known[pods[i].UID] = &pods[i]
	}
	by := gate.Guard{Node: node, Actor: c.caller.Name, Cluster: s.c.Cluster, Pods: known}
	seen, err := s.door.Sight(c.Context(), by, told.Events)
	if err != nil {
		return err
	}
	out := api.GuardReceipts{Items: make([]api.GuardReceipt, 0, len(seen))}
	for i := range seen {
		out.Items = append(out.Items, s.receipt(&seen[i]))
	}
	return write(w, http.StatusOK, out)
}

// receipt says what became of an event, and tells it on where that is news.
func (s *Server) receipt(one *gate.Sighting) api.GuardReceipt {
	out := api.GuardReceipt{ID: one.ID, State: api.GuardKnown, Problem: one.Problem}
	if one.Event == nil {
		out.State = api.GuardRefused
		return out
	}
	out.Login = one.Event.Login
	if !one.News {
		return out
	}
	out.State = api.GuardTaken
	e := one.Event
	action := string(e.Action)
	if action == "" {
		action = string(touchstone.EffectNone)
	}
	s.figures.seen.WithLabelValues(string(e.Kind), action).Inc()
	if s.nodes != nil && (one.Pod != nil || e.Running.Pod == "") && (action != string(touchstone.EffectNone) || e.Kind == touchstone.EventGuard || e.Kind == touchstone.EventReplaced) {
		s.nodes.Tell(one.Pod, e)
	}
	return out
}

func (s *Server) sightings(c *call) (*api.Page[touchstone.RuntimeEvent], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	q := c.URL.Query()
	all, next, err := s.door.Sightings(c.Context(), gate.SightingQuery{
		Namespace: q.Get("namespace"), Workload: q.Get("workload"), Node: q.Get("node"), Kind: touchstone.RuntimeEventKind(q.Get("kind")),
		Action: touchstone.Effect(q.Get("action")), Artifact: q.Get("artifact"), After: after, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	return page(all, next), nil
}

func (s *Server) sighting(c *call) (*touchstone.RuntimeEvent, error) {
	return s.door.Sighting(c.Context(), c.PathValue("id"))
}
