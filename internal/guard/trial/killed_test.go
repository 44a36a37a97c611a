package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
	"touchstone.dev/touchstone/internal/guard/containerd"
)

// child is what a guard in a process of its own is told.
type child struct {
	Rules, Data, Pins, Socket, Containerd string
	Without                               []string
}

// beTheGuard guards until it is killed.
func beTheGuard(path string) int {
	text, err := os.ReadFile(path)
	var c child
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	var runtime *containerd.Runtime
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err == nil {
		runtime, err = containerd.Open(containerd.Config{Address: c.Containerd, Retry: 200 * time.Millisecond, Log: log})
	}
	if err == nil {
		err = guard.Run(context.Background(), guard.Config{
			Source: &guard.Files{Rules: c.Rules, Every: 50 * time.Millisecond}, Runtime: runtime, Node: "node-1", Data: c.Data, Socket: c.Socket, Pins: c.Pins,
			Without: c.Without, KillNow: true, CanaryEvery: time.Hour, DriftEvery: time.Hour, Tool: "trial", Log: log,
		})
	}
	fmt.Fprintln(os.Stderr, "the guard ended:", err)
	return 1
}

// spawn starts the guard in a process of its own, and waits until it answers.
func (g *guarded) spawn(t testing.TB, without ...string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(child{g.rules, g.dir, g.pins, g.local.Socket, node.socket, without})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(g.dir), "child.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(g.local.Socket)
	command := exec.Command(os.Args[0], guardFlag, path)
	command.Stderr = &g.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(command) })
	within(t, 30*time.Second, "the guard answers", func() bool {
		_, err := g.local.Status(context.Background())
		return err == nil
	})
	return command
}

// end kills a process as the kernel does when memory is short.
func end(command *exec.Cmd) {
	if command.ProcessState == nil {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
}

// A guard that is killed leaves enforcement in place: nothing unknown runs while it is
// away, and the next one takes over, however often. Nothing is left standing.
func TestKilled(t *testing.T) {
	for _, mode := range []struct {
		name    string
		without []string
		sig     os.Signal
	}{
		{"both, killed", nil, os.Kill}, {"bpf, killed", []string{"fanotify"}, os.Kill}, {"both, upgraded", nil, os.Interrupt},
	} {
		t.Run(mode.name, func(t *testing.T) {
			b := newSmallBox(t)
			g, _ := prepareGuard(t, strict)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the guards said\n%s", g.log.String())
				}
			})
			first := g.spawn(t, mode.without...)
			g.watches(b, touchstone.EffectBlock)
			const tries = 1500
			result := make(chan outcome, 1)
			known := make(chan outcome, 1)
			go func() {
				result <- b.order(order{Args: []string{"/actor", "storm", "8", strconv.Itoa(tries), "/volume/unknown"}, Within: 2 * time.Minute})
			}()
			go func() {
				known <- b.order(order{Args: []string{"/actor", "storm", "1", "300", "/bin/known"}, Within: 2 * time.Minute})
			}()
			now := first
			for range 3 {
				within(t, 30*time.Second, "something was stopped", func() bool { return len(g.status().Last) > 0 })
				if err := now.Process.Signal(mode.sig); err != nil {
					t.Fatal(err)
				}
				_ = now.Wait()
				now = g.spawn(t, mode.without...)
			}
			if c := countsOf(t, <-result); c.ran != 0 || c.refused+c.killed != tries {
				t.Errorf("unknown: %+v", c)
			}
			if c := countsOf(t, <-known); c.ran != 300 {
				t.Errorf("known: %+v, want 300 to run", c)
			}
			g.watches(b, touchstone.EffectBlock)
			within(t, 20*time.Second, "nothing stands still", func() bool {
				for _, pid := range b.pids() {
					if state(pid) == 'T' {
						return false
					}
				}
				return true
			})
			// What is let be without a guard is what was known before.
			end(now)
			if o := b.do("/bin/known"); o.Code != knownRan {
				t.Errorf("known, without a guard: %s", o)
			}
			if o := b.do("/volume/unknown"); o.Code == ranUnknown {
				t.Errorf("unknown, without a guard: %s", o)
			}
		})
	}
}
