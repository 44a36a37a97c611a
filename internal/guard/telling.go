package guard

import (
	"context"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// trouble tells of the guard itself.
func (g *Guard) trouble(what string) {
	now := g.c.Now()
	key := repeatKey{0, touchstone.EventGuard, what}
	if !g.repeats.fresh(key, now) {
		return
	}
	g.c.Log.Error(what)
	g.tell(key, g.guardEvent(what, now))
}

// tell writes an event down, and hands it on.
func (g *Guard) tell(key repeatKey, e touchstone.RuntimeEvent) {
	g.repeats.told(key, &e)
	g.write(&e)
}

func (g *Guard) write(e *touchstone.RuntimeEvent) {
	g.telling.Lock()
	defer g.telling.Unlock()
	if err := g.journal.append(e); err != nil {
		g.figures.lost.WithLabelValues("journal").Inc()
		g.c.Log.Error("an event could not be written down", "event", e.ID, "error", err)
	}
	g.figures.told.WithLabelValues(string(e.Kind)).Inc()
	g.c.Tell(e)
}

// runRepeats tells how often things have happened again.
func (g *Guard) runRepeats(ctx context.Context) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
			g.flushRepeats(false)
			g.tellUnsent()
		}
	}
}

// tellUnsent says how many events went before a server had them.
func (g *Guard) tellUnsent() {
	n := g.journal.takeLost()
	if n == 0 || g.c.Server == nil {
		return
	}
	g.figures.lost.WithLabelValues("unsent").Add(float64(n))
	g.trouble(fmt.Sprintf("%d events went before the server had them: the journal was full", n))
}

func (g *Guard) flushRepeats(all bool) {
	now := g.c.Now()
	for _, e := range g.repeats.over(now, all) {
		e.ID = record.NewID(now)
		g.write(&e)
	}
}

// send hands the journal on to the server, from where it was left.
func (g *Guard) send(ctx context.Context) error {
	if g.c.Server == nil {
		return nil
	}
	const most = 200
	pause := time.Second
	for ctx.Err() == nil {
		events, end, err := g.journal.batch(most)
		if err == nil && len(events) == 0 {
			select {
			case <-ctx.Done():
			case <-g.journal.more:
			case <-time.After(10 * time.Second):
			}
			continue
		}
		if err == nil {
			var who map[string]touchstone.Login
			if who, err = g.c.Server.Send(ctx, events); err == nil {
				g.joined(who)
			}
		}
		if err == nil {
			pause, err = time.Second, g.journal.sent(end)
		}
		if err == nil {
			continue
		}
		if ctx.Err() == nil {
			g.c.Log.Warn("events wait to be sent", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 30*time.Second)
	}
	return nil
}
