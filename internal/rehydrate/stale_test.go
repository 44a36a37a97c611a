package rehydrate

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/storetest"
)

// Whoever takes over just after something was replaced, and is told of what runs as it
// was before that, replaces it no second time: within the rest because the record says
// that it was replaced, and after that because the hands look for themselves.
func TestWhoeverTakesOverRepeatsNothing(t *testing.T) {
	store, n := storetest.Open(t), 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		began := noon().Add(time.Duration(n) * day) // each finds its own entries alone
		y := &yard{t: r, now: began, begun: map[string]int{}}
		w := one("w", nil)
		w.Cluster, w.Started = fmt.Sprint("c", n), began.Add(-8*day)
		y.objects = []*object{{Workload: w}}
		held := true
		controller := func() *Controller {
			return New(Config{
				Store: store, Runs: y, Gate: y, Hands: y, Lease: lease{&held}, Tell: y, Cluster: w.Cluster, Now: y.clock,
				Log: slog.New(slog.DiscardHandler),
			})
		}
		c := controller()
		tick := func() {
			if err := c.Tick(t.Context()); err != nil {
				r.Fatal(err)
			}
		}
		tick()
		y.stale = true
		for range 10 { // until it has settled that it is done
			y.now = y.now.Add(time.Minute)
			y.objects[0].fails = false
			y.settled()
			tick()
		}
		if len(y.begun) != 1 || y.objects[0].Started.Before(began) {
			r.Fatalf("it began %d times, and runs since %s", len(y.begun), y.objects[0].Started)
		}
		for range 20 {
			c = controller()
			y.now = y.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, time.Minute}).Draw(r, "later"))
			tick()
		}
		if len(y.begun) != 1 {
			r.Fatalf("it was replaced %d times", len(y.begun))
		}
		planned := 0
		for e, err := range store.Entries(t.Context(), record.EntryQuery{Kinds: []string{Kind}, About: w.Key()}) {
			if err != nil {
				r.Fatal(err)
			}
			body, err := store.Blob(t.Context(), e.Body)
			if err != nil {
				r.Fatal(err)
			}
			if told, err := ReadTold(body); err != nil || told.What == Planned {
				planned++
			}
		}
		if planned != 1 {
			r.Fatalf("it was planned %d times", planned)
		}
	})
}
