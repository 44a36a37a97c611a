package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
)

const kills = "rules:\n  run-unknown: {others: kill}\n  run-unjudged: {others: block}\n"

func readWhole(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A rule that kills stops the container soon, and what was found is kept before.
func TestKill(t *testing.T) {
	needNode(t)
	const many = 30
	list := make([]*box, many)
	var group sync.WaitGroup
	room := make(chan struct{}, 3)
	for i := range list {
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			list[i] = newSmallBox(t)
		})
	}
	group.Wait()
	g := startGuard(t, kills+"guard: {most-stops: 1000, keep-files: 1MB}\n")
	var took []time.Duration
	for _, b := range list {
		g.watches(b, touchstone.EffectKill)
		first := slices.Min(b.pids())
		begun := time.Now()
		go b.do("/volume/unknown")
		within(t, 20*time.Second, b.id+" is stopped", func() bool { s := state(first); return s == 0 || s == 'Z' || s == 'X' })
		took = append(took, time.Since(begun))
		e := g.await("its stop", ofRun(b, "volume/unknown"))
		if e.Action != touchstone.EffectKill || !has(e.Steps, touchstone.DeedStopped, "runtime") {
			t.Errorf("%s: action %s, steps %+v", b.id, e.Action, e.Steps)
		}
		if b == list[0] {
			kept := filepath.Join(g.dir, "evidence", e.ID)
			if got, want := readWhole(t, filepath.Join(kept, "file")), readWhole(t, filepath.Join(b.volume, "unknown")); got != want {
				t.Error("what was executed was not kept as it was")
			}
			if text := readWhole(t, filepath.Join(kept, "event.json")); !strings.Contains(text, "volume/unknown") || !strings.Contains(text, string(e.Execution.SHA256)) {
				t.Errorf("kept: %s", text)
			}
		}
	}
	slices.Sort(took)
	t.Logf("from the order to run it until the container had stopped: p50 %s, p99 %s of %d", took[many/2], took[many-1], many)
	if limit := 2 * time.Second; took[many-1] > limit { // the figure is 200 ms on a machine that does nothing else; see make bench
		t.Errorf("p99 %s, want at most %s", took[many-1], limit)
	}
	if ran := g.told(func(e *touchstone.RuntimeEvent) bool { return e.Kind == touchstone.EventGuard }); len(ran) > 0 {
		t.Errorf("told of itself: %+v", ran)
	}
}

// No more than the allowed number are stopped in a minute; the rest is left running,
// and told.
func TestDisarmer(t *testing.T) {
	var c clock
	list := []*box{newSmallBox(t), newSmallBox(t), newSmallBox(t), newSmallBox(t)}
	g := startGuard(t, kills+"guard: {most-stops: 2}\n", c.runs)
	for i, b := range list {
		g.watches(b, touchstone.EffectKill)
		if o := b.order(order{Args: []string{"/volume/unknown"}}); o.Code == ranUnknown {
			t.Errorf("%s", o)
		}
		e := g.await("it", ofRun(b, "volume/unknown"))
		if stopped := has(e.Steps, touchstone.DeedStopped, "runtime"); stopped != (i < 2) {
			t.Errorf("%d: %+v", i, e.Steps)
		}
		if i < 2 {
			within(t, 5*time.Second, "it is stopped", func() bool { return !b.running() })
		} else if !b.running() || !strings.Contains(fmt.Sprint(e.Steps), "too many") {
			t.Errorf("%d runs %t: %+v", i, b.running(), e.Steps)
		}
	}
	c.pass(2 * time.Minute)
	b := list[3]
	go b.act("fd", "/volume/unknown")
	within(t, 20*time.Second, "it is stopped in another minute", func() bool { return !b.running() })
}

// A rule that kills blocks until it was watched for long enough without a case.
func TestProbation(t *testing.T) {
	var c clock
	b := newSmallBox(t)
	g := startGuard(t, kills+"guard: {dry-run: 7d}\n", c.runs, func(c *guard.Config) { c.KillNow = false })
	g.watches(b, touchstone.EffectBlock)
	if o := b.do("/volume/unknown"); o.Code == ranUnknown {
		t.Errorf("%s", o)
	}
	e := g.await("it", ofRun(b, "volume/unknown"))
	if e.Action != touchstone.EffectKill && e.Action != touchstone.EffectBlock || !strings.Contains(fmt.Sprint(e.Steps), "kills from") || !b.running() {
		t.Errorf("%s %+v", e.Action, e.Steps)
	}
	c.pass(6 * 24 * time.Hour)
	if o := b.act("fd", "/volume/unknown"); o.Code == ranUnknown || !b.running() {
		t.Errorf("after six days: %s, running %t", o, b.running())
	}
	c.pass(6 * 24 * time.Hour) // the case six days ago has begun the watch anew
	if o := b.act("fd", "/volume/unknown"); o.Code == ranUnknown || !b.running() {
		t.Errorf("six days after a case: %s, running %t", o, b.running())
	}
	c.pass(8 * 24 * time.Hour)
	g.watches(b, touchstone.EffectKill)
	go b.do("/volume/unknown")
	within(t, 20*time.Second, "it is stopped after eight clean days", func() bool { return !b.running() })
}

// Within the grace period it runs and is told; then it is stopped.
func TestGrace(t *testing.T) {
	var c clock
	b := newSmallBox(t)
	g := startGuard(t, "rules:\n  run-unknown: {others: block, grace: 5m}\n", c.runs)
	g.watches(b, touchstone.EffectAlert)
	if o := b.do("/volume/unknown"); o.Code != ranUnknown {
		t.Errorf("%s", o)
	}
	g.await("an alert", ofRun(b, "volume/unknown"))
	c.pass(6 * time.Minute)
	g.watches(b, touchstone.EffectBlock)
	if o := b.do("/volume/unknown"); o.Code == ranUnknown {
		t.Errorf("after the grace period: %s", o)
	}
}

// A waiver lets run what it names, until it lapses.
func TestWaivers(t *testing.T) {
	b := newSmallBox(t)
	for _, name := range []string{"path", "digest"} {
		for mode, layers := range map[string][]string{"both": nil, "bpf": {"fanotify"}} {
			t.Run(name+" "+mode, func(t *testing.T) {
				var c clock
				g, config := prepareGuard(t, strict, c.runs, without(layers...))
				thing := map[string]string{"path": "volume/unknown", "digest": string(touchstone.DigestOf([]byte(readWhole(t, filepath.Join(b.volume, "unknown")))))}[name]
				waivers := filepath.Join(filepath.Dir(g.rules), "waivers.yaml")
				text := fmt.Sprintf("- {rule: run-unknown, package: %q, owner: shop, reason: it is on its way into the image, until: %q}\n", thing, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
				if err := os.WriteFile(waivers, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				config.Source.(*guard.Files).Waivers = waivers
				g.start(config)
				g.watches(b, touchstone.EffectBlock)
				if o := b.do("/volume/unknown"); o.Code != ranUnknown {
					t.Errorf("waived: %s", o)
				}
				c.pass(2 * time.Hour)
				var last outcome
				within(t, 10*time.Second, "it is stopped again", func() bool { last = b.do("/volume/unknown"); return last.Code != ranUnknown })
				t.Log(last)
			})
		}
	}
}

// Other rules hold as soon as the file is other; what is wrong is told, and leaves the
// last ones in force.
func TestRulesChange(t *testing.T) {
	b := newSmallBox(t)
	g := startGuard(t, strict)
	g.watches(b, touchstone.EffectBlock)
	if o := b.do("/volume/unknown"); o.Code == ranUnknown {
		t.Errorf("%s", o)
	}
	g.write("rules:\n  run-unknown: {others: allow}\n")
	g.watches(b, touchstone.EffectNone)
	within(t, 10*time.Second, "it runs", func() bool { return b.do("/volume/unknown").Code == ranUnknown })
	g.write(strict)
	g.watches(b, touchstone.EffectBlock)
	within(t, 10*time.Second, "it does not run", func() bool { return b.do("/volume/unknown").Code != ranUnknown })
	g.write("rules: 17\n")
	g.await("that the rules are wrong", trouble("judging by rules of"))
	if o := b.do("/volume/unknown"); o.Code == ranUnknown {
		t.Errorf("by rules that are wrong: %s", o)
	}
	g.write(strict)
	within(t, 20*time.Second, "the rules are right again", func() bool { return g.status().RulesProblem == "" })
}

// server is one that a test sets.
type server struct {
	mu      sync.Mutex
	away    bool
	answer  guard.Follower
	got     []touchstone.RuntimeEvent
	evicted []string
}

func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

var errAway = errors.New("the server is away")

func (s *server) Send(_ context.Context, events []touchstone.RuntimeEvent) (map[string]touchstone.Login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, errAway
	}
	s.got = append(s.got, events...)
	return nil, nil
}

func (s *server) Follows(context.Context, touchstone.Running) (guard.Follower, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return guard.Follower{}, errAway
	}
	return s.answer, nil
}

func (s *server) Evict(_ context.Context, r touchstone.Running, _ string) error {
	s.set(func(s *server) { s.evicted = append(s.evicted, r.Pod) })
	return nil
}

func (s *server) Manifest(context.Context, guard.ImageID, io.Writer) error { return fs.ErrNotExist }

// What could not come back is not taken away: what would follow is refused, or nobody
// can say.
func TestSuccessor(t *testing.T) {
	for _, c := range []struct {
		name    string
		server  *server
		stopped bool
	}{
		{"allowed", &server{answer: guard.Follower{Verdict: touchstone.Allowed}}, true},
		{"refused", &server{answer: guard.Follower{Verdict: touchstone.Refused, Why: "known-exploited: CVE-2026-1"}}, false},
		{"undecided", &server{answer: guard.Follower{Verdict: touchstone.Undecided, Why: "no index"}}, false},
		{"away", &server{away: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newPod(t, "shop", "cart-1")
			g := startGuard(t, kills, func(to *guard.Config) { to.Server = c.server })
			g.watches(b, touchstone.EffectKill)
			if o := b.order(order{Args: []string{"/volume/unknown"}}); o.Code == ranUnknown {
				t.Errorf("%s", o)
			}
			e := g.await("it", ofRun(b, "volume/unknown"))
			if stopped := has(e.Steps, touchstone.DeedStopped, "runtime"); stopped != c.stopped {
				t.Errorf("stopped %t: %+v", stopped, e.Steps)
			}
			if !c.stopped && (!b.running() || !strings.Contains(fmt.Sprint(e.Steps), "rebuild first")) {
				t.Errorf("%+v", e.Steps)
			}
		})
	}
}

// A clean container in the place of one that was stopped is told.
func TestReplaced(t *testing.T) {
	b := newPod(t, "shop", "cart-2")
	g := startGuard(t, kills)
	g.watches(b, touchstone.EffectKill)
	go b.do("/volume/unknown")
	g.await("its stop", ofRun(b, "volume/unknown"))
	next := newPod(t, "shop", "cart-2")
	e := g.await("its successor", func(e *touchstone.RuntimeEvent) bool { return e.Kind == touchstone.EventReplaced })
	if e.ReplacedBy != next.id || e.Running.ID != b.id {
		t.Errorf("%+v", e)
	}
}
