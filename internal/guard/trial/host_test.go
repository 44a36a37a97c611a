package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/makeimage"
)

const imageMachine = "registry.example/trial/machine:1"

// machine is a container that a guard within takes for the whole machine: it sees no
// process and no file system but the container's own. Nothing of the node is mounted
// there, for the guard asks about all of each file system.
type machine struct {
	t  testing.TB
	id string
	n  int
}

// newMachine starts one of the small distribution, with touchstone, its golden image
// and rules in memory at /tmp.
func newMachine(t *testing.T, rules string) *machine {
	t.Helper()
	needShop(t)
	binary, err := makeimage.Program(t.Context(), filepath.Join(node.dir, "touchstone"), "touchstone.dev/touchstone/cmd/touchstone")
	if err != nil {
		t.Fatal(err)
	}
	actor, err := os.ReadFile(filepath.Join(node.dir, "actor"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := makeimage.Files("COPY touchstone /usr/bin", makeimage.File{Path: "usr/bin/touchstone", Mode: 0o755, Data: binary},
		makeimage.File{Path: "opt/puppet/", Mode: 0o755}, makeimage.File{Path: "opt/puppet/agent", Mode: 0o755, Data: actor})
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join(t.TempDir(), "golden.tar")
	im, err := machineImage(actor, own)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeimage.WriteArchive(golden, imageMachine, im); err != nil {
		t.Fatal(err)
	}
	if _, err := node.ctr("image", "import", golden); err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, id: fmt.Sprintf("machine-%d-%d", os.Getpid(), boxes.Add(1))}
	t.Cleanup((&box{t: t, id: m.id}).remove)
	if _, err := node.ctr("run", "-d", "--privileged", "--mount", "type=tmpfs,src=tmpfs,dst=/tmp,options=mode=1777:size=256m",
		imageMachine, m.id, "/actor", "sleep"); err != nil {
		t.Fatal(err)
	}
	m.give(golden, "/tmp/golden.tar")
	text := filepath.Join(t.TempDir(), "touchstone.yaml")
	if err := os.WriteFile(text, []byte("version: 1\nenvironments: [dev, prod]\n"+rules), 0o600); err != nil {
		t.Fatal(err)
	}
	m.give(text, "/tmp/touchstone.yaml")
	return m
}

func machineImage(actor []byte, own makeimage.Layer) (v1.Image, error) {
	distribution, ok := smallDistribution()
	if !ok {
		return nil, os.ErrNotExist
	}
	alpine, err := makeimage.Tarball("ADD rootfs /", distribution)
	if err != nil {
		return nil, err
	}
	acts, err := makeimage.Files("COPY actor /", makeimage.File{Path: "actor", Mode: 0o755, Data: actor})
	if err != nil {
		return nil, err
	}
	return makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{alpine, acts, own}, Created: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
}

// command prepares one within the machine.
func (m *machine) command(ctx context.Context, words ...string) *exec.Cmd {
	m.n++
	return exec.CommandContext(ctx, "ctr", append([]string{"--address", node.socket, "-n", "k8s.io", "task", "exec", "--exec-id", fmt.Sprint("c", m.n), m.id}, words...)...)
}

// do runs a command, and returns how it ended and what it said.
func (m *machine) do(words ...string) (code int, said string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := m.command(ctx, words...)
	out, _ := c.CombinedOutput() // its code says it
	return c.ProcessState.ExitCode(), string(out)
}

func (m *machine) give(from, to string) {
	m.t.Helper()
	f, err := os.Open(from)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	c := m.command(context.Background(), "/bin/sh", "-c", "cat > "+to)
	c.Stdin = f
	if out, err := c.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
}

// guard starts a guard of the machine, and returns what it tells, until the machine ends.
func (m *machine) guard() <-chan touchstone.RuntimeEvent {
	m.t.Helper()
	c := m.command(context.Background(), "/usr/bin/touchstone", "guard", "--host", "--golden", "/tmp/golden.tar",
		"--rules", "/tmp/touchstone.yaml", "--data", "/tmp/data", "--socket", "/tmp/guard.sock", "--without", "bpf", "--now", "-o", "json")
	var log lockedLog
	c.Stderr = &log
	out, err := c.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	events := make(chan touchstone.RuntimeEvent, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e touchstone.RuntimeEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind != touchstone.EventGuard {
				events <- e
			}
		}
		_ = c.Wait() // it was told to end
	}()
	m.t.Cleanup(func() {
		(&box{t: m.t, id: m.id}).remove() // which ends it
		<-ended
		if m.t.Failed() {
			m.t.Logf("the guard said\n%s", log.String())
		}
	})
	within(m.t, time.Minute, "the machine is held against its golden image", func() bool {
		code, said := m.do("/usr/bin/touchstone", "guard", "status", "--socket", "/tmp/guard.sock")
		return code == 0 && strings.Contains(said, "files, from golden")
	})
	return events
}

func (m *machine) await(events <-chan touchstone.RuntimeEvent, what string, fits func(*touchstone.RuntimeEvent) bool) touchstone.RuntimeEvent {
	m.t.Helper()
	for deadline := time.After(30 * time.Second); ; {
		select {
		case e := <-events:
			if fits(&e) {
				return e
			}
		case <-deadline:
			m.t.Fatalf("nothing was told of %s", what)
		}
	}
}

// A machine is held against its golden image: what that does not hold is not executed,
// what differs from it is told, and nothing is ever done to the machine as a whole.
func TestHost(t *testing.T) {
	m := newMachine(t, "rules:\n  run-unknown: {others: kill}\n  change: {others: alert}\nguard: {managed: [{by: puppet, program: /opt/puppet/**}]}\n")
	if code, said := m.do("/actor", "tiny", "/tmp/unknown", fmt.Sprint(ranUnknown)); code != 0 {
		t.Fatal(said)
	}
	if code, said := m.do("/tmp/unknown"); code != ranUnknown {
		t.Fatalf("without a guard: %d %s", code, said)
	}
	events := m.guard()

	if code, said := m.do("/bin/sh", "-c", "cp /bin/busybox /tmp/busybox && /tmp/busybox true"); code != 0 {
		t.Errorf("a copy of what the image holds: %d %s", code, said)
	}
	if code, _ := m.do("/bin/sh", "-c", "/tmp/unknown"); code == ranUnknown || code == 0 {
		t.Errorf("what no image holds has run: %d", code)
	}
	e := m.await(events, "it", func(e *touchstone.RuntimeEvent) bool { return e.Kind == touchstone.EventRunUnknown })
	if e.Running.ID != "host" || e.Execution == nil || !strings.HasSuffix(e.Execution.Path, "tmp/unknown") || len(e.Steps) == 0 {
		t.Errorf("%+v %+v", e, e.Execution)
	}
	for _, s := range e.Steps {
		if s.Do == touchstone.DeedStopped && s.Problem == "" || s.Do == touchstone.DeedEvicted {
			t.Errorf("to a machine was done: %+v", s)
		}
	}
	// What declared configuration management changes, by what it starts, is no drift.
	if code, said := m.do("/opt/puppet/agent", "as", "0", "/bin/sh", "-c", "echo x > /etc/motd.new; mv /etc/motd.new /etc/motd; echo y >> /etc/shells; sleep 1"); code != 0 {
		t.Errorf("configuration management: %d %s", code, said)
	}
	if code, said := m.do("/bin/sh", "-c", "echo x >> /etc/profile; sleep 1"); code != 0 {
		t.Errorf("writing: %d %s", code, said)
	}
	e = m.await(events, "a file that was changed", func(e *touchstone.RuntimeEvent) bool { return e.Kind == touchstone.EventChange })
	if e.Drift == nil || e.Drift.Path != "etc/profile" || e.Action != touchstone.EffectAlert {
		t.Errorf("%+v %+v", e, e.Drift)
	}
	// The node around it is not the machine.
	outside := filepath.Join(t.TempDir(), "unknown")
	if out, err := exec.Command(filepath.Join(node.dir, "actor"), "tiny", outside, fmt.Sprint(ranUnknown)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := exec.Command(outside)
	if _ = c.Run(); c.ProcessState.ExitCode() != ranUnknown {
		t.Errorf("on the node around it: %v", c.ProcessState)
	}

	if code, said := m.do("/bin/sh", "-c", "pkill -f 'touchstone guard --host'"); code != 0 {
		t.Fatalf("ending the guard: %d %s", code, said)
	}
	within(t, 30*time.Second, "without the guard it runs again", func() bool {
		code, _ := m.do("/tmp/unknown")
		return code == ranUnknown
	})
}
