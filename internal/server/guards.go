package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// kindGuard is the kind of the facts that say which guards there are, by node, and of
// their entries: an api.GuardState.
const kindGuard = "guard"

const (
	// tooStill is longer than a guard is ever still: it asks for its ground twice a
	// minute.
	tooStill = 3 * time.Minute
	// noteAgain is how often it is written down that a guard is there; what is known
	// in between is in memory.
	noteAgain = 24 * time.Hour
	// forgetGuard is after how long a guard that is silent is none any more.
	forgetGuard = 7 * 24 * time.Hour
	mostGuards  = 20_000
)

// guards are those that were heard.
type guards struct {
	store record.Store
	now   func() time.Time
	began time.Time // until a while after it nobody is taken for silent

	mu       sync.Mutex
	all      map[string]*heard
	believed map[[sha256.Size]byte]belief
}

// heard is one guard.
type heard struct {
	api.GuardState
	noted time.Time // when that was written down; zero for never
	// asks and bytes bound what one node, taken by somebody, can keep the server and
	// the cluster busy with, and fill the record with.
	asks, bytes *rate.Limiter
}

// What a guard may ask and tell, a second in the long run and at once. What it tells
// and is too much it keeps, and sends later.
const (
	asksEvery, mostAsks = time.Second, 60
	bytesEvery          = 256 << 10
	mostBytes           = 16 << 20
)

func newHeard(s api.GuardState, noted time.Time) *heard {
	return &heard{s, noted, rate.NewLimiter(rate.Every(asksEvery), mostAsks), rate.NewLimiter(bytesEvery, mostBytes)}
}

// asks reports whether the guard of a node may ask the cluster for one thing more.
func (g *guards) asks(node string) error {
	return g.may(node, func(h *heard) *rate.Limiter { return h.asks }, 1)
}

// tells reports whether it may tell so many bytes more.
func (g *guards) tells(node string, n int) error {
	return g.may(node, func(h *heard) *rate.Limiter { return h.bytes }, n)
}

func (g *guards) may(node string, which func(*heard) *rate.Limiter, n int) error {
	g.mu.Lock()
	one := g.all[node]
	g.mu.Unlock()
	if one == nil || !which(one).AllowN(g.now(), n) {
		return problem(http.StatusTooManyRequests, "the guard of this node asks or tells too much", "wait a few seconds; events are kept on the node meanwhile")
	}
	return nil
}

// belief is whose token it is, as the cluster has said.
type belief struct {
	node string
	at   time.Time
}

func openGuards(ctx context.Context, store record.Store, now func() time.Time) (*guards, error) {
	g := &guards{store: store, now: now, began: now(), all: map[string]*heard{}, believed: map[[sha256.Size]byte]belief{}}
	for d, err := range record.List[api.GuardState](ctx, store, record.FactQuery{Kind: kindGuard}) {
		if err != nil {
			return nil, fmt.Errorf("reading which guards there are: %w", err)
		}
		g.all[d.Key] = newHeard(d.Content, d.Content.Last)
	}
	return g, nil
}

// heard notes that the guard of a node has called.
func (g *guards) heard(node, agent string) {
	now := g.now().UTC()
	if len(agent) > 100 {
		agent = strings.ToValidUTF8(agent[:100], "")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.all[node]
	if one == nil {
		if len(g.all) >= mostGuards {
			return
		}
		one = newHeard(api.GuardState{Node: node, First: now}, time.Time{})
		g.all[node] = one
	}
	one.Last, one.Agent = now, agent
}

// list returns all, in the order of their nodes.
func (g *guards) list() []api.GuardState {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]api.GuardState, 0, len(g.all))
	for _, one := range g.all {
		s := one.GuardState
		last := s.Last
		if last.Before(g.began) {
			last = g.began
		}
		s.Silent = now.Sub(last) > tooStill
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b api.GuardState) int { return strings.Compare(a.Node, b.Node) })
	return out
}

// keep writes down which guards are new or were not noted for long, and forgets those
// that are none any more.
func (g *guards) keep(ctx context.Context) error {
	now := g.now()
	var changes []record.Change
	var done []func()
	g.mu.Lock()
	for node, one := range g.all {
		fact := record.Fact{Kind: kindGuard, Key: node}
		switch {
		case now.Sub(one.Last) > forgetGuard:
			done = append(done, func() { delete(g.all, node) })
		case one.noted.IsZero() || one.Last.Sub(one.noted) > noteAgain:
			var err error
			if fact, err = record.Put(kindGuard, node, one.GuardState); err != nil {
				g.mu.Unlock()
				return err
			}
			at := one.Last
			done = append(done, func() { one.noted = at })
		default:
			continue
		}
		body := fact.Value
		if body == nil {
			body = []byte(`{"forgotten":true}`)
		}
		changes = append(changes, record.Change{Kind: kindGuard, Actor: actorServer, About: "node/" + node, Body: body, Facts: []record.Fact{fact}})
	}
	for token, b := range g.believed {
		if now.Sub(b.at) >= believeFor {
			delete(g.believed, token)
		}
	}
	g.mu.Unlock()
	if len(changes) == 0 {
		return nil
	}
	if _, err := g.store.Commit(ctx, changes...); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range done {
		f()
	}
	return nil
}

// silent returns the guards that have gone silent, those of nodes left out that are
// gone.
func (s *Server) silent(ctx context.Context) []api.GuardState {
	return slices.DeleteFunc(s.guards.list(), func(g api.GuardState) bool {
		if !g.Silent || s.nodes == nil {
			return !g.Silent
		}
		pods, _, err := s.nodes.Pods(ctx, g.Node)
		return err == nil && len(pods) == 0 // every node that lives has some
	})
}

// mostSilent is how many guards that are silent are named.
const mostSilent = 5

// lookAtGuards warns of guards that have gone silent: nothing is stopped on their
// nodes, or nobody knows.
func (s *Server) lookAtGuards(ctx context.Context, warning say) {
	all := s.silent(ctx)
	s.figures.silent.Store(int64(len(all)))
	for i := range all {
		if i == mostSilent {
			warning("the guards of %d more nodes have gone silent", len(all)-i)
			return
		}
		warning("the guard of node %s has not been heard since %s", all[i].Node, all[i].Last.UTC().Format(time.RFC3339))
	}
}

func (s *Server) listGuards(*call) (*api.Page[api.GuardState], error) {
	return page(s.guards.list(), ""), nil
}

const (
	believeFor  = time.Minute // how long a token of the cluster's is believed without asking again
	longestJWT  = 16 << 10    // bytes
	mostBelieve = 50_000      // tokens
)

// clusters returns the guard that calls with a token of the cluster's own; nil for a
// token of another kind.
func (s *Server) clusters(ctx context.Context, bearer, by string) (*caller, error) {
	if s.nodes == nil || strings.HasPrefix(bearer, tokenPrefix) || strings.Count(bearer, ".") != 2 || len(bearer) > longestJWT {
		return nil, nil
	}
	sum, now := sha256.Sum256([]byte(bearer)), s.now()
	s.guards.mu.Lock()
	known, ok := s.guards.believed[sum]
	s.guards.mu.Unlock()
	if age := now.Sub(known.at); !ok || age < 0 || age >= believeFor {
		if !s.attempts.open(by) {
			return nil, problem(http.StatusTooManyRequests, "too many wrong tokens from this address", "wait a minute")
		}
		node, err := s.nodes.Guard(ctx, bearer)
		if err != nil {
			s.log.Warn("nobody can tell whose token that is", "from", by, "error", err)
			return nil, problem(http.StatusServiceUnavailable, "the cluster does not tell whose token that is", "try again in a moment; the server's log has the cause")
		}
		if node == "" {
			s.attempts.failed(by)
			return nil, problem(http.StatusUnauthorized, errToken.Error(), "the token of a guard is one of its own service account, for the audience that its DaemonSet names")
		}
		known = belief{node, now}
		s.guards.mu.Lock()
		if len(s.guards.believed) < mostBelieve {
			s.guards.believed[sum] = known
		}
		s.guards.mu.Unlock()
	}
	return &caller{Token: api.Token{Name: "system:guard:" + known.node, Role: api.Guard, Node: known.node}, secret: bearer}, nil
}

// own returns the guard's node, which is the one that a call may name.
func (c *call) own(named string) (string, error) {
	if named != "" && named != c.caller.Node {
		return "", problem(http.StatusForbidden, fmt.Sprintf("the guard of %s asks about the node %.80q", c.caller.Node, named), "a guard's token is for its own node alone")
	}
	return c.caller.Node, nil
}

// podsOf returns the pods of a node; none where there is no cluster.
func (s *Server) podsOf(ctx context.Context, node string) (all []gate.Pod, changed <-chan struct{}, err error) {
	if s.nodes == nil {
		return nil, nil, nil
	}
	all, changed, err = s.nodes.Pods(ctx, node)
	if err != nil && !errors.Is(err, ctx.Err()) {
		err = problem(http.StatusServiceUnavailable, "the pods of the node are not known: "+err.Error(), "try again in a moment")
	}
	return all, changed, err
}
