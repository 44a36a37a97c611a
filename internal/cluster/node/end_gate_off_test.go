package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/install"
)

// With the gate dead, who may disable it lets a namespace past it, and nobody
// else; when it is back it says so, and what came in is a finding.
func gateOff(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, _ := w.push(t, "shop/off:1", bad)
	ann, bob := w.keeper(t, "ann-of-platform"), w.keeper(t, "bob-of-shop")
	w.bindAll(t, "ann-of-platform", install.Name+"-disable-gate")
	w.may(t, "", "ann-of-platform", "disable", kube.Group, kube.ResourceGates)
	label := func(who kubernetes.Interface, value string) error {
		_, err := who.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, kube.LabelGate, value), metav1.PatchOptions{})
		return err
	}

	w.s.kill()
	wantRefused(t, label(bob, `"off"`), `only who may "disable" "gates"`)
	if err := label(ann, `"off"`); err != nil {
		t.Fatal(err)
	}
	wait(t, "pods come past the gate", time.Minute, func(context.Context) error { return w.create(t, ns, "past", image) })
	w.c.WaitRunning(t, ns, "past", 1, time.Minute)

	w.s.start(t)
	wait(t, "the gate tells that it is switched off", time.Minute, func(ctx context.Context) error {
		h, err := w.s.Ready(ctx)
		if err != nil || !strings.Contains(strings.Join(h.Warnings, "\n"), ns) {
			return fmt.Errorf("it says %+v: %w", h, err)
		}
		return nil
	})
	w.wantFinding(t, ns, "past")
	wantRefused(t, label(bob, "null"), `only who may "disable" "gates"`)
	if err := label(ann, "null"); err != nil {
		t.Fatal(err)
	}
	wait(t, "the gate judges again", time.Minute, func(ctx context.Context) error {
		_, err := w.c.Client().CoreV1().Pods(ns).Create(ctx, cluster.Pod(ns, "new", image), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return fmt.Errorf("it does not yet")
		}
		return nil
	})
}

// keeper may change namespaces.
func (w *world) keeper(t *testing.T, name string) kubernetes.Interface {
	t.Helper()
	roles := w.c.Client().RbacV1().ClusterRoles()
	_, err := roles.Create(t.Context(), &rbac.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbac.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"*"}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = roles.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	w.bindAll(t, name, name)
	w.may(t, "", name, "patch", "", "namespaces")
	client, err := kubernetes.NewForConfig(w.c.ImpersonatedConfig(name))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// bindAll gives a user a role everywhere.
func (w *world) bindAll(t *testing.T, user, role string) {
	t.Helper()
	bindings := w.c.Client().RbacV1().ClusterRoleBindings()
	made, err := bindings.Create(t.Context(), &rbac.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: user + "-"}, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbac.Subject{{Kind: rbac.UserKind, APIGroup: rbac.GroupName, Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bindings.Delete(context.Background(), made.Name, metav1.DeleteOptions{}) })
}
