package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/install"
)

// Who may break the glass gets in one workload what the rules refuse, for the
// digest that it names, with their name and reason in the log; nobody else does.
func glass(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/glass:1", bad)
	other, _ := w.push(t, "shop/glass:2", bad)
	w.seen(t, image)
	w.seen(t, other)
	ann, bob := w.person(t, ns, "ann"), w.person(t, ns, "bob")
	w.bind(t, ns, "ann", "ClusterRole", install.Name+"-break-glass")
	w.may(t, ns, "ann", "break", kube.Group, kube.ResourceGlass)

	const reason = "the shop is down"
	put := func(who kubernetes.Interface, name, why string) error {
		d := cluster.Deployment(ns, name, image, 1)
		if why != "" {
			d.Annotations = map[string]string{admit.Annotation: why}
		}
		_, err := who.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
		return err
	}
	wantRefused(t, put(ann, "none", ""), "refused", "CVE-2026-1001")
	wantRefused(t, put(bob, "cart", reason), "bob may not break the glass")
	wantRefused(t, put(ann, "cart", " "), "takes a reason")
	if err := put(ann, "cart", reason); err != nil {
		t.Fatal(err)
	}
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 1, time.Minute), "cart", pinned(image, digest))
	// Its pods may start again while the hour lasts.
	w.restart(t, ns, "cart")
	w.c.WaitRunning(t, ns, "cart", 1, time.Minute)

	wantRefused(t, w.setImage(t, ann, ns, "cart", other), "refused", "CVE-2026-1001")
	wantRefused(t, put(bob, "second", ""), "refused", "CVE-2026-1001")
	// A pod that says of itself that the workload keeps it inherits nothing.
	forged := cluster.Pod(ns, "forged", image)
	forged.OwnerReferences = w.ownerOf(t, ns, "cart")
	_, err := bob.CoreV1().Pods(ns).Create(t.Context(), forged, metav1.CreateOptions{})
	wantRefused(t, err, "refused", "CVE-2026-1001")

	page, err := w.s.Log(t.Context(), admit.EntryGlass, "", api.Paging{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("%d break-glasses are written down, want one: %v", len(page.Items), err)
	}
	if one := page.Items[0]; one.Actor != "ann" || !contains(string(one.Document), reason, string(digest), "Deployment", "cart", ns) {
		t.Errorf("written down is %s: %s", one.Actor, one.Document)
	}
	if said := w.s.said(); !contains(said, "glass", "ann", reason) {
		t.Error("the server has not announced it")
	}
}

// person may do everything with deployments and pods of the namespace.
func (w *world) person(t *testing.T, ns, name string) kubernetes.Interface {
	t.Helper()
	all := []string{"*"}
	_, err := w.c.Client().RbacV1().Roles(ns).Create(t.Context(), &rbac.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbac.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: all, Verbs: all}, {APIGroups: []string{""}, Resources: all, Verbs: all},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.bind(t, ns, name, "Role", name)
	w.may(t, ns, name, "create", "apps", "deployments")
	client, err := kubernetes.NewForConfig(w.c.ImpersonatedConfig(name))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// bind gives a user a role in the namespace.
func (w *world) bind(t *testing.T, ns, user, kind, role string) {
	t.Helper()
	_, err := w.c.Client().RbacV1().RoleBindings(ns).Create(t.Context(), &rbac.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: user + "-"}, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: kind, Name: role},
		Subjects: []rbac.Subject{{Kind: rbac.UserKind, APIGroup: rbac.GroupName, Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// may waits until the API server knows that the user may.
func (w *world) may(t *testing.T, ns, user, verb, group, resource string) {
	t.Helper()
	wait(t, fmt.Sprintf("%s may %s %s", user, verb, resource), time.Minute, func(ctx context.Context) error {
		r, err := w.c.Client().AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: ns, Verb: verb, Group: group, Resource: resource,
			}},
		}, metav1.CreateOptions{})
		if err == nil && !r.Status.Allowed {
			err = errors.New("not yet")
		}
		return err
	})
}

// setImage writes another image into a deployment.
func (w *world) setImage(t *testing.T, who kubernetes.Interface, ns, name, image string) error {
	t.Helper()
	return w.change(t, who, ns, name, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

func (w *world) change(t *testing.T, who kubernetes.Interface, ns, name string, how func(*appsv1.Deployment)) error {
	t.Helper()
	for {
		d, err := who.AppsV1().Deployments(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		how(d)
		_, err = who.AppsV1().Deployments(ns).Update(t.Context(), d, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}

// ownerOf refers to the ReplicaSet of a deployment, as its pods do.
func (w *world) ownerOf(t *testing.T, ns, name string) []metav1.OwnerReference {
	t.Helper()
	pods := w.c.WaitRunning(t, ns, name, 1, time.Minute)
	return pods[0].OwnerReferences
}
