package rehydrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"touchstone.dev/touchstone/internal/record"
)

// remembered is a fact of a workload.
type remembered struct {
	Of Identity `json:"of"`
	Memory
}

// load reads what the record holds, where that is not known to be in memory.
func (c *Controller) load(ctx context.Context, now time.Time) error {
	if c.loaded {
		return nil
	}
	// The turn is read first: what is written in between is a conflict later.
	turn, err := c.c.Store.Fact(ctx, kindTurn, c.c.Cluster)
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return fmt.Errorf("reading whose turn it is: %w", err)
	}
	memory := map[Identity]*kept{}
	for d, err := range record.List[remembered](ctx, c.c.Store, record.FactQuery{Kind: Kind, Prefix: c.c.Cluster + "/"}) {
		if err != nil {
			return fmt.Errorf("reading what is under way: %w", err)
		}
		memory[d.Content.Of] = &kept{d.Content.Memory, d.Seq}
	}
	if err := c.loadRests(ctx, now); err != nil {
		return fmt.Errorf("reading what was replaced lately: %w", err)
	}
	c.memory, c.turn, c.loaded = memory, turn.Seq, true
	return nil
}

// loadRests finds what has ended lately, so that it rests whoever ended it.
func (c *Controller) loadRests(ctx context.Context, now time.Time) error {
	const most = 10_000 // where the clock has jumped back, all seem to be of now
	for e, err := range c.c.Store.Entries(ctx, record.EntryQuery{Kinds: []string{Kind}, Descending: true, Limit: most}) {
		if errors.Is(err, record.ErrCorrupt) {
			continue // it is told by whoever verifies the record
		}
		if err != nil {
			return err
		}
		if now.Sub(e.Time) >= rest {
			return nil
		}
		body, err := c.c.Store.Blob(ctx, e.Body)
		if err != nil && !errors.Is(err, record.ErrNotFound) {
			return err
		}
		t, err := ReadTold(body)
		if err != nil {
			continue // a rest saves work; what keeps from repeating a step is Hands.Look
		}
		if t.Of.Cluster == c.c.Cluster && t.rests() && e.Time.After(c.rests[t.Of]) {
			c.rests[t.Of] = e.Time
		}
	}
	return nil
}

// rests reports whether a step has ended with it, and is not held as one that failed.
func (t *Told) rests() bool {
	switch t.What {
	case Replaced, Abandoned, Stopped:
		return true
	default:
		return false
	}
}

// write writes down what has happened, and what is remembered from now on. Where
// somebody else has written meanwhile nothing is, and the memory is read again.
func (c *Controller) write(ctx context.Context, m Memory, t Told) error {
	t.Schema = SchemaTold
	key := t.Of.Key()
	k := c.memory[t.Of]
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	fact := record.Fact{Kind: Kind, Key: key}
	if !m.empty() {
		if fact, err = record.Put(Kind, key, remembered{t.Of, m}, "ns:"+t.Of.Namespace, "owner:"+t.Owner); err != nil {
			return err
		}
	}
	change := record.Change{ID: record.NewID(c.c.Now()), Kind: Kind, Actor: self, About: key, Body: body}
	if known := k != nil && k.seq > 0; known || fact.Value != nil {
		if fact.If.Absent = !known; known {
			fact.If.Seq = k.seq
		}
		change.Facts = []record.Fact{fact}
	}
	turn, err := record.Put(kindTurn, c.c.Cluster, change.ID)
	if err != nil {
		return err
	}
	turn.If = record.Condition{Absent: c.turn == 0, Seq: c.turn}
	change.Facts = append(change.Facts, turn)
	entries, err := c.c.Store.Commit(ctx, change)
	if err != nil {
		c.loaded = false
		return fmt.Errorf("writing down that %s is %s: %w", t.Of, t.What, err)
	}
	c.turn = entries[len(entries)-1].Seq
	if m.empty() {
		delete(c.memory, t.Of)
	} else {
		c.memory[t.Of] = &kept{m, c.turn}
	}
	c.say(&t)
	return nil
}

// mine fails where somebody else has written since this read or wrote last: then it
// does not know what is under way.
func (c *Controller) mine(ctx context.Context) error {
	turn, err := c.c.Store.Fact(ctx, kindTurn, c.c.Cluster)
	if err == nil && turn.Seq != c.turn {
		err = record.ErrConflict
	}
	if err != nil {
		c.loaded = false
		return fmt.Errorf("looking whose turn it is: %w", err)
	}
	return nil
}
