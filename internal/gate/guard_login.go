package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/secrets"
	"touchstone.dev/touchstone/internal/record"
)

// How far apart a session may be from the decision that let it in. A container for
// debugging starts when its image has been pulled; the clocks of node and server
// differ.
const (
	sessionAfter = 30 * time.Second
	debugAfter   = 15 * time.Minute
	sessionSkew  = 5 * time.Second
	mostLogins   = 200 // that are looked at for one event
)

// join finds the decision by which the cluster's door let a session in, and says
// whose it is. One decision lets one session in: of several that fit, the session is
// joined with the nearest before it that no other event is joined with. Where none
// fits, the door never saw it.
func (s *sighting) join(ctx context.Context, e *touchstone.RuntimeEvent) error {
	l := e.Login
	if l == nil || l.Admitted != "" || e.Running.Namespace == "" {
		return nil
	}
	after := sessionAfter
	switch l.Kind {
	case touchstone.LoginExec, touchstone.LoginAttach:
	case touchstone.LoginDebug:
		after = debugAfter
	default:
		return nil // no door is asked about these
	}
	q := record.FactQuery{Kind: factDecision, Tags: []string{"ns:" + e.Running.Namespace, "occasion:" + string(touchstone.OccasionLogin)}, Descending: true, Limit: mostLogins}
	for d, err := range record.List[Decided](ctx, s.c.Store, q) {
		if err != nil {
			return fmt.Errorf("looking who was let in: %w", err)
		}
		one := &d.Content
		if one.At.Before(e.At.Add(-after)) {
			return nil
		}
		if one.At.After(e.At.Add(sessionSkew)) || !into(one, &e.Running) {
			continue
		}
		switch fits, err := s.letIn(ctx, one.ID, e); {
		case err != nil:
			return err
		case fits:
			l.By, l.Admitted = one.Actor, one.ID
			s.taken[one.ID] = true
			return nil
		}
	}
	return nil
}

// into reports whether a decision let somebody into just this container. One that
// named no container meant whichever the cluster chooses.
func into(one *Decided, r *touchstone.Running) bool {
	w := &one.Workload
	return (!one.Enforced || one.Verdict == touchstone.Allowed) && one.Pod == r.Pod &&
		(w.Container == "" || w.Container == r.Workload.Container)
}

// letIn reports whether the decision is about a session like the event's, and no
// other event's.
func (s *sighting) letIn(ctx context.Context, id string, e *touchstone.RuntimeEvent) (bool, error) {
	if s.taken[id] {
		return false, nil
	}
	k, err := s.Decision(ctx, id)
	if errors.Is(err, record.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking who was let in: %w", err)
	}
	l := k.Question.Login
	if l == nil || l.Kind != e.Login.Kind || !sameCommand(l.Command, e.Login.Command) {
		return false, nil
	}
	for f, err := range s.c.Store.Facts(ctx, record.FactQuery{Kind: factGuardEvent, Tags: []string{"admitted:" + id}, Limit: 2}) {
		if err != nil {
			return false, fmt.Errorf("looking who was let in: %w", err)
		}
		if f.Key != e.ID {
			return false, nil
		}
	}
	return true, nil
}

// sameCommand reports whether a process was started by the command that was asked
// for. Who attaches starts none. The kernel puts an interpreter before a script, and
// secrets may have been taken out of either by other patterns.
func sameCommand(asked, run []string) bool {
	if len(asked) == 0 || len(run) == 0 {
		return true
	}
	if len(run) < len(asked) {
		return false
	}
	return slices.EqualFunc(asked, run[len(run)-len(asked):], func(a, b string) bool {
		return a == b || strings.Contains(a, secrets.Hidden) || strings.Contains(b, secrets.Hidden)
	})
}
