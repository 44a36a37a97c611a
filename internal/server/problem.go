package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

// statusClosed is what is logged of a caller that has gone away; nobody reads it.
const statusClosed = 499

// problem is an error that says its status, and what to do next.
func problem(status int, detail, hint string) error {
	return &api.ProblemError{Problem: api.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint,
	}}
}

// asProblem tells an error as callers read it. An error that no room has made for
// them is told as one of the server's, and its text is theirs to see: it names what
// was being done, and never a secret.
func asProblem(err error) *api.Problem {
	var known *api.ProblemError
	if errors.As(err, &known) {
		return &known.Problem
	}
	detail, hint, _ := strings.Cut(err.Error(), "\nhint: ")
	var tooLarge *http.MaxBytesError
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		status = statusClosed
	case errors.Is(err, record.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, record.ErrConflict), errors.Is(err, release.ErrState):
		status = http.StatusConflict
	case errors.Is(err, record.ErrFull):
		status = http.StatusInsufficientStorage
	case errors.Is(err, release.ErrForbidden):
		status = http.StatusForbidden
	case errors.Is(err, release.ErrInvalid):
		status = http.StatusUnprocessableEntity
	}
	return &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint}
}

// writeProblem answers with an error.
func writeProblem(w http.ResponseWriter, err error) {
	p := asProblem(err)
	data, merr := json.Marshal(p)
	if merr != nil {
		data = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Del("Content-Length")
	w.WriteHeader(p.Status)
	_, _ = w.Write(data) // whoever has gone away reads nothing
}
