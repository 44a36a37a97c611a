package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

const factFreeze = "freeze"

// Freeze declares a freeze; its ID is set, and its owner is the person where none
// is named. Anybody who may freeze needs nobody else for it: a freeze only ever
// refuses.
func (r *Release) Freeze(ctx context.Context, p Person, f touchstone.Freeze) (*touchstone.Freeze, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	b, err := r.Book(ctx)
	if err != nil {
		return nil, err
	}
	now := r.c.Now().UTC()
	if err := checkFreeze(&f, b.Rules.Environments, now); err != nil {
		return nil, err
	}
	f.ID = record.NewID(now)
	if f.Owner == "" {
		f.Owner = p.Name
	}
	own, err := put(factFreeze, f.ID, f, record.Condition{Absent: true})
	if err != nil {
		return nil, err
	}
	c, err := change("freeze", p, f.ID, f, own)
	if err != nil {
		return nil, err
	}
	if err := r.write(ctx, c); err != nil {
		return nil, fmt.Errorf("declaring a freeze: %w", err)
	}
	return &f, nil
}

// Thaw ends a freeze before its time. One that the rules file declares ends with
// the rules alone.
func (r *Release) Thaw(ctx context.Context, p Person, id, reason string) error {
	return r.end(ctx, p, ending{fact: factFreeze, entry: "thaw", what: "freeze", id: id, reason: reason})
}

// ending takes something away that is in force.
type ending struct{ fact, entry, what, id, reason string }

// end takes a fact away, and writes down who did it and why.
func (r *Release) end(ctx context.Context, p Person, e ending) error {
	if err := p.check(); err != nil {
		return err
	}
	reason, err := because(e.reason, "ending a "+e.what+" before its time")
	if err != nil {
		return err
	}
	_, err = again(ctx, "ending the "+e.what+" "+e.id, func() (struct{}, error) {
		old, err := r.c.Store.Fact(ctx, e.fact, e.id)
		if errors.Is(err, record.ErrNotFound) {
			return struct{}{}, faulty(record.ErrNotFound, fmt.Sprintf("there is no %s %q in force", e.what, e.id), "")
		}
		if err != nil {
			return struct{}{}, fmt.Errorf("reading the %s %s: %w", e.what, e.id, err)
		}
		gone := record.Fact{Kind: e.fact, Key: e.id, If: record.Condition{Seq: old.Seq}}
		c, err := change(e.entry, p, e.id, map[string]string{e.what: e.id, "reason": reason}, gone)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, r.write(ctx, c)
	})
	return err
}

// Freezes lists those that hold or are still to begin, the oldest first, and says
// where the next page goes on. Those of the rules file are not among them.
func (r *Release) Freezes(ctx context.Context, after string, limit int) ([]touchstone.Freeze, string, error) {
	b, err := r.Book(ctx)
	if err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	var out []touchstone.Freeze
	now := r.c.Now()
	for _, f := range b.Freezes {
		if f.ID > after && (f.Until.IsZero() || now.Before(f.Until)) {
			out = append(out, f)
		}
	}
	out, next := page(out, limit, func(f touchstone.Freeze) string { return f.ID })
	return out, next, nil
}

// checkFreeze holds a freeze to what can be.
func checkFreeze(f *touchstone.Freeze, environments []string, now time.Time) error {
	var err error
	if f.Reason, err = because(f.Reason, "a freeze"); err != nil {
		return err
	}
	for _, env := range f.Environments {
		if err := known(env, environments); err != nil {
			return err
		}
	}
	f.From, f.Until = f.From.UTC(), f.Until.UTC()
	switch {
	case !f.Until.IsZero() && !now.Before(f.Until):
		return faulty(ErrInvalid, "the freeze would be over already", "until names a moment to come")
	case f.From.Year() > 9999 || f.Until.Year() > 9999:
		return faulty(ErrInvalid, "a freeze begins and ends before the year 10000", "")
	case f.Weekly == nil && f.From.IsZero() && f.Until.IsZero():
		return faulty(ErrInvalid, "the freeze says neither when it begins nor when it ends", "from, until, or the days of the week")
	}
	if err := f.Check(); err != nil {
		return faulty(ErrInvalid, err.Error(), "")
	}
	return nil
}

// known refuses an environment that the rules do not have: everywhere else an
// unknown one stands for the strictest.
func known(env string, environments []string) error {
	if slices.Contains(environments, env) {
		return nil
	}
	return faulty(ErrInvalid, fmt.Sprintf("there is no environment %q", env), "one of: "+strings.Join(environments, ", "))
}
