package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
)

// health remembers what was found for a moment: anybody may ask, and looking
// writes to the disk.
type health struct {
	mu    sync.Mutex
	at    time.Time // by the machine's clock
	found api.Health
}

const (
	lookAgain = 3 * time.Second
	// Below so much free space people are warned; below the least, nothing more is
	// written soon.
	littleSpace = 1 << 30
	leastSpace  = 64 << 20
	// clockSlack is how far the log may be ahead of the clock before something is
	// wrong with the clock.
	clockSlack = time.Minute
)

// alive says that the process lives, and nothing of what it can do: to start it
// again mends no disk and fetches no advisories.
func (s *Server) alive(w http.ResponseWriter, _ *call) error {
	return write(w, http.StatusOK, api.Health{Ready: !s.stopping.Load()})
}

// ready answers 503 only when nothing at all can be decided: the record cannot be
// written or read, or the server ends. A cluster takes an endpoint that is not
// ready away, and then refuses even what was let in before; so missing advisories,
// a stuck queue or a wrong clock are told here, counted in touchstone_problems, and
// do not make it unready: what they stop is refused with the reason.
func (s *Server) ready(w http.ResponseWriter, c *call) error {
	h := s.look(c.Context())
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	return write(w, status, h)
}

// look finds out how the server is.
func (s *Server) look(ctx context.Context) api.Health {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.stopping.Load() {
		return api.Health{Problems: []string{"the server is ending"}}
	}
	if now := time.Now(); !s.health.at.IsZero() && now.Sub(s.health.at) < lookAgain {
		return s.health.found
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	h := api.Health{Ready: true}
	problem := func(format string, args ...any) { h.Problems = append(h.Problems, fmt.Sprintf(format, args...)) }
	warning := func(format string, args ...any) { h.Warnings = append(h.Warnings, fmt.Sprintf(format, args...)) }
	if err := s.kept.Health(ctx); err != nil {
		h.Ready = false
		problem("%v", err)
	}
	s.lookAtSpace(problem, warning)
	s.lookAtClock(ctx, problem)
	s.lookAtAdvisories(ctx, problem, warning)
	s.lookAtGuards(ctx, warning)
	for _, text := range s.door.Warnings() {
		problem("%s", text)
	}
	switch left := s.authority.Expires().Sub(s.now()); {
	case left <= 0:
		problem("the server's certificate has expired")
	case left < certificateLife/6:
		warning("the server's certificate ends in %s and was not renewed", left.Round(time.Hour))
	}
	for _, g := range s.gates {
		if g.Warnings != nil {
			h.Warnings = append(h.Warnings, g.Warnings(ctx)...)
		}
	}
	s.figures.problems.Store(int64(len(h.Problems)))
	s.health.at, s.health.found = time.Now(), h
	return h
}

type say func(format string, args ...any)

func (s *Server) lookAtSpace(problem, warning say) {
	var disk unix.Statfs_t
	if err := unix.Statfs(s.c.Data, &disk); err != nil {
		problem("looking at the disk: %v", err)
		return
	}
	switch free := disk.Bavail * uint64(disk.Bsize); {
	case free < leastSpace:
		problem("the disk is full: %d MB are left", free>>20)
	case free < littleSpace:
		warning("the disk is nearly full: %d MB are left", free>>20)
	}
}

func (s *Server) lookAtClock(ctx context.Context, problem say) {
	for last, err := range s.store.Entries(ctx, record.EntryQuery{Descending: true, Limit: 1}) {
		if ahead := last.Time.Sub(s.now()); err == nil && ahead > clockSlack {
			problem("the clock is %s behind the log: what depends on time is judged by a wrong one", ahead.Round(time.Second))
		}
	}
}

// lookAtAdvisories holds the age of the feeds against the rule stale-advisories:
// beyond its limit everything new is refused there.
func (s *Server) lookAtAdvisories(ctx context.Context, problem, warning say) {
	s.figures.advisories.Store(-1)
	status, err := s.c.Gate.Advisories.Status()
	switch {
	case errors.Is(err, advisory.ErrNoIndex) || err == nil && status.Index.Problem != "":
		problem("there are no advisories that can be asked: %s", status.Index.Problem)
		return
	case err != nil:
		problem("reading the advisories: %v", err)
		return
	}
	var oldest time.Time
	name := ""
	for i := range status.Sources {
		from := &status.Sources[i]
		if !from.Partial && !from.Confirmed.IsZero() && (oldest.IsZero() || from.Confirmed.Before(oldest)) {
			oldest, name = from.Confirmed, from.Name
		}
	}
	if oldest.IsZero() {
		warning("nobody knows how old the advisories are: no feed says when it was current")
		return
	}
	age := s.now().Sub(oldest)
	s.figures.advisories.Store(int64(age.Seconds()))
	book, err := s.release.Book(ctx)
	if err != nil {
		problem("reading the rules in force: %v", err)
		return
	}
	for _, env := range book.Rules.Environments {
		place := book.Rules.PlaceIn(env)
		cell, asked := book.Rules.Asks("stale-advisories", &place)
		if !asked || cell.Limit.Unit != touchstone.UnitTime || cell.Limit.Value <= 0 {
			continue
		}
		limit := time.Duration(cell.Limit.Value * float64(time.Hour))
		switch {
		case age > limit && cell.Effect == touchstone.EffectRefuse:
			problem("the advisories of %s are %s old, and %s allows %s: nothing new is let in there", name, age.Round(time.Minute), env, limit)
		case age > limit*3/4:
			warning("the advisories of %s are %s old, and %s allows %s", name, age.Round(time.Minute), env, limit)
		}
	}
}

func isConflict(err error) bool { return errors.Is(err, record.ErrConflict) }
