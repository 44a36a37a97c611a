package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/guard"
	"touchstone.dev/touchstone/internal/report"
	"touchstone.dev/touchstone/internal/server"
)

// guardProcess is the real touchstone guard as a process on the node, with the token
// of a pod: what the DaemonSet starts, but for the container around it.
type guardProcess struct {
	w       *world
	dir     string // short: paths of sockets are
	pins    string
	running *exec.Cmd
	ended   chan struct{}
}

// newGuard prepares a guard that has the token. In the end nothing of it is left in
// the kernel.
func newGuard(t *testing.T, w *world, token string) *guardProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "tguard")
	if err != nil {
		t.Fatal(err)
	}
	g := &guardProcess{w: w, dir: dir, pins: fmt.Sprintf("/sys/fs/bpf/touchstone-node-%d", os.Getpid())}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("the guard said\n%s", g.said())
		}
		if err := errors.Join(os.RemoveAll(g.pins), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return g
}

// start starts a copy of the program of its own, as an upgrade does, and waits until
// it answers.
func (g *guardProcess) start(t *testing.T) {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(g.dir, fmt.Sprintf("touchstone-%d", time.Now().UnixNano()))
	if err := os.WriteFile(path, binary, 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(g.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	out, err := os.OpenFile(filepath.Join(g.dir, "events"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	g.running = exec.Command(path, "guard", "--server", "https://"+g.w.s.listen, "--server-ca", server.Authority(g.w.s.data),
		"--token-file", filepath.Join(g.dir, "token"), "--node", "node1", "--containerd", g.w.c.Containerd(), "--pins", g.pins,
		"--data", filepath.Join(g.dir, "data"), "--socket", g.socket(), "--now", "--canary-every", "5s", "--drift-every", "5s", "-o", "json")
	g.running.Stdout, g.running.Stderr = out, log
	g.running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it does not outlive a test that is killed
	g.ended = launch(t, g.running)
	answers(t, "the guard", g.ended, g.said, func(ctx context.Context) error {
		_, err := guard.Local{Socket: g.socket()}.Status(ctx)
		return err
	})
	t.Logf("a guard answers at %s", time.Now().UTC().Format(time.TimeOnly))
}

func (g *guardProcess) socket() string { return filepath.Join(g.dir, "sock") }

// kill ends the guard as the kernel does when memory is short.
func (g *guardProcess) kill() {
	if g.running == nil {
		return
	}
	_ = g.running.Process.Kill() // it may have ended
	<-g.ended
	_ = os.Remove(g.socket()) // the next one answers there, and not this one
}

func (g *guardProcess) said() string {
	text, err := os.ReadFile(filepath.Join(g.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-20_000):])
}

// status is what touchstone guard status says.
func (g *guardProcess) status(t *testing.T) *guard.Status {
	t.Helper()
	st := new(guard.Status)
	if err := json.Unmarshal([]byte(g.w.s.run(t, "guard", "status", "--socket", g.socket(), "-o", "json")), st); err != nil {
		t.Fatal(err)
	}
	return st
}

// watches waits until the guard watches a container with the files of its image, and
// does there what the rules say of a run-unknown.
func (g *guardProcess) watches(t *testing.T, p *corev1.Pod, does touchstone.Effect) guard.SubjectStatus {
	t.Helper()
	var found guard.SubjectStatus
	wait(t, "the guard watches "+p.Namespace+"/"+p.Name, 30*time.Second, func(context.Context) error {
		st := g.status(t)
		i := slices.IndexFunc(st.Subjects, func(s guard.SubjectStatus) bool { return s.Running.ID == containerOf(p) })
		if i < 0 {
			return fmt.Errorf("it watches %d others", len(st.Subjects))
		}
		if found = st.Subjects[i]; found.Manifest == "" || found.Actions[touchstone.RuleRunUnknown] != does {
			return fmt.Errorf("it is watched as %+v", found)
		}
		return nil
	})
	return found
}

// told waits until the server has an event of the namespace that fits, and returns
// the first one.
func (g *guardProcess) told(t *testing.T, ns, what string, fits func(*touchstone.RuntimeEvent) bool) *touchstone.RuntimeEvent {
	t.Helper()
	var found *touchstone.RuntimeEvent
	wait(t, "the server is told of "+what, 30*time.Second, func(ctx context.Context) error {
		all, err := g.events(ctx, ns)
		if err != nil {
			return err
		}
		for i := range slices.Backward(all) { // the newest is first
			if fits(&all[i]) {
				found = &all[i]
				return nil
			}
		}
		return fmt.Errorf("told was\n%s", listed(all))
	})
	return found
}

func (g *guardProcess) events(ctx context.Context, ns string) ([]touchstone.RuntimeEvent, error) {
	page, err := g.w.s.GuardEvents(ctx, api.GuardEventFilter{Namespace: ns}, api.Paging{Limit: 500})
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// listed lists events for people.
func listed(all []touchstone.RuntimeEvent) string {
	var b strings.Builder
	for i := range all {
		e := &all[i]
		fmt.Fprintf(&b, "%s [%.12s login %+v replaced %q steps %+v tree %+v]\n", report.RuntimeLine(e), e.Running.ID, e.Login, e.ReplacedBy, e.Steps, e.Tree)
	}
	return b.String()
}

// ofLogin fits a login of the kind whose command ends so.
func ofLogin(kind touchstone.LoginKind, command ...string) func(*touchstone.RuntimeEvent) bool {
	return func(e *touchstone.RuntimeEvent) bool {
		return e.Kind == touchstone.EventLogin && e.Login != nil && e.Login.Kind == kind && endsIn(e.Login.Command, command)
	}
}

func endsIn(all, end []string) bool {
	return len(all) >= len(end) && slices.Equal(all[len(all)-len(end):], end)
}

// ofRun fits what was executed at a path that ends so.
func ofRun(end string) func(*touchstone.RuntimeEvent) bool {
	return func(e *touchstone.RuntimeEvent) bool {
		return e.Kind == touchstone.EventRunUnknown && e.Execution != nil && strings.HasSuffix(e.Execution.Path, end)
	}
}

// did returns the step that was done without a problem, and whether there is one.
func did(e *touchstone.RuntimeEvent, do touchstone.Deed) (touchstone.Step, bool) {
	i := slices.IndexFunc(e.Steps, func(s touchstone.Step) bool { return s.Do == do && s.Problem == "" })
	if i < 0 {
		return touchstone.Step{}, false
	}
	return e.Steps[i], true
}
