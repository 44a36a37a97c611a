package guard

import (
	"context"
	"errors"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

// slowServer answers about what would follow once it is let, and nothing else.
type slowServer struct {
	Server
	answers chan Follower
}

func (s slowServer) Follows(ctx context.Context, _ touchstone.Running) (Follower, error) {
	select {
	case f := <-s.answers:
		return f, nil
	case <-ctx.Done():
		return Follower{}, ctx.Err()
	}
}

// Without an older answer a stop waits for the first; with one it does not wait long
// for the next; and what is too old is none.
func TestSuccessor(t *testing.T) {
	server := slowServer{answers: make(chan Follower, 1)}
	var s successor
	time.AfterFunc(3*successorWithin, func() { server.answers <- Follower{Verdict: touchstone.Allowed} })
	if f, err := s.ask(t.Context(), server, touchstone.Running{}, moment); err != nil || f.Verdict != touchstone.Allowed {
		t.Errorf("the first answer, which is slow: %+v, %v", f, err)
	}
	if f, err := s.ask(t.Context(), nil, touchstone.Running{}, moment.Add(successorFresh-1)); err != nil || f.Verdict != touchstone.Allowed {
		t.Errorf("without asking: %+v, %v", f, err)
	}
	begun := time.Now()
	if f, err := s.ask(t.Context(), server, touchstone.Running{}, moment.Add(successorFresh)); err != nil || f.Verdict != touchstone.Allowed {
		t.Errorf("what was answered before, where nobody answers: %+v, %v", f, err)
	}
	if took := time.Since(begun); took >= successorFirst {
		t.Errorf("it was waited for %s", took)
	}
	server.answers <- Follower{Verdict: touchstone.Refused}
	if f, err := s.ask(t.Context(), server, touchstone.Running{}, moment.Add(successorFresh)); err != nil || f.Verdict != touchstone.Refused {
		t.Errorf("another answer: %+v, %v", f, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := s.ask(ctx, server, touchstone.Running{}, moment.Add(2*successorStale)); !errors.Is(err, context.Canceled) {
		t.Errorf("where nobody answers and the answer is old: %+v, %v", f, err)
	}
}
