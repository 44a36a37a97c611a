package guard

import (
	"context"
	"io"
	"sync"
	"time"

	"touchstone.dev/touchstone"
)

// Server is what a guard asks of one; a node without a server has none.
type Server interface {
	// Send takes in events; for logins it returns who they were, by event id.
	Send(ctx context.Context, events []touchstone.RuntimeEvent) (map[string]touchstone.Login, error)
	// Follows asks the gate about the very pod that would follow a container.
	Follows(ctx context.Context, r touchstone.Running) (Follower, error)
	// Evict asks to evict the container's pod, because of an event.
	Evict(ctx context.Context, r touchstone.Running, event string) error
	// Manifest writes the manifest of an image that the server has inspected, and
	// returns fs.ErrNotExist where it has not.
	Manifest(ctx context.Context, image ImageID, to io.Writer) error
}

// Follower is the gate's answer about what would follow a container.
type Follower struct {
	Verdict touchstone.Verdict
	Why     string // the worst reason, in a line; empty when it is allowed
}

const (
	// successorWithin bounds how long a stop waits for a new answer where there is an
	// older one, successorFirst where there is none: nothing is taken away without.
	successorWithin = 100 * time.Millisecond
	successorFirst  = 5 * time.Second
	// successorFresh is how long an answer is taken as it is, successorStale how
	// long it is better than none.
	successorFresh = 30 * time.Second
	successorStale = time.Hour
)

// successor remembers the gate's answer about what would follow one container, so
// that a stop need not wait for it.
type successor struct {
	mu     sync.Mutex
	answer Follower
	at     time.Time
}

func (s *successor) ask(ctx context.Context, server Server, r touchstone.Running, now time.Time) (Follower, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.at)
	if !s.at.IsZero() && age >= 0 && age < successorFresh {
		return s.answer, nil
	}
	stale := !s.at.IsZero() && age >= 0 && age < successorStale
	within := successorFirst
	if stale {
		within = successorWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	answer, err := server.Follows(ctx, r)
	if err == nil {
		s.answer, s.at = answer, now
		return answer, nil
	}
	if stale {
		return s.answer, nil
	}
	return Follower{}, err
}
