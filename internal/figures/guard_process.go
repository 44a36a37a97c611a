package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
)

// pins is where these guards enforce, beside any other.
const pins = "/sys/fs/bpf/touchstone-figures"

// guarding is a guard that runs.
type guarding struct {
	c     *exec.Cmd
	said  bytes.Buffer // on stderr
	ended chan struct{}
	local guard.Local
	tells string // address of its metrics

	mu     sync.Mutex
	events []touchstone.RuntimeEvent
}

// guard starts one, and returns when it is there. The arguments choose the place and
// what it is to go without.
func (n *guarded) guard(ctx context.Context, args ...string) (*guarding, error) {
	socket := n.path(n.name("guard") + ".sock")
	metrics, err := freePort()
	if err != nil {
		return nil, err
	}
	g := &guarding{local: guard.Local{Socket: socket}, tells: metrics, ended: make(chan struct{})}
	g.c = exec.CommandContext(ctx, n.program, append([]string{
		"guard", "--rules", n.path("touchstone.yaml"), "--data", n.path("data"), "--containerd", n.runtime.Socket(),
		"--socket", socket, "--pins", pins, "--output", "json", "--quiet", "--metrics", metrics,
	}, args...)...)
	g.c.Stderr = &g.said
	out, err := g.c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := g.c.Start(); err != nil {
		return nil, err
	}
	go g.listen(out)
	if err := waitFor(ctx, 30*time.Second, "the guard answers", func() bool {
		_, err := g.local.Status(ctx)
		return err == nil
	}); err != nil {
		g.stop()
		return nil, fmt.Errorf("%w\n%s", err, g.said.String())
	}
	return g, nil
}

func (g *guarding) listen(out io.Reader) {
	in := bufio.NewReader(out)
	for {
		text, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var e touchstone.RuntimeEvent
		if json.Unmarshal(text, &e) == nil {
			g.mu.Lock()
			g.events = append(g.events, e)
			g.mu.Unlock()
		}
	}
	_ = g.c.Wait() // what it had to say is in said
	close(g.ended)
}

// told returns the events so far that are of the kind.
func (g *guarding) told(kind touchstone.RuntimeEventKind) []touchstone.RuntimeEvent {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.events), func(e touchstone.RuntimeEvent) bool { return e.Kind != kind })
}

// stop ends the guard. What it enforces in the kernel stays.
func (g *guarding) stop() {
	_ = g.c.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-g.ended:
	case <-time.After(30 * time.Second):
		_ = g.c.Process.Kill()
		<-g.ended
	}
}

// watches waits until the guard knows what so many containers hold.
func (g *guarding) watches(ctx context.Context, containers int) error {
	var last *guard.Status
	err := waitFor(ctx, twoMinutes, fmt.Sprintf("%d containers are known", containers), func() bool {
		st, err := g.local.Status(ctx)
		if err == nil {
			last = st
		}
		return err == nil && manifests(st) >= containers
	})
	if err != nil && last != nil {
		for i := range last.Subjects {
			if s := &last.Subjects[i]; s.Manifest == "" {
				err = errors.Join(err, fmt.Errorf("%s is not: %s", s.Running.ID, s.Problem))
			}
		}
		err = errors.Join(err, fmt.Errorf("%d of %d that the guard knows of are", manifests(last), len(last.Subjects)))
	}
	return err
}

// manifests counts the containers whose manifest is known.
func manifests(st *guard.Status) int {
	n := 0
	for i := range st.Subjects {
		if st.Subjects[i].Manifest != "" {
			n++
		}
	}
	return n
}

// unpin takes away what guards have left in the kernel.
func (n *guarded) unpin() {
	_ = filepath.WalkDir(pins, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			_ = os.Remove(path) // what is attached elsewhere stays so
		}
		return nil
	})
	_ = os.RemoveAll(pins)
}
