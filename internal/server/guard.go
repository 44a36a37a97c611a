package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
)

// What a call may take.
const (
	mostBody  = 4 << 20  // bytes of a request
	mostRules = 32 << 20 // where it may hold a rules file, as JSON
	patience  = time.Minute
	// longPatience is for what reads the whole log, or decides anew for all that
	// runs.
	longPatience = 15 * time.Minute
	mostHeavy    = 2 // of these at once: who admits must not wait for who looks back
)

// call is one call of the API, by somebody who may make it.
type call struct {
	*http.Request
	caller *caller // nil where anybody may call
	id     string  // names the call in the log of the process
}

// handler answers a call. What it returns is told as a Problem, unless it has
// begun to answer.
type handler func(http.ResponseWriter, *call) error

// routes returns what serves the API: every route of api.Routes and nothing else.
// A route that nothing handles is an error, and so is a handler without a route.
func (s *Server) routes() (http.Handler, error) {
	handlers := s.handlers()
	mux := http.NewServeMux()
	for _, route := range api.Routes() {
		name := route.Method + " " + route.Path
		h, ok := handlers[name]
		if !ok {
			return nil, fmt.Errorf("nothing handles %s", name)
		}
		delete(handlers, name)
		mux.Handle(name, s.guard(route, h))
	}
	for name := range handlers {
		return nil, fmt.Errorf("%s is no route", name)
	}
	return s.outermost(mux), nil
}

// outermost is around everything: it names the call, catches a panic, and says what
// it came to.
func (s *Server) outermost(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		id := record.NewID(begun)
		out := &answer{ResponseWriter: w}
		header := w.Header()
		header.Set("X-Request-Id", id)
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		log := s.log.With("request", id)
		defer func() {
			if e := recover(); e != nil {
				if err, ok := e.(error); ok && errors.Is(err, http.ErrAbortHandler) { // it was cut off on purpose, and the reason told
					panic(e)
				}
				log.Error("a call has crashed", "path", r.URL.Path, "error", e, "stack", string(debug.Stack()))
				if out.status != 0 {
					panic(http.ErrAbortHandler) // half an answer must not look whole
				}
				writeProblem(out, problem(http.StatusInternalServerError, "internal error; nothing was decided", "the server's log has more under "+id))
			}
			log.Debug("call", "method", r.Method, "path", r.URL.Path, "status", out.status, "took", time.Since(begun), "from", address(r))
		}()
		h, pattern := mux.Handler(r)
		if pattern == "" {
			nowhere(out, r, h)
			return
		}
		mux.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), requestID{}, id)))
	})
}

type requestID struct{}

// nowhere answers a call of what is not there, and tells the methods of what is.
func nowhere(w http.ResponseWriter, r *http.Request, h http.Handler) {
	seen := &answer{ResponseWriter: discarding{http.Header{}}}
	h.ServeHTTP(seen, r)
	if allow := seen.Header().Get("Allow"); seen.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		writeProblem(w, problem(http.StatusMethodNotAllowed, r.Method+" is not for "+r.URL.Path, "use "+allow))
		return
	}
	writeProblem(w, problem(http.StatusNotFound, "there is nothing at "+r.URL.Path, "/openapi.json lists what there is"))
}

type discarding struct{ header http.Header }

func (d discarding) Header() http.Header         { return d.header }
func (d discarding) Write(b []byte) (int, error) { return len(b), nil }
func (d discarding) WriteHeader(int)             {}

// answer remembers whether an answer has begun.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// guard lets through to a route who may call it, and bounds what they may take.
func (s *Server) guard(route api.Route, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := r.Context().Value(requestID{}).(string)
		c := &call{Request: r, id: id}
		if route.Role != "" {
			who, err := s.authenticate(r)
			if err != nil {
				if asProblem(err).Status == http.StatusUnauthorized {
					w.Header().Set("WWW-Authenticate", `Bearer realm="touchstone"`)
				}
				writeProblem(w, err)
				return
			}
			if !who.may(route.Role) {
				writeProblem(w, problem(http.StatusForbidden,
					fmt.Sprintf("%s %s needs the role %s, and the token of %s has %s", route.Method, route.Path, route.Role, who.Name, who.Role),
					"ask an administrator for a token with that role"))
				return
			}
			c.caller = who
			if who.Role == api.Guard {
				s.guards.heard(who.Node, r.UserAgent())
			}
		}
		if err := s.run(w, c, route, h); err != nil {
			s.tell(w, c, err)
		}
	})
}

// tell answers with an error, or cuts off an answer that has begun.
func (s *Server) tell(w http.ResponseWriter, c *call, err error) {
	p := asProblem(err)
	if p.Status >= http.StatusInternalServerError {
		s.log.Error("a call has failed", "request", c.id, "method", c.Method, "path", c.URL.Path, "error", err)
	}
	if a, ok := w.(*answer); ok && a.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeProblem(w, err)
}

// run calls the handler within its bounds. What changes something is done once for
// each Idempotency-Key.
func (s *Server) run(w http.ResponseWriter, c *call, route api.Route, h handler) error {
	if route.Stream {
		return h(w, c)
	}
	limit, wait := int64(mostBody), patience
	if slices.Contains([]string{"/v1/requests", "/v1/waivers/import", "/v1/simulations"}, route.Path) {
		limit = mostRules
	}
	if slices.Contains([]string{"/v1/simulations", "/v1/log/verify", "/v1/backups"}, route.Path) {
		wait = longPatience
		select {
		case s.heavy <- struct{}{}:
			defer func() { <-s.heavy }()
		default:
			w.Header().Set("Retry-After", "5")
			return problem(http.StatusTooManyRequests, "others are having the whole record read already", "try again in a minute")
		}
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(wait))             // a recorder in a test has none
	_ = control.SetWriteDeadline(time.Now().Add(wait + patience)) // as above
	c.Request = c.WithContext(ctx)
	c.Body = http.MaxBytesReader(w, c.Body, limit)
	if key := c.Header.Get("Idempotency-Key"); route.Writes && key != "" {
		return s.once(w, c, key, h)
	}
	return h(w, c)
}

// authenticate returns whose token a call carries.
func (s *Server) authenticate(r *http.Request) (*caller, error) {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || bearer == "" {
		return nil, problem(http.StatusUnauthorized, "no token", "send Authorization: Bearer TOKEN; touchstone token create makes one")
	}
	bearer, by := strings.TrimSpace(bearer), address(r)
	if who, err := s.clusters(r.Context(), bearer, by); who != nil || err != nil {
		return who, err
	}
	who, known, err := s.tokens.find(r.Context(), bearer)
	if known != "" {
		by += " " + known
	}
	if !s.attempts.open(by) {
		return nil, problem(http.StatusTooManyRequests, "too many wrong tokens from this address", "wait a minute")
	}
	if errors.Is(err, errToken) {
		s.attempts.failed(by)
		s.log.Warn("a wrong token", slog.String("from", address(r)), slog.String("token", known))
		return nil, problem(http.StatusUnauthorized, errToken.Error(), "touchstone token create makes one")
	}
	return who, err
}
