package kube_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
)

// drain hears what the door is told, and waits until the pods are known.
func drain(t *testing.T, c *cluster.Cluster, k *kube.Cluster) {
	t.Helper()
	told := run(t, k)
	go func() {
		for range told {
		}
	}()
	c.Eventually(t, "the pods are known", 30*time.Second, func(ctx context.Context) error {
		_, _, err := k.Pods(ctx, "node1")
		return err
	})
}

// podOn waits for the pod on the node.
func podOn(t *testing.T, c *cluster.Cluster, k *kube.Cluster, node, namespace, name string) *gate.Pod {
	t.Helper()
	var found *gate.Pod
	c.Eventually(t, "the pod is known", 30*time.Second, func(ctx context.Context) error {
		all, _, err := k.Pods(ctx, node)
		for i := range all {
			if all[i].Namespace == namespace && all[i].Name == name {
				found = &all[i]
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("%d pods, and %s is not among them", len(all), name))
	})
	return found
}

func TestWhatPodsOfANodeDeclare(t *testing.T) {
	c := shared.Use(t)
	s := newCart(t, c, map[string]string{"stage": "dev"})
	k := newCluster(t, c, nil)
	if _, _, err := k.Pods(t.Context(), "node1"); !errors.Is(err, kube.ErrNotYet) {
		t.Errorf("before anything is known: %v", err)
	}
	drain(t, c, k)
	exec := func(command ...string) *corev1.ExecAction { return &corev1.ExecAction{Command: command} }
	always := corev1.ContainerRestartPolicyAlways
	_, changed, err := k.Pods(t.Context(), "node7")
	check(t, err)
	a := s.pod(t, c, s.replicas, "a", "sha256:1", func(p *corev1.Pod) {
		p.Spec.NodeName = "node7"
		p.Labels = map[string]string{touchstone.LabelEnvironment: "prod"}
		one := &p.Spec.Containers[0]
		one.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: exec("cat", "/live")}}
		one.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80)}}}
		one.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: exec("sh", "-c", "up")}}
		one.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: exec("warm")}, PreStop: &corev1.LifecycleHandler{Exec: exec("drain", "5")}}
		two := *one
		two.Name, two.RestartPolicy, two.ReadinessProbe, two.LivenessProbe, two.StartupProbe, two.Lifecycle = "proxy", &always, nil, nil, nil, nil
		three := two
		three.Name, three.RestartPolicy = "migrate", nil
		p.Spec.InitContainers = []corev1.Container{two, three}
	})
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody is told that something has changed on the node")
	}
	got := podOn(t, c, k, "node7", s.namespace, "a")
	if got.UID != string(a.UID) || got.Workload != (touchstone.Workload{Kind: "Deployment", Name: "cart"}) || got.Static ||
		got.Place.Environment != "prod" || got.Place.Node != "node7" || got.Place.Owner != "team-shop" {
		t.Errorf("%+v", got)
	}
	type part struct {
		Role    gate.ContainerRole
		Restart gate.RestartPolicy
		Probes  [][]string
		Hooks   [][]string
	}
	parts := map[string]part{}
	for _, one := range got.Containers {
		parts[one.Name] = part{one.Role, one.Restart, one.Probes, one.Hooks}
		if one.Image != "registry.example/shop/cart:1.4" || one.Settings.User != "1000" {
			t.Errorf("%+v", one)
		}
	}
	want := map[string]part{
		"proxy": {gate.RoleSidecar, gate.RestartAlways, nil, nil}, "migrate": {gate.RoleInit, gate.RestartOnFailure, nil, nil},
		"cart": {gate.RoleMain, gate.RestartAlways, [][]string{{"cat", "/live"}, {"sh", "-c", "up"}}, [][]string{{"warm"}, {"drain", "5"}}},
	}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	// A pod that the node runs by itself is known by the node's own UID.
	s.pod(t, c, nil, "static", "sha256:2", func(p *corev1.Pod) {
		p.Spec.NodeName = "node7"
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "0af1"}
	})
	if p := podOn(t, c, k, "node7", s.namespace, "static"); p.UID != "0af1" || !p.Static || p.Workload.Kind != "Pod" {
		t.Errorf("%+v", p)
	}
	if all, _, err := k.Pods(t.Context(), "node8"); err != nil || len(all) != 0 {
		t.Errorf("of another node: %+v %v", all, err)
	}
}

// The token of a guard's pod says which node it is on, and is good for nothing else.
func TestAGuardIsKnownByItsPodsToken(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "guards", nil)
	account := func(name string) {
		_, err := c.Client().CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		check(t, err)
	}
	account("touchstone-guard")
	account("other")
	k := newCluster(t, c, func(config *kube.Config) { config.Guards = "system:serviceaccount:" + ns + ":touchstone-guard" })
	token := func(account, node string, audiences ...string) string {
		p := cluster.Pod(ns, "p-"+account+"-"+node, "registry.example/touchstone:1")
		p.Spec.NodeName, p.Spec.ServiceAccountName = node, account
		p, err := c.Client().CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{})
		check(t, err)
		made, err := c.Client().CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			Audiences: audiences, BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID},
		}}, metav1.CreateOptions{})
		check(t, err)
		return made.Status.Token
	}
	_, err := c.Client().CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node5"}}, metav1.CreateOptions{})
	check(t, err)
	good := token("touchstone-guard", "node5", kube.Audience)
	if node, err := k.Guard(t.Context(), good); err != nil || node != "node5" {
		t.Errorf("a guard's: %q %v", node, err)
	}
	for what, bad := range map[string]string{
		"another account's":            token("other", "node5", kube.Audience),
		"one for the API server":       token("touchstone-guard", "node6"),
		"one that was changed":         good[:len(good)-6] + "aaaaaa",
		"nothing that the cluster has": "a.b.c",
	} {
		if node, err := k.Guard(t.Context(), bad); !errors.Is(err, kube.ErrNoGuard) {
			t.Errorf("%s: %q %v", what, node, err)
		}
	}
	check(t, c.Client().CoreV1().Pods(ns).Delete(t.Context(), "p-touchstone-guard-node5", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	c.Eventually(t, "the token ends with its pod", 60*time.Second, func(ctx context.Context) error {
		if node, err := k.Guard(ctx, good); !errors.Is(err, kube.ErrNoGuard) {
			return fmt.Errorf("still that of %s: %w", node, err)
		}
		return nil
	})
	if _, err := newCluster(t, c, nil).Guard(t.Context(), good); !errors.Is(err, kube.ErrNoGuard) {
		t.Errorf("where there are no guards: %v", err)
	}
}

func TestEvictionKeepsBudgets(t *testing.T) {
	c := shared.Use(t)
	s := newCart(t, c, nil)
	labels := func(p *corev1.Pod) { p.Labels = map[string]string{"app": "cart"} }
	s.pod(t, c, s.replicas, "a", "sha256:1", labels)
	s.pod(t, c, s.replicas, "b", "sha256:1", nil)
	k := newCluster(t, c, nil)
	drain(t, c, k)
	all := intstr.FromString("100%")
	_, err := c.Client().PolicyV1().PodDisruptionBudgets(s.namespace).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "cart"}, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}},
	}, metav1.CreateOptions{})
	check(t, err)
	a := podOn(t, c, k, "node1", s.namespace, "a")
	held, after, err := k.Evict(t.Context(), a)
	if err != nil || held == "" || after <= 0 {
		t.Errorf("held by a budget: %q after %s, %v", held, after, err)
	}
	b := podOn(t, c, k, "node1", s.namespace, "b")
	before := *b
	before.UID = "another"
	if held, _, err := k.Evict(t.Context(), &before); err != nil || held != "" {
		t.Errorf("one that was there before: %q %v", held, err)
	}
	if p, err := c.Client().CoreV1().Pods(s.namespace).Get(t.Context(), "b", metav1.GetOptions{}); err != nil || p.DeletionTimestamp != nil {
		t.Errorf("another pod of that name was evicted: %v", err)
	}
	held, _, err = k.Evict(t.Context(), b)
	if err != nil || held != "" {
		t.Errorf("not held: %q %v", held, err)
	}
	c.Eventually(t, "it is evicted", 30*time.Second, func(ctx context.Context) error {
		p, err := c.Client().CoreV1().Pods(s.namespace).Get(ctx, "b", metav1.GetOptions{})
		if err == nil && p.DeletionTimestamp == nil {
			return errors.New("it is there as before")
		}
		return nil
	})
}

func TestWhatWouldFollowAPod(t *testing.T) {
	c := shared.Use(t)
	s := newCart(t, c, nil)
	k := newCluster(t, c, nil)
	drain(t, c, k)
	const pinned = "registry.example/shop/cart:1.4@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	live := func(name, image string, change func(*corev1.Pod)) *gate.Pod {
		t.Helper()
		s.pod(t, c, s.replicas, name, "sha256:1", func(p *corev1.Pod) {
			p.Spec.Containers[0] = s.replicas.Spec.Template.Spec.Containers[0]
			p.Spec.Containers[0].Image = image
			p.Spec.SecurityContext = s.replicas.Spec.Template.Spec.SecurityContext
			if change != nil {
				change(p)
			}
		})
		return podOn(t, c, k, "node1", s.namespace, name)
	}
	same := live("same", pinned, func(p *corev1.Pod) {
		side := p.Spec.Containers[0]
		side.Name, side.Image = "injected", "registry.example/mesh:1"
		p.Spec.Containers = append(p.Spec.Containers, side)
	})
	next, none, asked, err := k.Successor(t.Context(), same)
	if err != nil || none != "" || !asked || len(next.Spec.Containers) != 2 || next.Spec.Containers[0].Image != pinned ||
		next.Owner.Kind != "Deployment" || next.Owner.UID != string(s.replicas.UID) {
		t.Fatalf("the same again: %+v %q %v %v", next, none, asked, err)
	}
	older := live("older", "registry.example/shop/cart:1.3", nil)
	if next, none, _, err := k.Successor(t.Context(), older); err != nil || none != "" || next.Spec.Containers[0].Image != "registry.example/shop/cart:1.4" {
		t.Errorf("what its owner makes now is another: %+v %q %v", next, none, err)
	}
	mighty := live("mighty", pinned, func(p *corev1.Pod) { p.Spec.HostPID = true })
	if next, _, _, err := k.Successor(t.Context(), mighty); err != nil || next.Spec.HostPID {
		t.Errorf("it had more than its owner gives: %+v %v", next, err)
	}

	refused := func(what string, p *gate.Pod, want string) {
		t.Helper()
		if next, none, _, err := k.Successor(t.Context(), p); err != nil || next != nil || !strings.Contains(none, want) {
			t.Errorf("%s: %+v %q %v, want %q", what, next, none, err, want)
		}
	}
	s.pod(t, c, nil, "bare", "sha256:1", nil)
	refused("a pod by itself", podOn(t, c, k, "node1", s.namespace, "bare"), "nothing keeps the pod")
	gone := *same
	gone.UID = "another"
	refused("one that is gone", &gone, "not there any more")
	static := *same
	static.Static = true
	refused("a static pod", &static, "by itself")
	zero := int32(0)
	s.replicas.Spec.Replicas = &zero
	_, err = c.Client().AppsV1().ReplicaSets(s.namespace).Update(t.Context(), s.replicas, metav1.UpdateOptions{})
	check(t, err)
	refused("of what wants none", same, "wants no pod")
	check(t, c.Client().AppsV1().ReplicaSets(s.namespace).Delete(t.Context(), s.replicas.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	refused("of what is gone", same, "is gone")
}

func TestWhatAGuardSeesIsShown(t *testing.T) {
	c := shared.Use(t)
	s := newCart(t, c, nil)
	a := s.pod(t, c, s.replicas, "a", "sha256:1", nil)
	k := newCluster(t, c, nil)
	drain(t, c, k)
	p := podOn(t, c, k, "node1", s.namespace, "a")
	e := &touchstone.RuntimeEvent{Kind: touchstone.EventRunUnknown, Node: "node1", Action: touchstone.EffectKill, Running: touchstone.Running{Workload: touchstone.Workload{Container: "cart"}}}
	for range 100 { // a storm
		k.Tell(p, e, "tmp/x is not in the image: "+strings.Repeat("é", 2000))
	}
	c.Eventually(t, "the event is there", 30*time.Second, func(ctx context.Context) error {
		all, err := c.Client().CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(all.Items) == 0 {
			return errors.Join(err, errors.New("no event"))
		}
		one := &all.Items[0]
		if one.InvolvedObject.UID != a.UID || one.Reason != "UnknownExecuted" || one.Type != corev1.EventTypeWarning || !strings.HasPrefix(one.Message, "tmp/x") {
			t.Fatalf("%+v", one)
		}
		if len(all.Items) > 5 {
			t.Fatalf("%d events of one thing", len(all.Items))
		}
		if one.Count < 5 {
			return fmt.Errorf("counted %d", one.Count)
		}
		return nil
	})
	k.Tell(nil, &touchstone.RuntimeEvent{Kind: touchstone.EventGuard, Node: "node1"}, "the guard: events were lost")
	c.Eventually(t, "the node's event is there", 30*time.Second, func(ctx context.Context) error {
		all, err := c.Client().CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.kind=Node"})
		if err != nil || len(all.Items) == 0 {
			return errors.Join(err, errors.New("no event"))
		}
		return nil
	})
}
