package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/cluster"
)

// apiAll is more than there is of anything.
var apiAll = api.Paging{Limit: 1000}

// denied: a program that the pod wrote itself does not run, and is a finding on its
// workload while its container lives, and an event on the pod.
func (p *guardedPods) denied(t *testing.T) {
	pod := p.watched
	out, err := p.order(pod, "/order/unknown")
	if err != nil || out.Code == ranUnknown || !strings.Contains(out.Err, "operation not permitted") {
		t.Errorf("it ended with %+v %v", out, err)
	}
	e := p.g.told(t, pod.Namespace, "it", ofRun("order/unknown"))
	if _, ok := did(e, touchstone.DeedDenied); !ok || e.Action != touchstone.EffectBlock || e.Running.ID != containerOf(pod) {
		t.Errorf("told is %s: %+v", e.Action, e.Steps)
	}
	wait(t, "it is a finding", time.Minute, func(ctx context.Context) error {
		found, err := p.finding(ctx, pod, touchstone.RuleRunUnknown)
		if err == nil && !found {
			err = errors.New("it is none")
		}
		return err
	})
	wait(t, "it is shown on the pod", time.Minute, func(ctx context.Context) error {
		all, err := p.c.Client().CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=UnknownExecuted,involvedObject.name=" + pod.Name})
		if err == nil && len(all.Items) == 0 {
			err = errors.New("no event")
		}
		return err
	})
}

// replaced: where the rules kill, it does not run either, and a clean container comes.
func (p *guardedPods) replaced(t *testing.T) {
	pod, begun := p.prod, time.Now()
	if out, err := p.order(pod, "/order/unknown"); err == nil && out.Code == ranUnknown { // else the answer came, or the container was gone before that
		t.Errorf("it ran: %+v", out)
	}
	p.stopped(t, pod, ofRun("order/unknown"), 1, begun)
	// In the clean one it may not run either: the volume has outlived the container.
	// That comes later than the kubelet's pause after a second end is worth.
	if s := p.g.watches(t, pod, touchstone.EffectKill); s.Manifest != "server" {
		t.Errorf("the clean one is watched as %+v", s)
	}
}

// stopped waits for an event that stopped the pod's container, and for the next one.
func (p *guardedPods) stopped(t *testing.T, pod *corev1.Pod, fits func(*touchstone.RuntimeEvent) bool, restarts int32, begun time.Time) {
	t.Helper()
	id := containerOf(pod)
	e := p.g.told(t, pod.Namespace, "it", func(e *touchstone.RuntimeEvent) bool { return e.Running.ID == id && fits(e) })
	stop, ok := did(e, touchstone.DeedStopped)
	if e.Action != touchstone.EffectKill || !ok {
		t.Fatalf("told is %s: %+v", e.Action, e.Steps)
	}
	p.follower(t, pod, restarts)
	t.Logf("seen %s after it was begun, stopped %s later, another container ready after %s", e.At.Sub(begun), stop.At.Sub(e.At), time.Since(begun))
	p.wantReplaced(t, e, pod)
}

// loginKilled: whoever enters from the node is killed, with the container.
func (p *guardedPods) loginKilled(t *testing.T) {
	pod, begun := p.prod, time.Now()
	if err := p.nsenter(t, pod); err == nil { // it would sleep
		t.Error("whoever came in has gone of themselves")
	}
	t.Logf("killed after %s", time.Since(begun))
	fits := ofLogin(touchstone.LoginNsenter, "/pause")
	p.stopped(t, pod, fits, 2, begun)
	e := p.g.told(t, pod.Namespace, "it", fits)
	if _, ok := did(e, touchstone.DeedKilled); !ok {
		t.Errorf("the login was not killed: %+v", e.Steps)
	}
	p.wantUnseen(t, e)
}

// letBe: in dev people and package managers do as they like, and nothing is told.
func (p *guardedPods) letBe(t *testing.T) {
	pod := p.dev
	p.mustOrder(t, pod, ranUnknown, "/order/unknown")
	p.mustOrder(t, pod, 0, "/actor", "copy", "/actor", "/opt/tool", "more")
	p.mustOrder(t, pod, 0, "/opt/tool", "write", "/opt/tool.conf", "644", "text")
	p.mustOrder(t, pod, 0, "/actor", "write", "/opt/new.sh", "755", "#!/opt/tool")
	_, problems, err := cluster.Exec(t.Context(), p.c.ImpersonatedConfig("bob", "system:masters"), pod.Namespace, pod.Name, "cart", "/opt/tool", "rotate", "/opt", "20")
	if err != nil {
		t.Errorf("bob's tool: %v %s", err, problems)
	}
	if err := p.nsenter(t, pod, "say", "hello"); err != nil {
		t.Errorf("entering from the node: %v", err)
	}
	// What was done before it was told by now.
	p.drop(t, p.watched, "/order/after")
	_, _ = p.order(p.watched, "/order/after")
	p.g.told(t, p.watched.Namespace, "what came after", ofRun("order/after"))
	if all, err := p.g.events(t.Context(), pod.Namespace); err != nil || len(all) > 0 {
		t.Errorf("told was %v\n%s", err, listed(all))
	}
	p.wantSame(t, pod)
}

// wantSame fails unless the pod's container is the one that it was.
func (p *guardedPods) wantSame(t *testing.T, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		now, err := p.c.Client().CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if containerOf(now) != containerOf(pod) || now.Status.ContainerStatuses[0].RestartCount != pod.Status.ContainerStatuses[0].RestartCount {
			t.Errorf("the container of %s/%s is another", pod.Namespace, pod.Name)
		}
	}
}

// storm: the guard is killed while a pod executes what is unknown again and again, and
// another copy of it takes over. Nothing of that runs, with or without a guard.
func (p *guardedPods) storm(t *testing.T) {
	const tries, kills = 6000, 3
	over := make(chan struct{})
	var out outcome
	var failed error
	go func() {
		defer close(over)
		out, failed = p.order(p.watched, "/actor", "storm", "4", strconv.Itoa(tries), "/order/unknown")
	}()
	seen := func() int {
		all, err := p.g.events(t.Context(), p.watched.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for i := range all {
			if ofRun("order/unknown")(&all[i]) {
				n += all[i].Count
			}
		}
		return n
	}
	for range kills {
		select {
		case <-over:
			t.Fatal("the storm was over too soon")
		default:
		}
		before := len(p.g.status(t).Last)
		p.g.kill()
		p.mustOrder(t, p.dev, ranUnknown, "/order/unknown")
		p.mustOrder(t, p.dev, 0, "/pause", "say", "hello")
		begun := time.Now()
		p.g.start(t)
		p.g.watches(t, p.watched, touchstone.EffectBlock)
		t.Logf("%d events before; the next guard watches again after %s", before, time.Since(begun))
	}
	<-over
	var ran, refused, killed, other int
	if _, err := fmt.Sscan(out.Output, &ran, &refused, &killed, &other); err != nil || failed != nil {
		t.Fatalf("%+v: %v %v", out, err, failed)
	}
	t.Logf("ran %d, refused %d, killed %d, other %d; told %d", ran, refused, killed, other, seen())
	if ran != 0 || other != 0 || refused+killed != tries {
		t.Errorf("ran %d, refused %d, killed %d, other %d of %d", ran, refused, killed, other, tries)
	}
	p.wantSame(t, p.dev, p.watched, p.prod, p.reports)
	p.wantPaths(t, p.watched)
	p.drop(t, p.watched, "/order/later")
	if out, err := p.order(p.watched, "/order/later"); err != nil || out.Code == ranUnknown {
		t.Errorf("after the storm: %+v %v", out, err)
	}
	p.g.told(t, p.watched.Namespace, "what came later", ofRun("order/later"))
}

// wantPaths fails unless what was executed is told by the path at which the pod sees it.
func (p *guardedPods) wantPaths(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	all, err := p.g.events(t.Context(), pod.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if x := all[i].Execution; x != nil && !strings.HasPrefix(x.Path, "order/") {
			t.Errorf("told as %s: %s", x.Path, listed(all[i:i+1]))
		}
	}
}

// probes: of all that the kubelet executes by itself nothing was told as a login, the
// guard's own starts included.
func (p *guardedPods) probes(t *testing.T) {
	began := time.Now()
	for _, pod := range []*corev1.Pod{p.watched, p.prod} {
		wait(t, "the kubelet goes on for longer than a guard is in doubt", time.Minute, func(context.Context) error {
			probe, err := os.Stat(filepath.Join(p.c.EmptyDir(pod, "order"), "probe"))
			if err == nil && probe.ModTime().Before(began.Add(8*time.Second)) {
				err = fmt.Errorf("it has probed last at %s", probe.ModTime())
			}
			return err
		})
		all, err := p.g.events(t.Context(), pod.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			e := &all[i]
			known := [][]string{{"say", "hello"}, {"/pause-not-there"}, {"say", "past"}, {"say", "entered"}, {"-m", "-p", "/pause"}}
			if e.Kind == touchstone.EventLogin && !slices.ContainsFunc(known, func(c []string) bool { return endsIn(e.Login.Command, c) }) {
				t.Errorf("told as a login: %s", listed(all[i:i+1]))
			}
		}
	}
	p.wantSame(t, p.dev, p.watched, p.prod, p.reports)
}
