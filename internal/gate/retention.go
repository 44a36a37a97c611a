package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"touchstone.dev/touchstone/internal/record"
)

// Retention says for how long the store keeps what entries of a kind hold: their
// bodies, and the inputs that only they name. The entries themselves stay for
// ever, so that the chain verifies; kinds that are not in the table keep
// everything.
type Retention map[string]time.Duration

// DefaultRetention is the table where nobody says otherwise. What people did
// (promotions, approvals, waivers, rules, tokens, break-glass) is not in it.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{
		"decision":   400 * day, // a year and the audit after it; then it cannot be replayed
		"login":      365 * day, // its command may hold what nobody recognised as a secret
		"admission":  90 * day,
		"scan":       90 * day,
		"observed":   30 * day,
		"advisories": 400 * day,
		// As a login's: commands and paths may hold what nobody recognised as a secret.
		factGuardEvent: 365 * day,
	}
}

// Expirer is a store that can remove what entries hold.
type Expirer interface {
	// Expire removes it for the entries of a kind that are older than a moment,
	// and returns for how many.
	Expire(ctx context.Context, kind string, before time.Time) (int, error)
}

// Expire removes what the table no longer keeps: bodies and inputs from the store,
// and with a decision the line about it. It is to be called once a day or so; it
// may be interrupted, and goes on where it was. What was removed is written down,
// by kind.
func (d *Door) Expire(ctx context.Context, store Expirer, table Retention) (map[string]int, error) {
	now := d.c.Now()
	removed := map[string]int{}
	for _, kind := range slices.Sorted(maps.Keys(table)) {
		n, err := store.Expire(ctx, kind, now.Add(-table[kind]))
		if err != nil {
			return removed, fmt.Errorf("removing what is no longer kept: %w", err)
		}
		if n > 0 {
			removed[kind] = n
		}
	}
	if err := d.expireLines(ctx, table); err != nil {
		return removed, fmt.Errorf("removing the lines of old decisions: %w", err)
	}
	if err := d.expireSightings(ctx, table); err != nil {
		return removed, fmt.Errorf("removing what guards saw long ago: %w", err)
	}
	if len(removed) == 0 {
		return removed, nil
	}
	body, err := json.Marshal(removed)
	if err != nil {
		return removed, err
	}
	_, err = d.c.Store.Commit(ctx, record.Change{ID: record.NewID(now), Kind: "retention", Actor: self, Body: body})
	return removed, err
}

// expireLines removes the facts of decisions and logins whose bodies are gone.
// Their keys are ULIDs, which sort by time.
func (d *Door) expireLines(ctx context.Context, table Retention) error {
	keep, ok := table["decision"]
	if !ok {
		return nil
	}
	var bound ulid.ULID
	if err := bound.SetTime(ulid.Timestamp(d.c.Now().Add(-max(keep, table["login"])))); err != nil {
		return err
	}
	return d.expireFacts(ctx, factDecision, bound.String())
}

// expireFacts removes the facts of a kind whose keys are below a bound.
func (d *Door) expireFacts(ctx context.Context, kind, bound string) error {
	for {
		var old []record.Fact
		for f, err := range d.c.Store.Facts(ctx, record.FactQuery{Kind: kind, Limit: mostFacts}) {
			if err != nil {
				return err
			}
			if f.Key >= bound {
				break
			}
			old = append(old, record.Fact{Kind: kind, Key: f.Key})
		}
		if len(old) == 0 {
			return nil
		}
		change := record.Change{ID: record.NewID(d.c.Now()), Kind: "retention", Actor: self, Body: fmt.Appendf(nil, `{"lines":%d}`, len(old)), Facts: old}
		if _, err := d.c.Store.Commit(ctx, change); err != nil {
			return err
		}
	}
}
