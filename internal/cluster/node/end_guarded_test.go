package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/cluster"
)

// guardedPods are what the guard on the node watches: one pod where everything is
// allowed, one where logins are told and unknown programs denied, one where both kill
// the container, and one like that whose namespace is only reported on.
type guardedPods struct {
	*world
	g                           *guardProcess
	dev, watched, prod, reports *corev1.Pod
}

// The real guard runs on the node, by the token of a pod. It knows places as the
// server does, sees and stops what people and programs do in real pods, and what it
// has enforced outlasts it.
func guarded(t *testing.T, w *world) {
	image, _ := w.pushOn(t, actorImage(t), "shop/acting:1", good)
	w.seen(t, image)
	_, token := standIn(t, w, image)
	p := guardedPods{world: w, g: newGuard(t, w, token)}
	reported := w.c.Namespace(t, "reported", map[string]string{"stage": "prod"})
	p.dev = w.acting(t, w.namespace(t, "dev"), image)
	p.watched = w.acting(t, w.namespace(t, "watched"), image, probesOf)
	p.prod = w.acting(t, w.namespace(t, "prod"), image, probesOf)
	p.reports = w.acting(t, reported, image)
	for _, pod := range []*corev1.Pod{p.dev, p.watched, p.prod, p.reports} {
		w.drop(t, pod, "/order/unknown")
		w.mustOrder(t, pod, ranUnknown, "/order/unknown") // nobody guards yet
	}
	p.g.start(t)
	for _, proof := range []struct {
		name string
		run  func(*guardedPods, *testing.T)
	}{
		{"pods are watched where the server knows them", (*guardedPods).places},
		{"who was let in is joined with their login", (*guardedPods).letIn},
		{"who comes past the door is told", (*guardedPods).pastDoor},
		{"what is unknown is denied, and a finding", (*guardedPods).denied},
		{"what is unknown is denied, and its container replaced", (*guardedPods).replaced},
		{"a login is killed, and its container replaced", (*guardedPods).loginKilled},
		{"dev is let be", (*guardedPods).letBe},
		{"the guard is killed and upgraded in a storm", (*guardedPods).storm},
		{"probes are no logins", (*guardedPods).probes},
	} {
		if !t.Run(proof.name, func(t *testing.T) { proof.run(&p, t) }) {
			t.Logf("told was\n%s", p.all(t))
		}
	}
}

func (p *guardedPods) all(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, pod := range []*corev1.Pod{p.dev, p.watched, p.prod, p.reports} {
		all, err := p.g.events(t.Context(), pod.Namespace)
		fmt.Fprintf(&b, "%s: %v\n%s", pod.Namespace, err, listed(all))
	}
	return b.String()
}

// places: what a namespace is comes from the server, and so does what the image holds.
func (p *guardedPods) places(t *testing.T) {
	for _, at := range []struct {
		pod         *corev1.Pod
		environment string
		class       touchstone.Class
		run, login  touchstone.Effect
	}{
		{p.dev, "dev", "application", touchstone.EffectNone, touchstone.EffectNone},
		{p.watched, "dev", "watched", touchstone.EffectBlock, touchstone.EffectAlert},
		{p.prod, "prod", "application", touchstone.EffectKill, touchstone.EffectKill},
		{p.reports, "prod", "application", touchstone.EffectAlert, touchstone.EffectAlert},
	} {
		s := p.g.watches(t, at.pod, at.run)
		want := touchstone.Workload{Kind: "Deployment", Name: "cart", Container: "cart"}
		if s.Place.Environment != at.environment || s.Place.Class != at.class || s.Place.Cluster != clusterName || s.Running.Workload != want || s.Actions[touchstone.RuleLogin] != at.login {
			t.Errorf("%s is watched as %+v", at.pod.Namespace, s)
		}
		if s.Manifest != "server" {
			t.Errorf("the files of %s are known from %s", at.pod.Namespace, s.Manifest)
		}
	}
	wait(t, "each layer is proven", time.Minute, func(context.Context) error {
		for _, l := range p.g.status(t).Layers {
			if !l.Attached || l.Proven.IsZero() {
				return fmt.Errorf("%s: attached %v, proven %s: %s", l.Name, l.Attached, l.Proven, l.Problem)
			}
		}
		return nil
	})
}

// letIn: what the door let in has a name, however short it is.
func (p *guardedPods) letIn(t *testing.T) {
	for _, command := range [][]string{{"/pause", "say", "hello"}, {"/actor", "storm", "1", "20", "/pause-not-there"}} {
		if _, _, err := cluster.Exec(t.Context(), p.c.ImpersonatedConfig("ann", "system:masters"), p.watched.Namespace, p.watched.Name, "cart", command...); err != nil {
			t.Fatal(err)
		}
		e := p.g.told(t, p.watched.Namespace, "ann's login", ofLogin(touchstone.LoginExec, command...))
		if e.Login.By != "ann" || e.Login.Admitted == "" || e.Action != touchstone.EffectAlert {
			t.Errorf("told is %s of %+v", e.Action, e.Login)
		}
	}
}

// pastDoor: the kubelet's own port, and the node.
func (p *guardedPods) pastDoor(t *testing.T) {
	if err := p.c.ExecPastDoor(t.Context(), p.watched.Namespace, p.watched.Name, "cart", "/pause", "say", "past"); err != nil {
		t.Fatal(err)
	}
	e := p.g.told(t, p.watched.Namespace, "an exec by the kubelet", ofLogin(touchstone.LoginExec, "/pause", "say", "past"))
	p.wantUnseen(t, e)
	p.nsenter(t, p.watched, "say", "entered")
	p.wantUnseen(t, p.g.told(t, p.watched.Namespace, "an nsenter", ofLogin(touchstone.LoginNsenter, "/pause", "say", "entered")))
}

func (p *guardedPods) wantUnseen(t *testing.T, e *touchstone.RuntimeEvent) {
	t.Helper()
	if e.Login.Admitted != "" || e.Login.By == "ann" {
		t.Errorf("it is joined with %+v", e.Login)
	}
	if said := p.s.run(t, "guard", "events", e.ID, "--data", p.s.data); !strings.Contains(said, "admission never saw this session") {
		t.Errorf("the server says of it\n%s", said)
	}
}

// nsenter runs the pod's pause program in it from the node, and returns how that ended.
func (p *guardedPods) nsenter(t *testing.T, pod *corev1.Pod, words ...string) error {
	t.Helper()
	args := append([]string{"-t", strconv.Itoa(firstProcess(t, pod)), "-m", "-p", "/pause"}, words...)
	return exec.CommandContext(t.Context(), "nsenter", args...).Run()
}

// finding reports whether what runs in the pod's namespace has a finding of the rule.
func (p *guardedPods) finding(ctx context.Context, pod *corev1.Pod, rule string) (bool, error) {
	all, err := p.s.Running(ctx, pod.Namespace, "", apiAll)
	if err != nil {
		return false, err
	}
	for _, one := range all.Items {
		if slices.ContainsFunc(one.Findings, func(f touchstone.Finding) bool { return f.Rule == rule }) {
			return true, nil
		}
	}
	return false, nil
}

// follower waits until a clean container is there instead of the pod's, of the same
// pod and ready, and the pod is it from then on.
func (p *guardedPods) follower(t *testing.T, pod *corev1.Pod, restarts int32) {
	t.Helper()
	before := containerOf(pod)
	wait(t, "another container is there", time.Minute, func(ctx context.Context) error {
		now, err := p.c.Client().CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		s := &now.Status.ContainerStatuses[0]
		if containerOf(now) == before || !s.Ready {
			return fmt.Errorf("%s, %d restarts, ready %v", s.ContainerID, s.RestartCount, s.Ready)
		}
		if s.RestartCount != restarts {
			t.Errorf("it was started %d times again, want %d", s.RestartCount, restarts)
		}
		*pod = *now
		return nil
	})
}

// wantReplaced waits until the event says what is there instead.
func (p *guardedPods) wantReplaced(t *testing.T, e *touchstone.RuntimeEvent, pod *corev1.Pod) {
	t.Helper()
	wait(t, "it says what is there instead", time.Minute, func(ctx context.Context) error {
		now, err := p.s.GuardEvent(ctx, e.ID)
		if err != nil {
			return err
		}
		if now.ReplacedBy != pod.Namespace+"/"+pod.Name+" "+containerOf(pod) {
			return fmt.Errorf("replaced by %q", now.ReplacedBy)
		}
		found, err := p.finding(ctx, pod, e.Reason.Rule)
		if err == nil && found {
			err = errors.New("it is a finding still")
		}
		return err
	})
	p.g.told(t, pod.Namespace, "the replacement", func(r *touchstone.RuntimeEvent) bool {
		return r.Kind == touchstone.EventReplaced && r.Running.ID == e.Running.ID && r.ReplacedBy == containerOf(pod)
	})
}
