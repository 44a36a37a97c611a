package gate

import (
	"context"
	"fmt"

	"github.com/oklog/ulid/v2"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// SightingQuery selects what guards have seen. Empty fields select all.
type SightingQuery struct {
	Namespace string
	Workload  string // "Deployment cart"
	Node      string
	Kind      touchstone.RuntimeEventKind
	Action    touchstone.Effect
	Artifact  string // "repository", "sha256:…" or "repository@sha256:…"
	After     string // what a page before has returned as next
	Limit     int    // 100 when zero
}

// Sightings lists what guards have seen, the newest first. next goes on after this
// page, and is empty on the last.
func (d *Door) Sightings(ctx context.Context, q SightingQuery) (page []touchstone.RuntimeEvent, next string, err error) {
	f := record.FactQuery{Kind: factGuardEvent, After: q.After, Descending: true, Limit: pageSize(q.Limit) + 1}
	for _, tag := range [][2]string{
		{"ns:", q.Namespace}, {"workload:", q.Workload}, {"node:", q.Node}, {"kind:", string(q.Kind)}, {"action:", string(q.Action)}, {"artifact:", q.Artifact},
	} {
		if tag[1] != "" {
			f.Tags = append(f.Tags, tag[0]+tag[1])
		}
	}
	return paged[touchstone.RuntimeEvent](ctx, d.c.Store, f)
}

// Sighting returns one thing that a guard has seen; record.ErrNotFound where there is
// none, or retention has removed it.
func (d *Door) Sighting(ctx context.Context, id string) (*touchstone.RuntimeEvent, error) {
	e, _, err := record.Get[touchstone.RuntimeEvent](ctx, d.c.Store, factGuardEvent, id)
	if err != nil {
		return nil, fmt.Errorf("reading the event %.40q: %w", id, err)
	}
	return &e, nil
}

// expireSightings removes the facts of events whose bodies are gone.
func (d *Door) expireSightings(ctx context.Context, table Retention) error {
	keep, ok := table[factGuardEvent]
	if !ok {
		return nil
	}
	var bound ulid.ULID
	if err := bound.SetTime(ulid.Timestamp(d.c.Now().Add(-keep))); err != nil {
		return err
	}
	return d.expireFacts(ctx, factGuardEvent, bound.String())
}
