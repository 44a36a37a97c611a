package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"touchstone.dev/touchstone/internal/api"
)

// handlers has one for each route, under "METHOD PATH".
func (s *Server) handlers() map[string]handler {
	return map[string]handler{
		"GET /healthz":      s.alive,
		"GET /readyz":       s.ready,
		"GET /openapi.json": s.openAPI,
		"GET /metrics":      s.figures.serve,

		"POST /v1/checks":   s.check,
		"GET /v1/artifacts": answers(s.artifacts),
		"GET /v1/scans":     answers(s.scans),
		"GET /v1/running":   answers(s.running),
		"GET /v1/where":     answers(s.where),

		"GET /v1/decisions":              answers(s.decisions),
		"GET /v1/decisions/{id}":         answers(s.decision),
		"POST /v1/decisions/{id}/replay": answers(s.replay),
		"GET /v1/events":                 s.events,

		"POST /v1/promotions":            answersTo(s.promote),
		"GET /v1/promotions":             answers(s.promotions),
		"GET /v1/requests":               answers(s.requests),
		"POST /v1/requests":              answersTo(s.ask),
		"GET /v1/requests/{id}":          answers(s.request),
		"POST /v1/requests/{id}/approve": answersTo(s.approve),
		"POST /v1/requests/{id}/reject":  answersTo(s.reject),
		"GET /v1/waivers":                answers(s.waivers),
		"POST /v1/waivers/import":        answersTo(s.importWaivers),
		"POST /v1/waivers/{id}/revoke":   answersTo(s.revokeWaiver),
		"GET /v1/freezes":                answers(s.freezes),
		"POST /v1/freezes":               answersTo(s.freeze),
		"POST /v1/freezes/{id}/thaw":     answersTo(s.thaw),
		"GET /v1/rules":                  answers(s.rules),
		"POST /v1/simulations":           answersTo(s.simulate),

		"GET /v1/guard/ground":                   answers(s.guardGround),
		"GET /v1/guard/manifests/{config}":       answers(s.guardManifest),
		"GET /v1/guard/manifests/{config}/files": s.guardFiles,
		"POST /v1/guard/events":                  s.takeSightings,
		"POST /v1/guard/successor":               answersTo(s.guardSuccessor),
		"POST /v1/guard/evictions":               answersTo(s.guardEviction),
		"GET /v1/guard/events":                   answers(s.sightings),
		"GET /v1/guard/events/{id}":              answers(s.sighting),
		"GET /v1/guards":                         answers(s.listGuards),

		"GET /v1/namespaces":             answers(s.namespaces),
		"PUT /v1/namespaces/{namespace}": answersTo(s.setMode),
		"GET /v1/log":                    answers(s.entries),
		"GET /v1/log/checkpoint":         answers(s.checkpoint),
		"POST /v1/log/verify":            answersTo(s.verify),
		"GET /v1/whoami":                 answers(s.whoAmI),
		"GET /v1/tokens":                 answers(s.listTokens),
		"POST /v1/tokens":                answersTo(s.makeToken),
		"POST /v1/tokens/{id}/revoke":    answersTo(s.revokeToken),
		"POST /v1/backups":               answers(s.backup),
	}
}

// nothing is the answer of what has none to give: 204.
type nothing struct{}

// answers handles a call that brings no document.
func answers[Out any](f func(*call) (Out, error)) handler {
	return func(w http.ResponseWriter, c *call) error {
		out, err := f(c)
		if err != nil {
			return err
		}
		return write(w, http.StatusOK, out)
	}
}

// answersTo handles a call that brings a document.
func answersTo[In, Out any](f func(*call, In) (Out, error)) handler {
	return func(w http.ResponseWriter, c *call) error {
		in, err := read[In](c)
		if err != nil {
			return err
		}
		out, err := f(c, in)
		if err != nil {
			return err
		}
		return write(w, http.StatusOK, out)
	}
}

// read reads the document of a call: one JSON value, without a field that nobody
// knows. A misspelt field would be a wish that nobody heeds.
func read[T any](c *call) (T, error) {
	var doc T
	kind := c.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(kind); kind != "" && (err != nil || media != "application/json") {
		return doc, problem(http.StatusUnsupportedMediaType, fmt.Sprintf("%q is not application/json", kind), "send Content-Type: application/json")
	}
	data, err := io.ReadAll(c.Body)
	if err != nil {
		return doc, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return doc, problem(http.StatusBadRequest, "the request is not the document that is wanted: "+err.Error(), "/openapi.json says what is wanted")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return doc, problem(http.StatusBadRequest, "the request holds more than one document", "send one")
	}
	return doc, nil
}

// write answers with a document.
func write(w http.ResponseWriter, status int, doc any) error {
	if _, none := doc.(nothing); none {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, err = w.Write(data)
	return err
}

const (
	usualPage = 100
	mostPage  = 1000
)

// paging reads ?after= and ?limit=.
func paging(c *call) (after string, limit int, err error) {
	after, limit = c.URL.Query().Get("after"), usualPage
	if len(after) > 2000 {
		return "", 0, problem(http.StatusBadRequest, "after has more than 2,000 bytes", "hand back the next of the page before")
	}
	if text := c.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostPage {
			return "", 0, problem(http.StatusBadRequest, fmt.Sprintf("limit %q is not a number from 1 to %d", text, mostPage), "leave it out for 100")
		}
	}
	return after, limit, nil
}

// page puts a part of a list together; an empty one is [], not null.
func page[T any](items []T, next string) *api.Page[T] {
	if items == nil {
		items = []T{}
	}
	return &api.Page[T]{Items: items, Next: next}
}

// openAPI serves the contract.
func (s *Server) openAPI(w http.ResponseWriter, _ *call) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(api.OpenAPI())
	return err
}
