package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/guard/containerd"
)

// guarded is a guard that runs within the test.
type guarded struct {
	t     testing.TB
	dir   string // the data folder
	rules string // path of the rules
	pins  string
	local guard.Local
	log   lockedLog
	stop  func() // waits for its end

	mu     sync.Mutex
	events []touchstone.RuntimeEvent
}

var guards atomic.Int64

// newPins returns a folder for what the kernel keeps, which is removed in the end.
func newPins(t testing.TB) string {
	t.Helper()
	pins := fmt.Sprintf("/sys/fs/bpf/touchstone-trial-%d-%d", os.Getpid(), guards.Add(1))
	t.Cleanup(func() {
		if err := bpf.Remove(pins); err != nil {
			t.Error(err)
		}
	})
	return pins
}

// prepareGuard returns where a guard keeps things, and what it is started with.
func prepareGuard(t testing.TB, rules string, edit ...func(*guard.Config)) (*guarded, guard.Config) {
	t.Helper()
	needNode(t)
	dir, err := os.MkdirTemp(node.dir, "guard")
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{t: t, dir: filepath.Join(dir, "data"), rules: filepath.Join(dir, "touchstone.yaml"), pins: newPins(t)}
	g.write(rules)
	g.local.Socket = filepath.Join(dir, "guard.sock")
	c := guard.Config{
		Source: &guard.Files{Rules: g.rules, Every: 20 * time.Millisecond}, Node: "node-1", Data: g.dir, Socket: g.local.Socket, Pins: g.pins,
		KillNow: true, CanaryEvery: time.Hour, DriftEvery: time.Hour, Tool: "trial", Tell: g.take,
		Log: slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	for _, e := range edit {
		e(&c)
	}
	return g, c
}

// startGuard starts a guard by the rules and waits until it answers.
func startGuard(t testing.TB, rules string, edit ...func(*guard.Config)) *guarded {
	t.Helper()
	g, c := prepareGuard(t, rules, edit...)
	g.start(c)
	return g
}

func (g *guarded) start(c guard.Config) {
	g.t.Helper()
	runtime, err := containerd.Open(containerd.Config{Address: node.socket, Retry: 200 * time.Millisecond, Log: c.Log})
	if err != nil {
		g.t.Fatal(err)
	}
	if c.Runtime == nil {
		c.Runtime = runtime
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- guard.Run(ctx, c) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				g.t.Errorf("the guard ended: %v", err)
			}
		case <-time.After(30 * time.Second):
			g.t.Error("the guard does not end")
		}
		_ = runtime.Close()
	})
	g.t.Cleanup(func() {
		g.stop()
		if g.t.Failed() {
			g.t.Logf("the guard said\n%s", g.log.String())
		}
	})
	within(g.t, 30*time.Second, "the guard answers", func() bool {
		select {
		case err := <-done:
			done <- err
			g.t.Fatalf("the guard ended: %v", err)
		default:
		}
		_, err := g.local.Status(context.Background())
		return err == nil
	})
}

// write puts other rules in force, whole.
func (g *guarded) write(rules string) {
	g.t.Helper()
	text := "version: 1\nenvironments: [dev, prod]\n" + rules
	if err := os.WriteFile(g.rules+".new", []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(g.rules+".new", g.rules); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guarded) take(e *touchstone.RuntimeEvent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, *e)
}

// told returns the events that were told so far and fit.
func (g *guarded) told(fits func(*touchstone.RuntimeEvent) bool) []touchstone.RuntimeEvent {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []touchstone.RuntimeEvent
	for i := range g.events {
		if fits(&g.events[i]) {
			out = append(out, g.events[i])
		}
	}
	return out
}

// await waits for an event that fits, and returns the first.
func (g *guarded) await(what string, fits func(*touchstone.RuntimeEvent) bool) touchstone.RuntimeEvent {
	g.t.Helper()
	return g.awaitFor(20*time.Second, what, fits)
}

func (g *guarded) awaitFor(limit time.Duration, what string, fits func(*touchstone.RuntimeEvent) bool) touchstone.RuntimeEvent {
	g.t.Helper()
	var found []touchstone.RuntimeEvent
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found = g.told(fits); len(found) > 0 {
			return found[0]
		}
	}
	g.t.Fatalf("not told: %s; told\n%s", what, g.all())
	return touchstone.RuntimeEvent{}
}

// all lists what was told, for people.
func (g *guarded) all() string {
	var b strings.Builder
	for _, e := range g.told(func(*touchstone.RuntimeEvent) bool { return true }) {
		text, _ := json.Marshal(e)
		fmt.Fprintf(&b, "%.900s\n", text)
	}
	return b.String()
}

// watches waits until the guard knows the box and does what the rules say there:
// the action of run-unknown.
func (g *guarded) watches(b *box, action touchstone.Effect) {
	g.t.Helper()
	within(g.t, 30*time.Second, "the guard watches "+b.id, func() bool {
		s := g.subject(b)
		return s != nil && s.Manifest != "" && s.Actions[touchstone.RuleRunUnknown] == action
	})
}

func (g *guarded) status() *guard.Status {
	g.t.Helper()
	st, err := g.local.Status(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return st
}

func (g *guarded) subject(b *box) *guard.SubjectStatus {
	st := g.status()
	i := slices.IndexFunc(st.Subjects, func(s guard.SubjectStatus) bool { return s.Running.ID == b.id })
	if i < 0 {
		return nil
	}
	return &st.Subjects[i]
}

// ofRun fits events about something executed in the box whose path ends so.
func ofRun(b *box, end string) func(*touchstone.RuntimeEvent) bool {
	end = strings.TrimPrefix(end, "/")
	return func(e *touchstone.RuntimeEvent) bool {
		return e.Kind == touchstone.EventRunUnknown && e.Running.ID == b.id && e.Execution != nil && strings.HasSuffix(e.Execution.Path, end)
	}
}

// ofKind fits events of a kind about the box.
func ofKind(b *box, kind touchstone.RuntimeEventKind) func(*touchstone.RuntimeEvent) bool {
	return func(e *touchstone.RuntimeEvent) bool { return e.Kind == kind && e.Running.ID == b.id }
}

// trouble fits events about the guard itself that say this.
func trouble(text string) func(*touchstone.RuntimeEvent) bool {
	return func(e *touchstone.RuntimeEvent) bool {
		return e.Kind == touchstone.EventGuard && strings.Contains(e.Trouble, text)
	}
}

// without has the guard work without layers.
func without(layers ...string) func(*guard.Config) {
	return func(c *guard.Config) { c.Without = layers }
}

// clock is one that a test sets.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) pass(d time.Duration)  { c.ahead.Add(int64(d)) }
func (c *clock) runs(to *guard.Config) { to.Now = c.now; to.Source.(*guard.Files).Now = c.now }

// has reports whether a step was done, without a problem.
func has(steps []touchstone.Step, do touchstone.Deed, layer string) bool {
	return slices.ContainsFunc(steps, func(s touchstone.Step) bool { return s.Do == do && s.Layer == layer && s.Problem == "" })
}
