package rehydrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/storetest"
)

// teaches are hands that note what they are told to begin, and how that goes.
type teaches struct {
	shop
	told map[string]int
	err  error
}

func (h *teaches) Begin(_ context.Context, s *Step) error {
	h.told[s.ID]++
	return h.err
}

func (h *teaches) Undo(context.Context, *Step) error { return nil }

// A hook that was told of a step, and may have begun, is told of no other one after a
// crash until that has had its time; one that fails again and again is not told for
// ever, and neither is anybody who refuses.
func TestNoOtherStepWhileOneMayBeUnderWay(t *testing.T) {
	for _, test := range []struct {
		name  string
		means Means
		err   error
		tells int           // of the first step
		after time.Duration // which another follows
	}{
		{"a hook that has crashed", Handed, errors.New("killed"), 3, 80 * time.Minute},
		{"a refusal", Rollout, ErrRefused, 1, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := noon()
			h := &teaches{told: map[string]int{}, err: test.err}
			h.fleet.Workloads = []Workload{one("a", func(w *Workload) { w.Means = test.means })}
			store, held := storetest.Open(t), true
			var c *Controller
			for i := 0; len(h.told) < 2 && i < 120; i++ {
				if i < 4 { // whoever looks has begun anew
					c = New(Config{
						Store: store, Runs: h, Gate: h, Hands: h, Lease: lease{&held}, Cluster: "c", Every: time.Minute, Log: slog.New(slog.DiscardHandler),
						Now: func() time.Time { return now },
					})
				}
				if err := c.Tick(t.Context()); err != nil {
					t.Fatal(err)
				}
				now = now.Add(time.Minute)
			}
			if took := now.Sub(noon()); len(h.told) != 2 || took < test.after || took > test.after+5*time.Minute {
				t.Errorf("told %v, after %s", h.told, took)
			}
			for e, err := range store.Entries(t.Context(), record.EntryQuery{Kinds: []string{Kind}, Limit: 1}) {
				body, gone := store.Blob(t.Context(), e.Body)
				first, unread := ReadTold(body)
				if err := errors.Join(err, gone, unread); err != nil || first.What != Planned || h.told[first.Step.ID] != test.tells {
					t.Errorf("%+v was told %d times: %v", fmt.Sprint(first.What), h.told[first.Step.ID], err)
				}
			}
		})
	}
}

// slow is a gate that takes its time with each answer, or gives none.
type slow struct {
	teaches
	now  *time.Time
	took time.Duration
	err  error
}

func (s *slow) Ask(context.Context, *Workload) (Follower, error) {
	*s.now = s.now.Add(s.took)
	return Follower{Answer: Allowed}, s.err
}

// A gate that hangs holds up neither the lease nor what it has let follow, and that
// nobody could be asked is no verdict: the owner is not told to rebuild.
func TestAGateThatHangs(t *testing.T) {
	now := noon()
	g := &slow{teaches: teaches{told: map[string]int{}}, now: &now, took: 10 * time.Second}
	for i := range 20 {
		g.fleet.Workloads = append(g.fleet.Workloads, one(fmt.Sprint("w", i), func(w *Workload) { w.Follower = Follower{} }))
	}
	store, held := storetest.Open(t), true
	c := New(Config{Store: store, Runs: g, Gate: g, Hands: g, Lease: lease{&held}, Cluster: "c", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err := c.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := now.Sub(noon()); took > time.Minute || len(g.told) == 0 || len(g.told) > 4 {
		t.Errorf("%d have begun after %s", len(g.told), took)
	}
	g.err, g.took, g.told = errors.New("it hangs"), 0, map[string]int{}
	now = now.Add(2 * time.Minute)
	if err := c.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Dues() {
		if d.Hold != HoldRest && d.Hold != HoldNotAsked || d.Rebuild {
			t.Errorf("%s is held: %s", d.Workload, d.Hold)
		}
	}
	if len(g.told) > 4 {
		t.Errorf("%d have begun, and nobody was asked", len(g.told))
	}
}
