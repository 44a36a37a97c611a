package rehydrate

import (
	"context"
	"time"
)

// recall puts what the gate has said before to the workloads.
func (c *Controller) recall(now time.Time, f *Fleet) {
	for i := range f.Workloads {
		w := &f.Workloads[i]
		if said, ok := c.asked[w.Identity]; ok && !said.At.After(now) {
			w.Follower = said
			w.waits()
		}
	}
}

// waits notes that a rebuilt image waits, where the gate would let it in.
func (w *Workload) waits() {
	if w.Follower.New && w.Follower.Answer == Allowed && w.Waiting.IsZero() {
		w.Waiting = w.Follower.At
	}
}

// inTime reports whether a tick that began then may still ask. A gate that hangs must
// hold up neither the lease nor what has its yes already, which would be no fresh one
// by then: the rest is asked about with the next tick.
func (c *Controller) inTime(ctx context.Context, began time.Time) bool {
	const most = 30 * time.Second
	return ctx.Err() == nil && c.c.Now().Sub(began) < most
}

// askAll asks the gate about everything that the plan wants to know of, and reports
// whether another plan may want to know more.
func (c *Controller) askAll(ctx context.Context, now time.Time, all []Due) (asked bool) {
	for i := range all {
		if d := &all[i]; d.Do == Ask && c.inTime(ctx, now) {
			asked = true
			c.ask(ctx, now, d.Workload)
		}
	}
	return asked
}

// ask asks the gate. That it cannot be asked is undecided.
func (c *Controller) ask(ctx context.Context, now time.Time, w *Workload) {
	const within = 30 * time.Second
	before := w.Follower
	asking, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	said, err := c.c.Gate.Ask(asking, w)
	if err != nil {
		c.failing(err)
		said = Follower{Answer: Undecided, Failed: true, Why: "the gate could not be asked: " + err.Error()}
	}
	said.At = now
	if said.Answer != Allowed {
		if said.Since = before.Since; said.Since.IsZero() || said.Since.After(now) {
			said.Since = now
		}
	}
	w.Follower = said
	w.waits()
	c.asked[w.Identity] = said
}

// lookAhead asks about a few that nothing is due of, each once a day: a rebuilt image
// may wait under the name that they run by.
func (c *Controller) lookAhead(ctx context.Context, now time.Time, f *Fleet) {
	const each, daily = 20, 24 * time.Hour
	left := max(each, len(f.Workloads)*int(c.c.Every)/int(daily))
	for i := range f.Workloads {
		w := &f.Workloads[i]
		if left == 0 || !c.inTime(ctx, now) {
			return
		}
		if w.Means != Bare && w.Policy.After > 0 && w.Stuck == "" && now.Sub(w.Follower.At) > daily {
			c.ask(ctx, now, w)
			left--
		}
	}
}
