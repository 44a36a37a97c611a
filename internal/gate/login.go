package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// sameLogin is within what time a refused login is the same attempt: kubectl asks
// by WebSocket and, when that is refused, by SPDY.
const sameLogin = 5 * time.Second

// loggedIn is the last answer to a login.
type loggedIn struct {
	one *decided
	at  time.Time
}

// Login judges a person's way into something that runs; the reference is not
// looked at, but for telling one attempt from another. An error lets nobody in.
//
// The command is redacted before anything is decided or written, and stands in
// the entry's body alone, which the chain holds by its hash.
func (d *Door) Login(ctx context.Context, r Request) (*Answer, error) {
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	g, err := d.ground(ctx)
	if err != nil {
		return nil, err
	}
	q := redacted(r.Question)
	q.Occasion = touchstone.OccasionLogin
	if q.Login == nil {
		q.Login = &touchstone.Login{By: r.Actor}
	}
	mode := d.modes.of(q.Place.Cluster, q.Place.Namespace)
	attempt, err := json.Marshal([]any{r.Actor, r.Reference, r.Pod, r.Owner, q, g.id(), mode.Enforced})
	if err != nil {
		return nil, fmt.Errorf("reading the login of %s: %w", r.Actor, err)
	}
	key := string(touchstone.DigestOf(attempt))
	if last, ok := d.logins.get(key); ok && !r.DryRun && last.one.Verdict != touchstone.Allowed {
		if age := g.now.Sub(last.at); age >= 0 && age < sameLogin {
			return loginAnswer(last.one, mode), nil
		}
	}
	h := r.History
	h.Kept = true
	c := d.caseOf(ctx, g, Inspected{}, q, h)
	dec := touchstone.Decide(g.book.Rules, c)
	one := &decided{Decided: lineOf(c, &dec, r.Actor, mode.Enforced), decision: dec}
	one.Pod = r.Pod
	if r.DryRun {
		return loginAnswer(one, mode), nil
	}
	one.ID = record.NewID(g.now)
	k, err := keep(one.ID, r.Actor, c, g.book, &dec)
	if err != nil {
		return nil, err
	}
	fact, err := one.fact()
	if err != nil {
		return nil, err
	}
	change := record.Change{
		ID: one.ID, Kind: "login", Actor: r.Actor, About: workloadKey(q.Place.Cluster, q.Place.Namespace, q.Workload),
		Body: k.Body, Blobs: k.Blobs, Facts: []record.Fact{fact},
	}
	if _, err := d.c.Store.Commit(ctx, change); err != nil {
		return nil, fmt.Errorf("writing down the login of %s: %w", r.Actor, err)
	}
	d.logins.put(key, loggedIn{one, g.now}, int64(1000+len(k.Body)))
	d.figures.count(dec.Verdict)
	d.publish(Event{Kind: "decision", At: g.now, Decision: &one.Decided})
	return loginAnswer(one, mode), nil
}

func loginAnswer(one *decided, mode Mode) *Answer {
	return &Answer{ID: one.ID, Decision: one.decision, Enforced: mode.Enforced}
}
