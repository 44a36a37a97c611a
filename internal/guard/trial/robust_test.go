package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
)

// The layers are proven again and again; one that is taken away is told.
func TestCanary(t *testing.T) {
	g := startGuard(t, strict, func(c *guard.Config) { c.CanaryEvery = 200 * time.Millisecond })
	within(t, 20*time.Second, "both layers are proven", func() bool {
		return !slices.ContainsFunc(g.status().Layers, func(l guard.LayerStatus) bool { return l.Proven.IsZero() })
	})
	if told := g.told(trouble("")); len(told) > 0 {
		t.Errorf("told: %s", g.all())
	}
	if err := os.RemoveAll(g.pins); err != nil {
		t.Fatal(err)
	}
	g.await("that a layer is gone", trouble("bpf is not proven"))
	within(t, 20*time.Second, "its status says so", func() bool {
		return slices.ContainsFunc(g.status().Problems, func(p string) bool { return strings.Contains(p, "bpf") })
	})
	if told := g.told(trouble("fanotify is not proven")); len(told) > 0 {
		t.Errorf("told of the other layer: %s", g.all())
	}
}

// While containerd is away what runs is guarded on; what comes after is guarded too.
func TestContainerdRestarts(t *testing.T) {
	b := newSmallBox(t)
	g := startGuard(t, strict)
	g.watches(b, touchstone.EffectBlock)
	node.kill()
	if o := b.do("/volume/unknown"); o.Code == ranUnknown {
		t.Errorf("while containerd is away: %s", o)
	}
	if o := b.do("/bin/known"); o.Code != knownRan {
		t.Errorf("while containerd is away: %s", o)
	}
	if err := node.start(); err != nil {
		t.Fatal(err)
	}
	after := newSmallBox(t)
	g.watches(after, touchstone.EffectBlock)
	for _, b := range []*box{b, after} {
		if o := b.act("fd", "/volume/unknown"); o.Code == ranUnknown {
			t.Errorf("%s after containerd was away: %s", b.id, o)
		}
	}
}

// What is told while the server is away is sent when it is back, once and in order;
// by the next guard as well.
func TestJournal(t *testing.T) {
	b := newSmallBox(t)
	s := &server{away: true}
	g, c := prepareGuard(t, strict, func(c *guard.Config) { c.Server = s })
	g.start(c)
	g.watches(b, touchstone.EffectBlock)
	for i := range 5 {
		path := fmt.Sprintf("/tmp/x%d", i)
		b.act("tiny", path, "83")
		if o := b.do(path); o.Code == ranUnknown {
			t.Errorf("%s", o)
		}
		g.await("it", ofRun(b, path))
	}
	g.stop()
	second, c2 := prepareGuard(t, strict, func(c *guard.Config) { c.Server = s })
	c2.Data, second.dir = c.Data, g.dir
	s.set(func(s *server) { s.away = false })
	second.start(c2)
	within(t, 30*time.Second, "all are sent", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.got) >= 5
	})
	var got []string
	s.set(func(s *server) {
		for _, e := range s.got {
			if e.Kind == touchstone.EventRunUnknown {
				got = append(got, e.Execution.Path)
			}
		}
	})
	if want := []string{"tmp/x0", "tmp/x1", "tmp/x2", "tmp/x3", "tmp/x4"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	within(t, 20*time.Second, "none waits", func() bool { return second.status().Unsent == 0 })
	id := g.told(ofRun(b, "tmp/x3"))[0].ID
	if e, err := second.local.Event(context.Background(), id); err != nil || e.Execution.Path != "tmp/x3" {
		t.Errorf("%+v %v", e, err)
	}
}

// A full disk takes what is written down, and nothing else.
func TestFullDisk(t *testing.T) {
	b := newSmallBox(t)
	g, c := prepareGuard(t, strict)
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", g.dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(g.dir, unix.MNT_DETACH) })
	g.start(c)
	g.watches(b, touchstone.EffectBlock)
	filler, err := os.Create(filepath.Join(g.dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for n := 64 << 10; n > 0; n /= 2 {
		for {
			if _, err := filler.Write(make([]byte, n)); err != nil {
				break
			}
		}
	}
	for i := range 5 {
		path := fmt.Sprintf("/tmp/x%d", i)
		b.act("tiny", path, "83")
		if o := b.do(path); o.Code == ranUnknown {
			t.Errorf("%s", o)
		}
		g.await("it", ofRun(b, path))
	}
	if o := b.do("/bin/known"); o.Code != knownRan {
		t.Errorf("%s", o)
	}
	other := newSmallBox(t) // of an image that is known
	g.watches(other, touchstone.EffectBlock)
	if o := other.do("/volume/unknown"); o.Code == ranUnknown {
		t.Errorf("%s", o)
	}
}

// A clock that is set back, and ahead, stops nothing and hides nothing.
func TestClock(t *testing.T) {
	var c clock
	b := newSmallBox(t)
	g := startGuard(t, strict, c.runs)
	g.watches(b, touchstone.EffectBlock)
	for i, d := range []time.Duration{-24 * time.Hour, 48 * time.Hour, -90 * 24 * time.Hour} {
		c.pass(d)
		path := fmt.Sprintf("/tmp/x%d", i)
		b.act("tiny", path, "83")
		if o := b.do(path); o.Code == ranUnknown {
			t.Errorf("after %s: %s", d, o)
		}
		g.await("it", ofRun(b, path))
		if o := b.do("/bin/known"); o.Code != knownRan {
			t.Errorf("after %s: %s", d, o)
		}
	}
}

// What one container does costs another nothing that it would notice, and blinds the
// guard for none.
func TestHostile(t *testing.T) {
	victim := newSmallBox(t)
	many := "5000"
	if os.Getenv("TOUCHSTONE_SOAK") != "" { // takes minutes, as each is compared and told
		many = "50000"
	}
	for _, c := range []struct {
		name  string
		deeds [][]string
		pids  string
	}{
		{"many files", [][]string{{"/actor", "files", "/volume/many", many}, {"/actor", "files", "/tmp/many", many}}, ""},
		{"endless names", [][]string{{"/actor", "names", "/tmp/names", "300"}}, ""},
		{"fork bomb", [][]string{{"/actor", "bomb", "3s"}}, "200"},
		{"mount storm", [][]string{{"/actor", "mounts", "/tmp/m", "500"}}, ""},
		{"flood of what is unknown", [][]string{{"/actor", "storm", "8", "3000", "/volume/unknown"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t)
			g := startGuard(t, "rules:\n  run-unknown: {others: block}\n  run-unjudged: {others: block}\n  change: {others: alert}\n", func(c *guard.Config) { c.DriftEvery = time.Second })
			g.watches(b, touchstone.EffectBlock)
			g.watches(victim, touchstone.EffectBlock)
			if c.pids != "" {
				limit(t, b, c.pids)
			}
			done := make(chan struct{})
			var group sync.WaitGroup
			group.Go(func() {
				defer close(done)
				for _, deed := range c.deeds {
					if o := b.order(order{Args: deed, Within: 60 * time.Second}); o.Err != "" {
						t.Logf("%v: %s", deed, o)
					}
				}
			})
			var took []time.Duration
			for ended := false; !ended || len(took) < 20; {
				begun := time.Now()
				if o := victim.do("/bin/known"); o.Code != knownRan {
					t.Errorf("the other container: known: %s", o)
					break
				}
				took = append(took, time.Since(begun))
				if o := victim.do("/volume/unknown"); o.Code == ranUnknown {
					t.Errorf("the other container: unknown: %s", o)
					break
				}
				select {
				case <-done:
					ended = true
				default:
				}
			}
			group.Wait()
			slices.Sort(took)
			t.Logf("an exec in the other container: p50 %s, p99 %s of %d", took[len(took)/2], took[len(took)*99/100], len(took))
			if p50 := took[len(took)/2]; p50 > time.Second {
				t.Errorf("half of them took more than %s", p50)
			}
			if c.pids != "" {
				limit(t, b, "max") // what nobody waits for has its share still
			}
			if o := b.act("tiny", "/tmp/after", "83"); o.Code != 0 {
				t.Errorf("afterwards: %s", o)
			}
			if o := b.do("/tmp/after"); o.Code == ranUnknown {
				t.Errorf("afterwards: %s", o)
			}
			g.await("what came afterwards", ofRun(b, "tmp/after"))
			for _, b := range []*box{b, victim} {
				for _, pid := range b.pids() {
					if state(pid) == 'T' {
						t.Errorf("process %d of %s was left standing", pid, b.id)
					}
				}
			}
		})
	}
}

// limit bounds how many processes the box may have.
func limit(t *testing.T, b *box, most string) {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		if os.WriteFile(filepath.Join(root, "touchstone-trial", b.id, "pids.max"), []byte(most), 0o600) == nil {
			return
		}
	}
	t.Skip("there is no control group that bounds processes")
}
