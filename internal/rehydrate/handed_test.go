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
