package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/record"
)

// What a guard on the node tells by its pod's own token is joined with who was let
// in, is a finding until another container is there, and has a pod evicted that comes
// back; by an account that has no right in the cluster.
func guards(t *testing.T, w *world) {
	image, _ := w.push(t, "shop/guarded:1", good)
	w.seen(t, image)
	g, token := standIn(t, w, image)
	prod, dev := w.namespace(t, "prod"), w.namespace(t, "dev")
	for _, ns := range []string{prod, dev} {
		w.c.CreateDeployment(t, ns, "cart", image, 1)
	}
	tried := w.c.WaitRunning(t, dev, "cart", 1, time.Minute)[0]
	taken := w.c.WaitRunning(t, prod, "cart", 1, time.Minute)[0]
	node := taken.Spec.NodeName

	ground, err := g.GuardGround(t.Context(), node, "")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range ground.Pods {
		if p.UID == string(tried.UID) || p.UID == string(taken.UID) {
			found++
			if p.Workload != (touchstone.Workload{Kind: "Deployment", Name: "cart"}) || !p.Enforced || len(p.Containers) != 1 || p.Containers[0].Digest == "" {
				t.Errorf("the ground has %+v", p)
			}
		}
	}
	if found != 2 || ground.Source != theRules {
		t.Errorf("the ground has %d of 2 pods, and the rules\n%s", found, ground.Source)
	}

	// Somebody who was let in.
	if _, _, err := cluster.Exec(t.Context(), w.c.ImpersonatedConfig("ann", "system:masters"), dev, tried.Name, "cart", "/pause", "say", "hello"); err != nil {
		t.Fatal(err)
	}
	login := sighted(&tried, touchstone.EventLogin, touchstone.EffectAlert)
	login.Login = &touchstone.Login{Kind: touchstone.LoginExec, Command: []string{"/pause", "say", "hello"}}
	// Somebody who came past the door.
	past := sighted(&taken, touchstone.EventLogin, touchstone.EffectKill)
	past.Login = &touchstone.Login{Kind: touchstone.LoginNsenter, Command: []string{"sh"}}
	receipts, err := g.SendGuardEvents(t.Context(), api.GuardEvents{Node: node, Events: []touchstone.RuntimeEvent{login, past}})
	if err != nil {
		t.Fatal(err)
	}
	if l := receipts.Items[0].Login; l == nil || l.By != "ann" || l.Admitted == "" {
		t.Errorf("ann's session is joined with %+v", l)
	}
	if l := receipts.Items[1].Login; l == nil || l.Admitted != "" {
		t.Errorf("what came past the door is joined with %+v", l)
	}
	wait(t, "it is shown on the pod", time.Minute, func(ctx context.Context) error {
		all, err := w.c.Client().CoreV1().Events(prod).List(ctx, metav1.ListOptions{FieldSelector: "reason=Login,involvedObject.name=" + taken.Name})
		if err != nil || len(all.Items) == 0 {
			return fmt.Errorf("no event: %w", err)
		}
		return nil
	})
	wait(t, "it is a finding on the workload", time.Minute, func(context.Context) error {
		if !logs(t, w, prod) {
			return errors.New("it is none")
		}
		return nil
	})

	got, err := g.EvictForGuard(t.Context(), api.GuardEviction{Node: node, Namespace: prod, Pod: taken.Name, PodUID: string(taken.UID), Event: past.ID})
	if err != nil || !got.Done {
		t.Fatalf("evicting: %+v %v", got, err)
	}
	wait(t, "another runs, and the finding is over", 3*time.Minute, func(ctx context.Context) error {
		e, err := w.s.GuardEvent(ctx, past.ID)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(e.ReplacedBy, prod+"/cart-") || strings.Contains(e.ReplacedBy, taken.Name) {
			return fmt.Errorf("replaced by %q", e.ReplacedBy)
		}
		if logs(t, w, prod) {
			return errors.New("it is a finding still")
		}
		return nil
	})

	// With its pod the token ends.
	if err := w.c.Client().CoreV1().Pods(install.GuardNamespace(install.Name)).Delete(t.Context(), "guard", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the token is void", 3*time.Minute, func(ctx context.Context) error {
		_, err := g.GuardGround(ctx, node, "")
		var p *api.ProblemError
		if !errors.As(err, &p) || p.Status != 401 {
			return fmt.Errorf("it answers %w", err)
		}
		return nil
	})
	w.wantNowhere(t, token)
}

// standIn puts all but the DaemonSet of the guards into the cluster, and a pod in
// their place; the client has that pod's token.
func standIn(t *testing.T, w *world, image string) (*api.Client, string) {
	t.Helper()
	objects, err := install.Manifests(install.Options{URL: "https://" + w.s.webhook, Guard: true, GuardImage: image, GuardServer: "https://" + w.s.listen})
	if err != nil {
		t.Fatal(err)
	}
	ns := install.GuardNamespace(install.Name)
	k, ctx := w.c.Client(), t.Context()
	for _, o := range objects {
		var err error
		switch o := o.(type) {
		case *corev1.Namespace:
			if o.Name == ns {
				_, err = k.CoreV1().Namespaces().Create(ctx, o, metav1.CreateOptions{})
			}
		case *corev1.ServiceAccount:
			if o.Namespace == ns {
				_, err = k.CoreV1().ServiceAccounts(ns).Create(ctx, o, metav1.CreateOptions{})
			}
		case *rbac.ClusterRole:
			if strings.HasSuffix(o.Name, "-guards") {
				_, err = k.RbacV1().ClusterRoles().Create(ctx, o, metav1.CreateOptions{})
			}
		case *rbac.ClusterRoleBinding:
			if strings.HasSuffix(o.Name, "-guards") {
				_, err = k.RbacV1().ClusterRoleBindings().Create(ctx, o, metav1.CreateOptions{})
			}
		}
		if err != nil && !apierrors.IsAlreadyExists(err) { // what no namespace holds is there from the first to the last
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := w.c.RemoveNamespace(context.Background(), ns); err != nil {
			t.Error(err)
		}
	})
	pod := cluster.Pod(ns, "guard", image)
	pod.Spec.ServiceAccountName = install.Name + "-guard"
	if pod, err = k.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the pod of the guard is on a node", time.Minute, func(ctx context.Context) error {
		if pod, err = k.CoreV1().Pods(ns).Get(ctx, pod.Name, metav1.GetOptions{}); err != nil || pod.Spec.NodeName == "" {
			return fmt.Errorf("not yet: %w", err)
		}
		return nil
	})
	made, err := k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, pod.Spec.ServiceAccountName, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{kube.Audience}, BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &api.Client{Base: w.s.Base, HTTP: w.s.HTTP, Token: made.Status.Token, Attempts: 1}, made.Status.Token
}

// sighted is an event about the one container of a pod.
func sighted(p *corev1.Pod, kind touchstone.RuntimeEventKind, action touchstone.Effect) touchstone.RuntimeEvent {
	_, id, _ := strings.Cut(p.Status.ContainerStatuses[0].ContainerID, "://")
	now := time.Now().UTC()
	return touchstone.RuntimeEvent{
		Schema: touchstone.SchemaRuntimeEvent, ID: record.NewID(now), At: now, Count: 1, Kind: kind, Node: p.Spec.NodeName,
		Running: touchstone.Running{ID: id, Pod: p.Name, PodUID: string(p.UID), Namespace: p.Namespace, Workload: touchstone.Workload{Container: "cart"}},
		Reason:  touchstone.Reason{Rule: string(kind)}, Action: action,
	}
}

// logs reports whether a login is a finding on what runs in a namespace.
func logs(t *testing.T, w *world, ns string) bool {
	t.Helper()
	all, err := w.s.Running(t.Context(), ns, "", api.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Items {
		for _, f := range one.Findings {
			if f.Rule == string(touchstone.EventLogin) {
				return true
			}
		}
	}
	return false
}
