package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

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
