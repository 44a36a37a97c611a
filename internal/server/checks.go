package server

import (
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

// scanTakes is about how long a scan takes, in seconds: when to ask again.
const scanTakes = 5

// check judges an artifact by the rules that admit. Without a place it is judged
// for the whole road, as far as the token goes.
func (s *Server) check(w http.ResponseWriter, c *call) error {
	ask, err := read[api.CheckAsk](c)
	if err != nil {
		return err
	}
	if ask.Platform != "" {
		return problem(http.StatusUnprocessableEntity, "a server judges every platform that its places run, and the worst holds",
			"leave platform out; touchstone serve --platform says which they are")
	}
	book, err := s.release.Book(c.Context())
	if err != nil {
		return err
	}
	r := gate.Request{Actor: c.caller.Name, Reference: ask.Reference, Question: touchstone.Question{Settings: ask.Settings}}
	road, err := checkedPlaces(c, book.Rules, &ask, &r.Question.Place)
	if err != nil {
		return err
	}
	doc, scanning, err := s.door.Check(c.Context(), r, road)
	switch {
	case err != nil:
		return unlessServers(err)
	case scanning:
		w.Header().Set("Retry-After", fmt.Sprint(scanTakes))
		return write(w, http.StatusAccepted, api.CheckAnswer{Scanning: true, RetryAfter: scanTakes})
	default:
		return write(w, http.StatusOK, api.CheckAnswer{Check: doc})
	}
}

// checkedPlaces finds where a check asks about: one place, or the environments of
// the road.
func checkedPlaces(c *call, r *touchstone.Rules, ask *api.CheckAsk, place *touchstone.Place) (road []touchstone.Place, err error) {
	if ask.Environment == "" && ask.Place == "" {
		for _, env := range r.Environments {
			if c.caller.within(env) == nil {
				road = append(road, r.PlaceIn(env))
			}
		}
		if len(road) == 0 {
			return nil, c.caller.within(r.Environments...)
		}
		return road, nil
	}
	var words []string
	if ask.Place != "" {
		words = append(words, ask.Place)
	}
	if ask.Environment != "" {
		words = append(words, "environment="+ask.Environment)
	}
	if *place, err = rules.ParsePlace(strings.Join(words, ","), r); err != nil {
		return nil, invalid(err)
	}
	return nil, c.caller.within(place.Environment)
}

// invalid tells an error that is the caller's, with its hint.
func invalid(err error) error {
	detail, hint, _ := strings.Cut(err.Error(), "\nhint: ")
	return problem(http.StatusUnprocessableEntity, detail, hint)
}

// unlessServers tells an error of the door: what is not the store's, or of time,
// is a reference that cannot be one.
func unlessServers(err error) error {
	if asProblem(err).Status != http.StatusInternalServerError || errors.Is(err, record.ErrCorrupt) {
		return err
	}
	if errors.Is(err, gate.ErrReference) {
		return invalid(err)
	}
	return err
}

func (s *Server) artifacts(c *call) (*api.Page[api.Artifact], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	seen, next, err := s.door.SeenArtifacts(c.Context(), c.URL.Query().Get("name"), after, limit)
	if err != nil {
		return nil, err
	}
	var out []api.Artifact
	for i := range seen {
		one := &seen[i]
		for _, p := range one.Platforms {
			out = append(out, api.Artifact{Name: one.Repository, Digest: one.Digest, Platform: p.Platform, Evidence: p.Evidence, Seen: one.At})
		}
	}
	return page(out, next), nil
}

func (s *Server) scans(c *call) (*api.Page[api.Scan], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	scans, next, err := s.door.Scans(c.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]api.Scan, len(scans))
	for i := range scans {
		out[i] = shownScan(&scans[i])
	}
	return page(out, next), nil
}

func shownScan(one *gate.Scan) api.Scan {
	return api.Scan{
		Reference: one.Reference, State: string(one.State), Attempts: one.Attempts, Queued: one.Queued, Next: one.Next, Problem: one.Problem,
	}
}

func (s *Server) running(c *call) (*api.Page[api.Workload], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	q := c.URL.Query()
	all, next, err := s.door.RunningNow(c.Context(), gate.RunningQuery{Namespace: q.Get("namespace"), Owner: q.Get("owner"), After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	return page(shownWorkloads(all), next), nil
}

func shownWorkloads(all []gate.Observed) []api.Workload {
	out := make([]api.Workload, len(all))
	for i := range all {
		one := &all[i]
		out[i] = api.Workload{Running: one.Running, Decision: one.Decision, Taken: one.Taken, Verdict: one.Verdict, Failing: one.Failing, Findings: one.Findings, Problem: one.Problem}
	}
	return out
}

// where tells the place of a namespace: with the labels that are named, else with
// those that it has in the server's own cluster.
func (s *Server) where(c *call) (*api.Where, error) {
	q := c.URL.Query()
	cluster, namespace := q.Get("cluster"), q.Get("namespace")
	if namespace == "" {
		return nil, problem(http.StatusBadRequest, "no namespace is named", "add ?namespace=")
	}
	if cluster == "" {
		cluster = s.c.Cluster
	}
	labels, err := s.labels(c, cluster, namespace, q["label"])
	if err != nil {
		return nil, err
	}
	book, err := s.release.Book(c.Context())
	if err != nil {
		return nil, err
	}
	mode, err := s.door.Mode(c.Context(), cluster, namespace)
	if err != nil {
		return nil, err
	}
	return &api.Where{
		Place: book.Rules.PlaceOf(cluster, namespace, "", labels), Row: book.Rules.PlaceRow(cluster, namespace, "", labels), Enforced: mode.Enforced,
	}, nil
}

func (s *Server) labels(c *call, cluster, namespace string, named []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, pair := range named {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, problem(http.StatusBadRequest, fmt.Sprintf("the label %q is not NAME=VALUE", pair), "")
		}
		labels[name] = value
	}
	if len(named) > 0 || cluster != s.c.Cluster {
		return labels, nil
	}
	for _, g := range s.gates {
		if g.Labels == nil {
			continue
		}
		labels, err := g.Labels(c.Context(), namespace)
		if err != nil {
			return nil, problem(http.StatusBadGateway, fmt.Sprintf("the cluster does not tell the labels of %s: %v", namespace, err), "name them: ?label=NAME=VALUE")
		}
		return labels, nil
	}
	return labels, nil
}
