package trial

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
)

const watchLogins = "rules:\n  run-unknown: {others: allow}\n  login: {others: alert}\n"

// ofLogin fits events about a login of the kind; ended says whether its end.
func ofLogin(b *box, kind touchstone.LoginKind, ended bool) func(*touchstone.RuntimeEvent) bool {
	return func(e *touchstone.RuntimeEvent) bool {
		return e.Kind == touchstone.EventLogin && e.Running.ID == b.id && e.Login != nil && e.Login.Kind == kind && ended == !e.Login.Ended.IsZero()
	}
}

// enter runs a command in the box by containerd's own client.
func (b *box) enter(id string, words ...string) *exec.Cmd {
	return exec.Command("ctr", append([]string{"--address", node.socket, "-n", "k8s.io", "task", "exec", "--exec-id", id, b.id}, words...)...)
}

// Every way in is told when it begins and when it has ended, with what it executed.
func TestLogins(t *testing.T) {
	for name, layers := range map[string][]string{"both": nil, "fanotify": {"bpf"}} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			g := startGuard(t, watchLogins, without(layers...))
			g.watches(b, touchstone.EffectNone)
			if out, err := b.enter("one", "/bin/sh", "-c", "id; ls /etc >/dev/null; sleep 0.3").CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			e := g.await("an exec", ofLogin(b, touchstone.LoginExec, false))
			if e.Action != touchstone.EffectAlert || !slices.Contains(e.Login.Command, "/bin/sh") && !strings.Contains(fmt.Sprint(e.Login.Command), "sleep") {
				t.Errorf("%+v %+v", e, e.Login)
			}
			if name == "fanotify" {
				return // nobody tells it of processes: what an exec makes is not seen
			}
			e = g.await("its end", ofLogin(b, touchstone.LoginExec, true))
			if tree := fmt.Sprintf("%+v", e.Tree); !strings.Contains(tree, "sleep") || !strings.Contains(tree, "ls") {
				t.Errorf("tree %s", tree)
			}
			first := slices.Min(b.pids())
			if out, err := exec.Command("nsenter", "-t", fmt.Sprint(first), "-m", "-p", "/bin/sh", "-c", "id; sleep 0.3").CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			e = g.await("an nsenter", ofLogin(b, touchstone.LoginNsenter, false))
			t.Logf("nsenter: %+v", e.Login)
			if out, err := b.enter("two", "/bin/su", "-s", "/bin/sh", "nobody", "-c", "sleep 0.3").CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			g.await("an su", ofLogin(b, touchstone.LoginSwitch, false))
		})
	}
}

// A login that is blocked ends with everything that it has begun, and the container
// goes on.
func TestLoginBlocked(t *testing.T) {
	b := newBox(t)
	g := startGuard(t, "rules:\n  run-unknown: {others: allow}\n  login: {others: block}\n")
	g.watches(b, touchstone.EffectNone)
	before := len(b.pids())
	for i, words := range [][]string{
		{"/actor", "sleep"},
		{"/actor", "daemon", "/actor", "sleep"},
		{"/bin/sh", "-c", "for i in 1 2 3 4 5; do /actor daemon /actor sleep; done; sleep 100"},
	} {
		begun := time.Now()
		_ = b.enter(fmt.Sprint("blocked-", i), words...).Run() // as it ends
		alive := func() (n int) {
			for _, pid := range b.pids() {
				if s := state(pid); s != 'Z' && s != 0 {
					n++
				}
			}
			return n
		}
		within(t, 20*time.Second, "what the login began is gone", func() bool { return alive() <= before })
		t.Logf("%v: gone after %s", words, time.Since(begun))
		within(t, 20*time.Second, "it is told", func() bool { return len(g.told(ofLogin(b, touchstone.LoginExec, false))) > i })
		e := g.told(ofLogin(b, touchstone.LoginExec, false))[i]
		if e.Action != touchstone.EffectBlock || !has(e.Steps, touchstone.DeedKilled, "session") {
			t.Errorf("%s %+v", e.Action, e.Steps)
		}
	}
	if !b.running() {
		t.Error("the container does not run")
	}
}

// Declared probes are no logins, in a pod; everything else is, and where its namespace
// is only reported on it is not ended.
func TestDeclaredProbes(t *testing.T) {
	b := newPod(t, "shop", "cart-3")
	probe := []string{"/actor", "write", "/tmp/probe", "644", "alive"}
	long := []string{"/actor", "write", "/tmp/probe", "644", strings.Repeat("alive, ", 1000)} // longer than the kernel tells
	g := startGuard(t, "rules:\n  run-unknown: {others: block}\n  login: {others: block}\n", func(c *guard.Config) {
		c.Source = &cluster{Source: c.Source, reported: map[string]bool{"shop": true}, pods: map[string]guard.Pod{"uid-cart-3": {
			Namespace: "shop", Name: "cart-3", Workload: touchstone.Workload{Kind: "Deployment", Name: "cart"},
			Place: touchstone.Place{Environment: "prod", Namespace: "shop"}, Declared: map[string][][]string{"main": {probe, long}},
		}}}
	})
	g.watches(b, touchstone.EffectAlert)
	for i, command := range [][]string{probe, probe, long, probe} {
		if out, err := b.enter(fmt.Sprint("probe-", i), command...).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}
	if out, err := b.enter("person", "/actor", "write", "/tmp/person", "644", "alive").CombinedOutput(); err != nil {
		t.Errorf("a login that is only reported: %v %s", err, out)
	}
	e := g.await("a login", ofLogin(b, touchstone.LoginExec, false))
	if e.Action != touchstone.EffectAlert || !slices.Contains(e.Login.Command, "/tmp/person") || e.Running.Workload.Name != "cart" {
		t.Errorf("%+v %+v", e, e.Login)
	}
	if o := b.do("/volume/unknown"); o.Code != ranUnknown {
		t.Errorf("where it is only reported: %s", o)
	}
	if e = g.await("it", ofRun(b, "volume/unknown")); e.Action != touchstone.EffectAlert || !strings.Contains(fmt.Sprint(e.Steps), "not enforced") {
		t.Errorf("%s %+v", e.Action, e.Steps)
	}
	if n := len(g.told(ofLogin(b, touchstone.LoginExec, false))); n != 1 {
		t.Errorf("%d logins were told, want 1: %s", n, g.all())
	}
}

// Where the cluster has not told of a pod its probes are not known, however long that
// takes: none is ended as a login.
func TestProbesOfAPodThatIsNotKnown(t *testing.T) {
	var now clock
	b := newPod(t, "shop", "cart-4")
	g := startGuard(t, "rules:\n  run-unknown: {others: allow}\n  login: {others: block}\n", now.runs, func(c *guard.Config) {
		c.Source = &cluster{Source: c.Source, pods: map[string]guard.Pod{}}
	})
	g.watches(b, touchstone.EffectNone)
	now.pass(time.Minute)
	if out, err := b.enter("probe", "/actor", "write", "/tmp/probe", "644", "alive").CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
	e := g.await("a login", ofLogin(b, touchstone.LoginExec, false))
	if e.Action != touchstone.EffectAlert || !strings.Contains(fmt.Sprint(e.Steps), "probes are not known") {
		t.Errorf("%s %+v", e.Action, e.Steps)
	}
}
