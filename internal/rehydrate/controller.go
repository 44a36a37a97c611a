package rehydrate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"touchstone.dev/touchstone/internal/record"
)

// Runs tells what runs, and what the rules say of it.
type Runs interface {
	// Fleet returns everything that runs, as of one moment, with its policies. What
	// it leaves out counts as gone: it is whole, or an error.
	Fleet(context.Context) (*Fleet, Limits, error)
}

// Gate is asked about the very pod that would follow.
type Gate interface {
	// Ask says whether it would be let in and could run. At and Since are filled in
	// by whoever asks. An error says that nobody could be asked.
	Ask(context.Context, *Workload) (Follower, error)
}

// Hands replace what runs. Whatever they change carries the step's ID, by which they
// know their own again after a crash. Each method may be called again and again.
type Hands interface {
	// Look says how far the step is. It changes nothing. why tells people what keeps
	// it, where something does. It looks at what runs itself, and not at what was told
	// of it, which may be a moment old: a step has NotBegun only while what would be
	// taken away is no younger than Step.Started, and else it is Strange. That alone
	// is why nothing is replaced twice, whatever whoever plans has not seen yet.
	Look(context.Context, *Step) (stage Stage, why string, err error)
	// Begin begins. ErrChanged says that the object is not as it was when the step
	// was planned, ErrRefused that somebody does not let it be changed; then nothing
	// was changed.
	Begin(context.Context, *Step) error
	// Go goes on with what takes several moves. It is called while it is Going.
	Go(context.Context, *Step) error
	// Undo goes back to what was before; Look says Undone when it is.
	Undo(context.Context, *Step) error
}

// ErrChanged says that something is not as it was when a step was planned, ErrRefused
// that a replacement is not let: that counts as one that has failed.
var (
	ErrChanged = errors.New("changed in the meantime")
	ErrRefused = errors.New("refused")
)

// Lease says who of several may act.
type Lease interface {
	// Hold takes the lease, or keeps it, and reports whether it is held now. Until
	// it has been renewed in vain for as long as it lasts nobody else has it.
	Hold(context.Context) (bool, error)
	// Release gives it up.
	Release(context.Context) error
}

// Teller tells people who look at the cluster. It does not wait.
type Teller interface {
	Tell(of Identity, uid string, bad bool, what, text string)
}

// Config is what a Controller needs; Store, Runs, Gate, Hands and Lease are
// required.
type Config struct {
	Store record.Store
	Runs  Runs
	Gate  Gate
	Hands Hands
	Lease Lease
	Tell  Teller // nil for nobody
	// Cluster is the one whose workloads are replaced: the record may hold those of
	// others.
	Cluster string
	// DryRun plans, asks and measures, and does nothing.
	DryRun bool
	// Every is how often it plans; 15 seconds when zero.
	Every time.Duration
	// Patience is for how long what is new may be seen not to be ready before it is
	// put back; 15 minutes when zero.
	Patience time.Duration
	// Calm is for how long nothing is begun after the clock has jumped; 15 minutes
	// when zero.
	Calm time.Duration
	Log  *slog.Logger     // slog.Default when nil
	Now  func() time.Time // time.Now when nil
}

// Controller replaces what is due, while it holds the lease. It does one thing after
// the other, so that it may be used from one goroutine; Metrics may be asked from
// any.
type Controller struct {
	c      Config
	log    *slog.Logger
	loaded bool // the memory is that of the record
	memory map[Identity]*kept
	turn   uint64 // of the fact of the same name; zero where there is none
	asked  map[Identity]Follower
	rests  map[Identity]time.Time // when what was replaced lately was
	held   time.Time              // when the lease was asked for last
	last   time.Time              // of the last tick
	calm   time.Time              // until when nothing is begun
	dued   []Due                  // of the last plan
	*Metrics
}

// kept is a memory, and its fact in the record.
type kept struct {
	Memory
	seq uint64 // of the fact; zero where there is none
}

// New returns a Controller.
func New(c Config) *Controller {
	if c.Every <= 0 {
		c.Every = 15 * time.Second
	}
	if c.Patience <= 0 {
		c.Patience = 15 * time.Minute
	}
	if c.Calm <= 0 {
		c.Calm = 15 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Controller{c: c, log: c.Log, asked: map[Identity]Follower{}, rests: map[Identity]time.Time{}, Metrics: newMetrics(c.Now)}
}

// Run replaces what is due until the context ends. What is under way then goes on by
// itself, and is settled by whoever comes next.
func (c *Controller) Run(ctx context.Context) error {
	t := time.NewTicker(c.c.Every)
	defer t.Stop()
	for {
		if err := c.Tick(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("what is due for replacement could not be looked after; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return c.c.Lease.Release(release)
		case <-t.C:
		}
	}
}

// Tick does once what Run does again and again: settles what is under way, plans, and
// begins what is due.
func (c *Controller) Tick(ctx context.Context) error {
	now := c.c.Now()
	if held, err := c.hold(ctx); err != nil || !held {
		return err
	}
	if err := c.load(ctx, now); err != nil {
		return err
	}
	c.watchClock(now)
	if err := c.advanceAll(ctx, now); err != nil {
		c.failing(err)
		return err
	}
	fleet, limits, err := c.c.Runs.Fleet(ctx)
	if err != nil {
		c.failing(err)
		return err
	}
	return c.plan(ctx, now, fleet, limits)
}

// hold takes the lease, or keeps it.
func (c *Controller) hold(ctx context.Context) (bool, error) {
	if c.c.DryRun {
		return true, nil
	}
	held, err := c.c.Lease.Hold(ctx)
	c.held = c.c.Now()
	if held = held && err == nil; !held {
		c.loaded = false // somebody else may write meanwhile
	}
	c.leads(held)
	return held, err
}

// errLost says that somebody else may act by now.
var errLost = errors.New("the lease was lost; nothing more is done")

// still keeps the lease before each thing that is done, where everything else has
// taken its time: one tick may last longer than a lease.
func (c *Controller) still(ctx context.Context) error {
	const often = 5 * time.Second
	if since := c.c.Now().Sub(c.held); since >= 0 && since < often {
		return ctx.Err()
	}
	held, err := c.hold(ctx)
	if err == nil && !held {
		err = errLost
	}
	return err
}

// watchClock holds everything back for a while where the clock has jumped: nothing
// is replaced by a clock that somebody is about to put right again.
func (c *Controller) watchClock(now time.Time) {
	jump := now.Sub(c.last)
	if !c.last.IsZero() && (jump < -time.Minute || jump > max(10*c.c.Every, 10*time.Minute)) {
		c.calm = now.Add(c.c.Calm)
		c.log.Warn("the clock has jumped, or nobody looked for long: nothing is begun for a while", "by", jump, "until", c.calm)
	}
	if c.calm.After(now.Add(c.c.Calm)) {
		c.calm = now.Add(c.c.Calm) // it has jumped back
	}
	c.last = now
}

// plan plans, asks the gate about what is due, and does what the plan says then.
func (c *Controller) plan(ctx context.Context, now time.Time, f *Fleet, l Limits) error {
	const rounds = 50 // of asking: each settles as many as the budgets have room for
	c.recall(now, f)
	memory := c.memories(now)
	var all []Due
	for range rounds {
		all = Plan(now, f, memory, l)
		if !c.askAll(ctx, now, all) {
			break
		}
	}
	c.dued = all
	c.measure(now, all)
	if c.c.DryRun {
		return nil
	}
	if err := c.forget(ctx, f); err != nil {
		return err
	}
	for i := range all {
		if err := c.do(ctx, now, &all[i]); err != nil {
			return err
		}
	}
	c.lookAhead(ctx, now, f)
	return nil
}

// Dues returns the last plan.
func (c *Controller) Dues() []Due { return c.dued }

func (c *Controller) memories(now time.Time) map[Identity]*Memory {
	out := make(map[Identity]*Memory, len(c.memory))
	for i, k := range c.memory {
		out[i] = &k.Memory
	}
	for i, at := range c.rests {
		switch {
		case now.Sub(at) >= rest || at.After(now):
			delete(c.rests, i)
		case out[i] == nil:
			out[i] = &Memory{Rested: at}
		default:
			m := *out[i]
			m.Rested, out[i] = at, &m
		}
	}
	return out
}
