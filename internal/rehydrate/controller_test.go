package rehydrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/storetest"
)

var errCrash = errors.New("crash")

// yard is a cluster in memory, with hands that work in it. What happens to an object
// is decided when it begins, and takes time.
type yard struct {
	t        *rapid.T
	now      time.Time
	objects  []*object
	away     bool // nobody answers
	stranger bool // somebody changes what is planned
	stale    bool // what is told of what runs is of the moment before
	told     []Workload
	begun    map[string]int
}

type object struct {
	Workload
	step  string // whose replacement is under way
	done  time.Time
	fails bool
	rolls bool      // it is not done yet
	back  time.Time // when it was put back last
}

// clock is one that goes on while things are done.
func (y *yard) clock() time.Time {
	y.now = y.now.Add(time.Millisecond)
	return y.now
}

func (y *yard) find(i Identity) *object {
	at := slices.IndexFunc(y.objects, func(o *object) bool { return o.Identity == i })
	if at < 0 {
		return nil
	}
	return y.objects[at]
}

func (y *yard) Fleet(context.Context) (*Fleet, Limits, error) {
	if y.away {
		return nil, Limits{}, errors.New("the cluster does not answer")
	}
	if !y.stale {
		y.told = nil
		for _, o := range y.objects {
			y.told = append(y.told, o.Workload)
		}
	}
	f := &Fleet{Workloads: slices.Clone(y.told)}
	for i := range f.Workloads { // one watch may lag behind another
		f.Workloads[i].State = y.find(f.Workloads[i].Identity).State
	}
	return f, Limits{}, nil
}

// Tell notices what is planned of what is young.
func (y *yard) Tell(of Identity, _ string, _ bool, what, _ string) {
	if o := y.find(of); what == string(Planned) && y.now.Sub(o.Started) < 8*hour {
		y.t.Fatalf("%s is replaced again: it runs since %s, and it is %s", of, o.Started, y.now)
	}
}

func (y *yard) Ask(context.Context, *Workload) (Follower, error) {
	return Follower{Answer: Allowed}, nil
}

func (y *yard) Look(_ context.Context, s *Step) (Stage, string, error) {
	o := y.find(s.Of)
	switch {
	case y.away:
		return NotBegun, "", errors.New("the cluster does not answer")
	case o == nil:
		return Gone, "", nil
	case o.step == "" && s.Undoing != "":
		return Undone, "", nil
	case o.step != s.ID && (s.Undoing != "" || o.State != s.Before):
		return Strange, "somebody else replaces it", nil
	case o.step != s.ID && s.Younger(o.Started):
		return Strange, "it is young", nil
	case o.step != s.ID:
		return NotBegun, "", nil
	case o.rolls:
		return Going, "", nil
	case o.fails:
		return Stuck, "it crashes", nil
	default:
		return Ready, "", nil
	}
}

func (y *yard) Begin(_ context.Context, s *Step) error {
	o := y.find(s.Of)
	switch {
	case y.away:
		return errors.New("the cluster does not answer")
	case o.UID != s.UID || s.Before != o.State || y.stranger:
		return ErrChanged
	case o.step == s.ID:
		return nil
	}
	for _, other := range y.objects {
		if other.rolls && slices.ContainsFunc(other.Services, func(v string) bool { return slices.Contains(o.Services, v) }) {
			y.t.Fatalf("%s begins while %s of the same service is replaced", o, other)
		}
	}
	if s.Younger(o.Started) {
		y.t.Fatalf("%s is replaced again: it runs since %s, and it is %s", o, o.Started, y.now)
	}
	if since := y.now.Sub(o.back); since >= 0 && since < hour-2*time.Minute {
		y.t.Fatalf("%s is tried again %s after it was put back", o, since)
	}
	y.begun[s.ID]++
	o.step, o.State, o.rolls = s.ID, s.ID, true
	o.done = y.now.Add(time.Duration(rapid.IntRange(1, 8).Draw(y.t, "takes minutes")) * time.Minute)
	o.fails = rapid.IntRange(0, 5).Draw(y.t, "it fails") == 0
	return nil
}

func (y *yard) Go(context.Context, *Step) error { return nil }

func (y *yard) Undo(_ context.Context, s *Step) error {
	if y.away {
		return errors.New("the cluster does not answer")
	}
	if o := y.find(s.Of); o.step == s.ID {
		o.step, o.rolls, o.back = "", false, y.now
	}
	return nil
}

// lease is held by everybody who is let.
type lease struct{ held *bool }

func (l lease) Hold(context.Context) (bool, error) { return *l.held, nil }
func (l lease) Release(context.Context) error      { return nil }

// crashing is a record whose process dies before or after a write.
type crashing struct {
	record.Store
	before, after bool
}

func (c *crashing) Commit(ctx context.Context, changes ...record.Change) ([]record.Entry, error) {
	if c.before {
		panic(errCrash)
	}
	entries, err := c.Store.Commit(ctx, changes...)
	if c.after {
		panic(errCrash)
	}
	return entries, err
}

// dying are hands whose process dies once they have done something.
type dying struct {
	*yard
	begins *bool
}

func (d dying) Begin(ctx context.Context, s *Step) error {
	err := d.yard.Begin(ctx, s)
	if *d.begins {
		panic(errCrash)
	}
	return err
}

// Whatever dies when, whoever else acts, whatever the clock and the cluster do: no
// step is done twice, none is lost, and all is replaced in the end.
func TestNoStepIsRepeatedOrLost(t *testing.T) {
	store := storetest.Open(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		name := fmt.Sprint("c", n)
		start := noon().Add(time.Duration(n) * 30 * day) // each finds its own entries alone
		y := &yard{t: r, now: start, begun: map[string]int{}}
		p := &Policy{After: day, Deadline: 9 * day}
		for i := range rapid.IntRange(1, 5).Draw(r, "objects") {
			y.objects = append(y.objects, &object{Workload: Workload{
				Identity: Identity{name, "shop", "Deployment", fmt.Sprint("w", i)}, UID: fmt.Sprint(i), Policy: p, State: "as it was",
				Started: start.Add(-2 * day), Pods: 2, Ready: 2, Wanted: 2, Services: []string{fmt.Sprint("shop/", i%2)},
			}})
		}
		begins := false
		var all []*Controller
		var stores []*crashing
		var leads []*bool
		open := func() {
			held := true
			s := &crashing{Store: store}
			all = append(all, New(Config{
				Store: s, Runs: y, Gate: y, Hands: dying{y, &begins}, Lease: lease{&held}, Tell: y, Cluster: name, Now: y.clock,
				Log: slog.New(slog.DiscardHandler),
			}))
			stores, leads = append(stores, s), append(leads, &held)
		}
		open()
		tick := func(i int) {
			defer func() {
				v := recover()
				if err, ok := v.(error); ok && errors.Is(err, errCrash) { // its memory is gone with it
					all, stores, leads = slices.Delete(all, i, i+1), slices.Delete(stores, i, i+1), slices.Delete(leads, i, i+1)
					open()
				} else if v != nil {
					panic(v)
				}
			}()
			_ = all[i].Tick(t.Context()) // it says so, and tries again
		}
		for range rapid.IntRange(5, 40).Draw(r, "ticks") {
			event := rapid.SampledFrom([]string{"", "", "", "before", "after", "begun", "away", "back", "another", "loses", "stranger", "stale", "stale", "fresh", "jump", "backwards"}).Draw(r, "event")
			at := rapid.IntRange(0, len(all)-1).Draw(r, "who")
			switch event {
			case "before", "after":
				stores[at].before, stores[at].after = event == "before", event == "after"
			case "begun":
				begins = true
			case "away":
				y.away = true
			case "back":
				y.away, y.stranger = false, false
			case "another":
				if len(all) < 2 {
					open()
				}
			case "loses":
				*leads[at] = !*leads[at]
			case "stranger":
				y.stranger = true
			case "stale", "fresh":
				y.stale = event == "stale" && y.told != nil
			case "jump":
				y.now = y.now.Add(2 * hour)
			case "backwards":
				y.now = y.now.Add(-hour)
				for _, o := range y.objects { // how long that is ago nobody can tell any more
					o.back = time.Time{}
				}
			}
			tick(at)
			begins = false
			for _, s := range stores {
				s.before, s.after = false, false
			}
			y.now = y.now.Add(time.Minute)
			y.settled()
		}
		// Then all is well for a while, and everything becomes young.
		y.away, y.stranger, y.stale = false, false, false
		all, stores, leads = nil, nil, nil
		open()
		begun := y.now
		for range 60 * 10 {
			tick(0)
			y.now = y.now.Add(time.Minute)
			y.settled()
			for _, o := range y.objects {
				o.fails = false
			}
		}
		for _, o := range y.objects {
			if o.Started.Before(begun.Add(-20 * hour)) {
				r.Fatalf("%s was not replaced; it began %s and it is %s; %v", o, o.Started, y.now, all[0].memory[o.Identity])
			}
		}
		for id, times := range y.begun {
			if times != 1 {
				r.Fatalf("the step %s was done %d times", id, times)
			}
		}
		for i, k := range all[0].memory {
			if k.Step != nil && y.now.Sub(k.Step.Planned) > hour {
				r.Fatalf("the step of %s is under way since %s", i, k.Step.Planned)
			}
		}
	})
}

// settled makes what was replaced like any other.
func (y *yard) settled() {
	for _, o := range y.objects {
		if o.rolls && !y.now.Before(o.done) {
			if o.rolls = false; !o.fails {
				o.Started = o.done
			}
		}
		if o.step != "" && y.now.Sub(o.done) > 5*time.Hour {
			o.step = "" // nobody knows any more by whom
		}
	}
}
