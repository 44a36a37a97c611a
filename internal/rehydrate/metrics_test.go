package rehydrate

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"touchstone.dev/touchstone/internal/storetest"
)

// shop is a fleet of which one is young, one due and one past its deadline, with hands
// that do what the test says.
type shop struct {
	fleet Fleet
	stage Stage
}

func (s *shop) Fleet(context.Context) (*Fleet, Limits, error) {
	f := Fleet{Workloads: append([]Workload(nil), s.fleet.Workloads...)}
	return &f, Limits{}, nil
}
func (s *shop) Ask(context.Context, *Workload) (Follower, error) {
	return Follower{Answer: Allowed}, nil
}
func (s *shop) Look(context.Context, *Step) (Stage, string, error) { return s.stage, "", nil }
func (s *shop) Begin(context.Context, *Step) error                 { s.stage = Going; return nil }
func (s *shop) Go(context.Context, *Step) error                    { return nil }
func (s *shop) Undo(context.Context, *Step) error                  { s.stage = Undone; return nil }

// What somebody scrapes says how old what runs is, what is late, what holds it, and
// how long replacing has taken.
func TestWhatIsScraped(t *testing.T) {
	now := noon()
	p := &Policy{After: 7 * day, Deadline: 20 * day}
	aged := func(name string, days time.Duration, change func(*Workload)) Workload {
		return one(name, func(w *Workload) {
			w.Policy, w.Started, w.Follower = p, now.Add(-days*day), Follower{}
			if change != nil {
				change(w)
			}
		})
	}
	s := &shop{fleet: Fleet{Workloads: []Workload{
		aged("young", 1, nil), aged("due", 8, nil), aged("late", 25, func(w *Workload) { w.Means = Bare }), aged("never", 100, func(w *Workload) { w.Policy = &Policy{} }),
	}}}
	held := true
	c := New(Config{
		Store: storetest.Open(t), Runs: s, Gate: s, Hands: s, Lease: lease{&held}, Cluster: "c", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	})
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c.Metrics)
	server := httptest.NewServer(promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer server.Close()
	scraped := func(want ...string) {
		t.Helper()
		answer, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }() // it was read
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", answer.Status, text, err)
		}
		for _, line := range want {
			if !strings.Contains("\n"+string(text), "\ntouchstone_rehydration_"+line+"\n") {
				t.Errorf("it does not say %s", line)
			}
		}
		if t.Failed() {
			t.Fatalf("%s", text)
		}
	}
	tick := func() {
		t.Helper()
		if err := c.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	scraped("leader 0")
	tick()
	scraped("leader 1", `age_days_bucket{le="1"} 1`, `age_days_bucket{le="7"} 1`, `age_days_bucket{le="10"} 2`, `age_days_bucket{le="30"} 3`, `age_days_bucket{le="+Inf"} 4`,
		"age_days_sum 134", "age_days_count 4", "due 2", "overdue 1", `held{by="bare pod"} 1`, "plan_age_seconds 0", "seconds_count 0")
	now = now.Add(90 * time.Second)
	scraped("plan_age_seconds 90")
	tick()
	scraped("under_way 1", "due 1")
	s.stage, s.fleet.Workloads[1].Started = Ready, now
	tick()
	scraped(`replaced_total{why="age"} 1`, "seconds_count 1", "seconds_sum 90", `seconds_bucket{le="60"} 0`, `seconds_bucket{le="120"} 1`, "under_way 0", `age_days_bucket{le="1"} 1`)
	s.stage, s.fleet.Workloads[0].Started = NotBegun, now.Add(-9*day)
	now = now.Add(2 * time.Minute)
	tick()
	s.stage = Stuck
	now = now.Add(time.Minute)
	tick()
	now = now.Add(time.Minute)
	tick()
	scraped(`unfinished_total{what="back"} 1`, `held{by="failed before"} 1`, "seconds_count 1")
	held = false
	tick()
	scraped("leader 0")
}
