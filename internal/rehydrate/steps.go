package rehydrate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"touchstone.dev/touchstone/internal/record"
)

// Kind is that of the controller's facts, a Memory under each workload's key, and of
// its entries, each a Told. kindTurn is that of one fact for each cluster, which
// every write replaces: of two controllers by mistake, each of which knows of its own
// steps alone, the second to write finds that it does not know everything.
const (
	Kind     = "rehydration"
	kindTurn = "rehydration-turn"
)

// SchemaTold is that of a Told.
const SchemaTold = "touchstone.dev/rehydration/v1"

const self = "touchstone"

// Told is what has happened to a workload. It is the body of an entry.
type Told struct {
	Schema string   `json:"schema"`
	What   What     `json:"what"`
	Of     Identity `json:"of"`
	UID    string   `json:"uid,omitempty"` // of the very object
	Owner  string   `json:"owner,omitempty"`
	Why    string   `json:"why,omitempty"` // for people
	Step   *Step    `json:"step,omitempty"`
	// Took is how long it took, in seconds, for what was replaced.
	Took float64 `json:"took,omitempty"`
	// Deadline is when it is replaced regardless, for what is announced.
	Deadline time.Time `json:"deadline,omitzero"`
}

// ReadTold reads the body of an entry of Kind.
func ReadTold(body []byte) (t Told, err error) {
	if err := json.Unmarshal(body, &t); err != nil {
		return t, fmt.Errorf("reading what was told of a rehydration: %w", err)
	}
	return t, nil
}

// What has happened.
type What string

// What may have happened.
const (
	Planned   What = "planned"    // it is about to be done
	GoingBack What = "going back" // what is new did not become ready
	Replaced  What = "replaced"
	Back      What = "back"      // it is as it was before
	Abandoned What = "abandoned" // somebody else has changed it, or it is gone
	Announced What = "announced" // that its deadline nears
	InTheWay  What = "in the way"
	Stopped   What = "stopped"
	Forgotten What = "forgotten" // it does not run any more
)

// say tells of it in the log of the process, and to who looks at the cluster.
func (c *Controller) say(t *Told) {
	bad := t.What == GoingBack || t.What == Back || t.What == InTheWay || t.What == Announced || t.What == Stopped
	attrs := []any{"workload", t.Of.String(), "what", string(t.What), "why", t.Why, "owner", t.Owner}
	if bad {
		c.log.Warn("rehydration", attrs...)
	} else {
		c.log.Info("rehydration", attrs...)
	}
	if c.c.Tell != nil {
		text := t.Why
		if t.What == Replaced {
			text += fmt.Sprintf("; it took %s", time.Duration(t.Took*float64(time.Second)).Round(time.Second))
		}
		c.c.Tell.Tell(t.Of, t.UID, bad, string(t.What), text)
	}
}

// advanceAll advances everything that is under way, the oldest step first.
func (c *Controller) advanceAll(ctx context.Context, now time.Time) error {
	var open []*Step
	for _, k := range c.memory {
		if k.Step != nil {
			open = append(open, k.Step)
		}
	}
	if c.c.DryRun || len(open) == 0 {
		return nil
	}
	if err := c.mine(ctx); err != nil {
		return err
	}
	slices.SortFunc(open, func(a, b *Step) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range open {
		if err := c.still(ctx); err != nil {
			return err
		}
		if err := c.advance(ctx, s.Of, c.memory[s.Of], now); err != nil {
			return err
		}
	}
	return nil
}

// advance looks how far a step is, and does what comes next. It returns only what
// keeps everything from going on.
func (c *Controller) advance(ctx context.Context, i Identity, k *kept, now time.Time) error {
	m := k.Memory
	step := *m.Step
	m.Step = &step
	stage, why, err := c.c.Hands.Look(ctx, &step)
	if err != nil {
		c.log.Warn("nobody can tell how far a replacement is; it is looked again", "workload", i.String(), "error", err)
		return ctx.Err()
	}
	if !step.Looked.IsZero() { // time in which nobody could look is no wait
		step.Waited += min(max(now.Sub(step.Looked), 0), 2*c.c.Every)
	}
	step.Looked, step.Stage = now, stage
	k.Memory = m
	if step.Undoing != "" {
		return c.goBack(ctx, i, m, stage, why, now)
	}
	switch {
	case stage == Ready:
		return c.settle(ctx, i, m, now)
	case stage == Gone || stage == Strange:
		return c.end(ctx, i, m, Abandoned, why, now)
	case stage == NotBegun && !(step.Means == Handed && step.old(now)):
		return c.begin(ctx, i, m, now)
	case stage == Stuck, step.Waited > c.c.Patience:
		if why == "" {
			why = fmt.Sprintf("it was not ready after %s", step.Waited.Round(time.Second))
		}
		step.Undoing, step.Waited = why, 0
		if err := c.write(ctx, m, Told{What: GoingBack, Of: i, UID: step.UID, Owner: step.Owner, Why: why, Step: &step}); err != nil {
			return err
		}
		return c.handed(ctx, i, c.c.Hands.Undo(ctx, &step))
	default:
		return c.handed(ctx, i, c.c.Hands.Go(ctx, &step))
	}
}

// old reports whether a step was written down so long ago that its hour, and the gate's
// answer, may be past.
func (s *Step) old(now time.Time) bool {
	const most = 2 * time.Minute
	age := now.Sub(s.Planned)
	return age > most || age < -most
}

// begin has the hands begin what is written down. What is old and has never begun is
// planned anew. Not so what is handed to a hook: nobody knows whether it was told of
// before a crash, or while it failed, and another step would tell it once more.
func (c *Controller) begin(ctx context.Context, i Identity, m Memory, now time.Time) error {
	step := m.Step
	if step.old(now) {
		return c.end(ctx, i, m, Abandoned, "it was planned and never begun", now)
	}
	switch err := c.c.Hands.Begin(ctx, step); {
	case errors.Is(err, ErrChanged):
		return c.end(ctx, i, m, Abandoned, err.Error(), now)
	case errors.Is(err, ErrRefused):
		return c.end(ctx, i, m, Back, err.Error(), now)
	default:
		return c.handed(ctx, i, err)
	}
}

// handed logs what hands could not do; it is tried again.
func (c *Controller) handed(ctx context.Context, i Identity, err error) error {
	if err != nil && ctx.Err() == nil {
		c.failing(err)
		c.log.Warn("a replacement does not go on; it is tried again", "workload", i.String(), "error", err)
	}
	return ctx.Err()
}

// goBack settles what is put back.
func (c *Controller) goBack(ctx context.Context, i Identity, m Memory, stage Stage, why string, now time.Time) error {
	switch stage {
	case Undone, Gone, NotBegun:
		return c.end(ctx, i, m, Back, m.Step.Undoing, now)
	case Strange:
		return c.end(ctx, i, m, Abandoned, m.Step.Undoing+"; then "+why, now)
	default:
		if m.Step.Waited > c.c.Patience {
			return c.end(ctx, i, m, Back, m.Step.Undoing+"; and what was there before is not ready either: "+why, now)
		}
		return c.handed(ctx, i, c.c.Hands.Undo(ctx, m.Step))
	}
}

// settle ends a step that has done what it should.
func (c *Controller) settle(ctx context.Context, i Identity, m Memory, now time.Time) error {
	step := m.Step
	took := max(now.Sub(step.Planned), 0)
	what := Replaced
	after := Memory{}
	if step.Deed == Stop {
		what, after.Stopped = Stopped, now
	}
	if err := c.write(ctx, after, Told{What: what, Of: i, UID: step.UID, Owner: step.Owner, Why: step.Reason, Step: step, Took: took.Seconds()}); err != nil {
		return err
	}
	delete(c.asked, i)
	c.rests[i] = now
	c.replaced(step, took)
	return nil
}

// end ends a step that has not done what it should. What is put back, or held for
// too long, counts as a failure, at the moment by which it is planned next: what has
// failed after that moment would not hold.
func (c *Controller) end(ctx context.Context, i Identity, m Memory, what What, why string, now time.Time) error {
	step := m.Step
	m.Step = nil
	if what == Back {
		m.Failed, m.FailedAt, m.Problem = m.Failed+1, now, why
	} else {
		c.rests[i] = now
	}
	delete(c.asked, i)
	c.ended(what)
	return c.write(ctx, m, Told{What: what, Of: i, UID: step.UID, Owner: step.Owner, Why: why, Step: step})
}

// forget forgets workloads that are gone.
func (c *Controller) forget(ctx context.Context, f *Fleet) error {
	there := make(map[Identity]bool, len(f.Workloads))
	for i := range f.Workloads {
		there[f.Workloads[i].Identity] = true
	}
	for i := range c.asked {
		if !there[i] {
			delete(c.asked, i)
		}
	}
	for _, i := range slices.SortedFunc(maps.Keys(c.memory), func(a, b Identity) int { return cmp.Compare(a.Key(), b.Key()) }) {
		if there[i] || c.memory[i].Step != nil {
			continue
		}
		if err := c.write(ctx, Memory{}, Told{What: Forgotten, Of: i, Why: "it does not run any more"}); err != nil {
			return err
		}
	}
	return nil
}

// do does what the plan says of one workload.
func (c *Controller) do(ctx context.Context, now time.Time, d *Due) error {
	w := d.Workload
	m := Memory{}
	if k := c.memory[w.Identity]; k != nil {
		m = k.Memory
	}
	switch {
	case d.Announce:
		m.Announced, m.Deadline = now, d.Hard
		text := fmt.Sprintf("it is replaced regardless from %s on, or %s after this: %s", d.Hard.UTC().Format(time.RFC3339), w.Policy.announce(), d.short())
		if err := c.write(ctx, m, Told{What: Announced, Of: w.Identity, UID: w.UID, Owner: w.Owner, Why: text, Deadline: d.Hard}); err != nil {
			return err
		}
	case d.inTheWay():
		told := fmt.Sprintf("%s %d", d.Hold, w.Started.Unix())
		if m.Told == told {
			return nil
		}
		m.Told = told
		return c.write(ctx, m, Told{What: InTheWay, Of: w.Identity, UID: w.UID, Owner: w.Owner, Why: "due for " + d.because(now) + "; " + d.short()})
	}
	if (d.Do != Replace && d.Do != Stop) || now.Before(c.calm) || ctx.Err() != nil {
		return nil
	}
	if err := c.still(ctx); err != nil {
		return err
	}
	return c.propose(ctx, now, d, m)
}

// propose begins what is planned, if it is still so: what the plan was made of may
// have been told a moment ago.
func (c *Controller) propose(ctx context.Context, now time.Time, d *Due, m Memory) error {
	w, why := d.Workload, d.because(now)
	step := &Step{
		ID: record.NewID(now), Of: w.Identity, UID: w.UID, Deed: d.Do, Why: d.Why, Reason: why, Means: w.Means, Owner: w.Owner, Forced: d.Forced, Started: w.began(now),
		Planned: now, Takes: w.Takes, Services: w.Services, Guards: w.Guards, Before: w.State,
	}
	switch stage, why, err := c.c.Hands.Look(ctx, step); {
	case err != nil:
		return c.handed(ctx, w.Identity, err)
	case stage != NotBegun:
		c.rests[w.Identity] = now
		c.log.Info("what is due is not as it was told; it is planned anew", "workload", w.String(), "why", why)
		return ctx.Err()
	}
	m.Step = step
	if err := c.write(ctx, m, Told{What: Planned, Of: w.Identity, UID: w.UID, Owner: w.Owner, Why: why, Step: step}); err != nil {
		return err
	}
	return c.begin(ctx, w.Identity, m, now)
}

// inTheWay reports whether people must do something before it can be replaced.
func (d *Due) inTheWay() bool {
	switch d.Hold {
	case HoldStuck, HoldBare, HoldSingle, HoldStrategy, HoldGuard, HoldGate, HoldRebuild:
		return true
	default:
		return d.Rebuild && d.Hold == HoldNone && d.Do == Wait
	}
}

// short says what holds it, in UTC.
func (d *Due) short() string {
	if d.Hold == HoldNone && d.Rebuild {
		return "rebuild, then redeploy: its image is too old"
	}
	return d.held(func(t time.Time) string { return t.UTC().Format(time.RFC3339) })
}
