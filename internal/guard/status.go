package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"touchstone.dev/touchstone"
)

// SchemaStatus is that of Status.
const SchemaStatus = "touchstone.dev/guard-status/v1"

// Status is what a guard says of itself: what is watched, and what is proven.
type Status struct {
	Schema string    `json:"schema"` // touchstone.dev/guard-status/v1
	Tool   string    `json:"tool"`
	Node   string    `json:"node"`
	Since  time.Time `json:"since"` // when the guard was started
	At     time.Time `json:"at"`
	// Rules names the rules in force, RulesAt is when they were last known to be
	// current, and RulesProblem why they are not any more.
	Rules        touchstone.Digest `json:"rules"`
	RulesAt      time.Time         `json:"rulesAt"`
	RulesProblem string            `json:"rulesProblem,omitempty"`
	Layers       []LayerStatus     `json:"layers"`
	Subjects     []SubjectStatus   `json:"subjects"`
	// Problems are sentences about what is not as it should be.
	Problems []string `json:"problems"`
	// Unsent is how many events wait for the server; -1 where there is none.
	Unsent int                       `json:"unsent"`
	Last   []touchstone.RuntimeEvent `json:"last"` // the last events, oldest first
}

// LayerStatus is one layer of enforcement, as the kernel and the canary say.
type LayerStatus struct {
	Name     string `json:"name"` // fanotify, bpf
	Attached bool   `json:"attached"`
	// Proven is when a canary was last stopped by it; zero where none was yet.
	Proven  time.Time `json:"proven,omitzero"`
	Problem string    `json:"problem,omitempty"`
	Facts   []string  `json:"facts,omitempty"` // for people
}

// SubjectStatus is one container, or the host.
type SubjectStatus struct {
	Running  touchstone.Running  `json:"running"`
	Artifact touchstone.Artifact `json:"artifact"`
	Place    touchstone.Place    `json:"place"`
	Started  time.Time           `json:"started"`
	// Manifest says where the list of its files came from, and Files how many those
	// are; empty while it is not known.
	Manifest string `json:"manifest,omitempty"`
	Files    int    `json:"files,omitempty"`
	// Actions are what is done here today about each act: by the names of rules.
	Actions map[string]touchstone.Effect `json:"actions"`
	Drift   int                          `json:"drift"`  // differences found by the last check
	Logins  int                          `json:"logins"` // sessions that are open
	// Problem says why it is watched less than it should be.
	Problem string `json:"problem,omitempty"`
}

// SocketName is the name of the guard's socket in its run folder.
const SocketName = "guard.sock"

// serveStatus answers on a socket that only root can open, until the context ends.
func (g *Guard) serveStatus(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(g.c.Socket), 0o755); err != nil {
		return fmt.Errorf("opening the guard's socket: %w", err)
	}
	if err := os.Remove(g.c.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening the guard's socket: %w", err)
	}
	l, err := net.Listen("unix", g.c.Socket)
	if err != nil {
		return fmt.Errorf("opening the guard's socket: %w", err)
	}
	if err := os.Chmod(g.c.Socket, 0o600); err != nil {
		return errors.Join(fmt.Errorf("opening the guard's socket: %w", err), l.Close())
	}
	return g.serve(ctx, l, g.routes())
}

// serve serves until the context ends.
func (g *Guard) serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
	return nil
}

func (g *Guard) routes() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, document any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(document) // who asked has gone
	}
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, g.status(), nil) })
	mux.HandleFunc("GET /events/{id}", func(w http.ResponseWriter, r *http.Request) {
		e, err := g.journal.find(r.PathValue("id"))
		answer(w, e, err)
	})
	mux.HandleFunc("GET /drift/{container...}", func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if err := g.driftOf(r.Context(), r.PathValue("container"), &b, r.FormValue("format") == "text"); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = b.WriteTo(w) // who asked has gone
	})
	mux.Handle("GET /metrics", g.metrics())
	return mux
}

func (g *Guard) metrics() http.Handler {
	return promhttp.HandlerFor(g.figures.registry, promhttp.HandlerOpts{})
}

// Local asks the guard of this machine through its socket.
type Local struct{ Socket string }

// Status returns what the guard says of itself.
func (l Local) Status(ctx context.Context) (*Status, error) {
	return askLocal[Status](ctx, l, "/status")
}

// Event returns an event of the guard's journal, by its id or the beginning of it.
func (l Local) Event(ctx context.Context, id string) (*touchstone.RuntimeEvent, error) {
	return askLocal[touchstone.RuntimeEvent](ctx, l, "/events/"+url.PathEscape(id))
}

// Drift writes what differs in a container, named by its id, the beginning of it, or
// "namespace/pod/container": for people, or as a touchstone.DriftReport.
func (l Local) Drift(ctx context.Context, container string, people bool, out io.Writer) error {
	path := "/drift/" + url.PathEscape(container)
	if people {
		path += "?format=text"
	}
	body, err := l.ask(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(out, body); err != nil {
		return fmt.Errorf("reading the guard's answer: %w", err)
	}
	return nil
}

func askLocal[T any](ctx context.Context, l Local, path string) (*T, error) {
	body, err := l.ask(ctx, path)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	out := new(T)
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return nil, fmt.Errorf("reading the guard's answer: %w", err)
	}
	return out, nil
}

// ask returns the guard's answer, to be closed.
func (l Local) ask(ctx context.Context, path string) (io.ReadCloser, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // nobody asks through this client again
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", l.Socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://guard"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the guard at %s: %w\nhint: it must run on this machine, and its socket is root's: touchstone guard", l.Socket, errors.Unwrap(err))
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what there is of it is enough
		return nil, errors.New(strings.TrimSpace(string(text)))
	}
	return res.Body, nil
}
