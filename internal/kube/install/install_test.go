package install_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/install"
)

var shared = cluster.NewShared(cluster.Options{})

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gate is a server outside the cluster that refuses what it is asked, and notes
// the paths and namespaces.
type gate struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	admit bool
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{}
	g.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.mu.Lock()
		g.asked = append(g.asked, strings.TrimSuffix(r.URL.Path+" "+review.Request.Resource.Resource+"/"+review.Request.SubResource, "/"))
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: g.admit, Result: &metav1.Status{Message: "not today"}}
		g.mu.Unlock()
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(g.Close)
	return g
}

// said returns what was asked since the last call.
func (g *gate) said() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.asked
	g.asked = nil
	return out
}

func (g *gate) bundle() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
}

// put installs a gate outside the cluster, until the test ends.
func put(t *testing.T, c *cluster.Cluster, o install.Options) {
	t.Helper()
	check(t, install.Apply(t.Context(), c.Config(), o))
	t.Cleanup(func() {
		if err := install.Remove(context.Background(), c.Config(), o); err != nil {
			t.Errorf("removing: %v", err)
		}
	})
}

func makePod(t *testing.T, c *cluster.Cluster, namespace string) error {
	_, err := c.Client().CoreV1().Pods(namespace).Create(t.Context(), cluster.Pod(namespace, "x", "registry.example/x:1"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// What a namespace is decides whether the gate is asked, and what holds when it is
// down.
func TestWhoIsAsked(t *testing.T) {
	c, g := shared.Use(t), newGate(t)
	put(t, c, install.Options{URL: g.URL, CABundle: g.bundle()})
	shop := c.Namespace(t, "shop", nil)
	dead := c.Namespace(t, "dead", map[string]string{kube.LabelGate: kube.GateOff})
	c.Eventually(t, "the webhooks are asked", 30*time.Second, func(context.Context) error {
		if err := makePod(t, c, shop); err == nil || !strings.Contains(err.Error(), "not today") {
			return fmt.Errorf("a pod in a namespace like any other: %w", err)
		}
		return nil
	})
	g.admit = true
	g.said()
	for namespace, want := range map[string][]string{
		shop: {"/mutate pods", "/validate pods"}, "kube-system": {"/mutate pods", "/validate pods"}, install.Name: {"/mutate pods", "/validate pods"}, dead: nil,
	} {
		if err := makePod(t, c, namespace); err != nil {
			t.Errorf("%s: %v", namespace, err)
		}
		if got := g.said(); !slices.Equal(got, want) {
			t.Errorf("%s: asked %v, want %v", namespace, got, want)
		}
	}
	made := c.CreateDeployment(t, shop, "cart", "registry.example/x:1", 1)
	if got := g.said(); !slices.Equal(got, []string{"/validate deployments"}) {
		t.Errorf("a deployment: asked %v", got)
	}
	_, err := c.Client().AppsV1().Deployments(shop).UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	check(t, err)
	if got := g.said(); got != nil {
		t.Errorf("its status: asked %v", got)
	}

	g.Close()
	for namespace, open := range map[string]bool{shop: false, "kube-system": true, install.Name: true, dead: true} {
		if err := makePod(t, c, namespace); (err == nil) != open {
			t.Errorf("%s, with the gate down: %v", namespace, err)
		}
	}
}

func TestOnlySomeNamespaces(t *testing.T) {
	c, g := shared.Use(t), newGate(t)
	one, other := c.Namespace(t, "one", nil), c.Namespace(t, "other", nil)
	put(t, c, install.Options{URL: g.URL, CABundle: g.bundle(), Namespaces: []string{one}})
	c.Eventually(t, "the one is refused", 30*time.Second, func(context.Context) error {
		if makePod(t, c, one) == nil {
			return fmt.Errorf("a pod got into %s", one)
		}
		return nil
	})
	if err := makePod(t, c, other); err != nil {
		t.Errorf("the other: %v", err)
	}
}

// clients are an ordinary editor of everything, somebody who may disable the gate
// besides, and the server's own account.
func as(t *testing.T, c *cluster.Cluster, user string) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.ImpersonatedConfig(user))
	check(t, err)
	return client
}

func TestWhoSwitchesTheGateOff(t *testing.T) {
	c, g := shared.Use(t), newGate(t)
	put(t, c, install.Options{URL: g.URL, CABundle: g.bundle()})
	bind(t, c, "alice", "editor-of-all")
	bind(t, c, "bob", "editor-of-all")
	bind(t, c, "bob", "touchstone-disable-gate")
	alice, bob := as(t, c, "alice"), as(t, c, "bob")
	ns := c.Namespace(t, "shop", nil)
	off := []byte(`{"metadata":{"labels":{"` + kube.LabelGate + `":"off"}}}`)
	on := []byte(`{"metadata":{"labels":{"` + kube.LabelGate + `":null,"team":"shop"}}}`)
	patch := func(k kubernetes.Interface, body []byte, sub ...string) error {
		_, err := k.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, body, metav1.PatchOptions{}, sub...)
		return err
	}
	refused := func(what string, err error) {
		t.Helper()
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "disable") {
			t.Errorf("%s: %v, want the policy's refusal", what, err)
		}
	}
	c.Eventually(t, "the policy holds", 30*time.Second, func(context.Context) error {
		if err := patch(alice, off); !apierrors.IsForbidden(err) {
			_ = patch(c.Client(), on)
			return fmt.Errorf("alice switched it off: %w", err)
		}
		return nil
	})
	refused("alice", patch(alice, off))
	refused("alice, by the status", patch(alice, off, "status"))
	_, err := alice.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "born-off", Labels: map[string]string{kube.LabelGate: "off"}}}, metav1.CreateOptions{})
	refused("alice, with a new namespace", err)
	check(t, patch(alice, []byte(`{"metadata":{"labels":{"team":"shop"}}}`)))
	check(t, patch(bob, off))
	refused("alice, on again", patch(alice, on))
	check(t, patch(c.Client(), on))

	// The webhooks themselves.
	loose := []byte(`{"webhooks":[]}`)
	hooks := func(k kubernetes.Interface, body []byte) error {
		_, err := k.AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(t.Context(), install.Name, types.MergePatchType, body, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	refused("alice, the webhooks", hooks(alice, loose))
	check(t, hooks(bob, loose))
	dry := metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
	refused("alice, deleting", alice.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(t.Context(), install.Name, dry))
	refused("alice, deleting all", alice.AdmissionregistrationV1().ValidatingWebhookConfigurations().DeleteCollection(t.Context(), dry, metav1.ListOptions{}))

	// The server's own account may keep the bundle, and nothing else.
	server := as(t, c, "system:serviceaccount:touchstone:touchstone")
	kept, err := server.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), install.Name, metav1.GetOptions{})
	check(t, err)
	kept.Webhooks = kept.Webhooks[:1]
	_, err = server.AdmissionregistrationV1().ValidatingWebhookConfigurations().Update(t.Context(), kept, metav1.UpdateOptions{})
	refused("the server, dropping a webhook", err)
}

func TestTheServerOnlyAnnotates(t *testing.T) {
	c, g := shared.Use(t), newGate(t)
	g.admit = true
	put(t, c, install.Options{URL: g.URL, CABundle: g.bundle()})
	ns := c.Namespace(t, "shop", nil)
	c.CreateDeployment(t, ns, "cart", "registry.example/x:1", 1)
	server := as(t, c, "system:serviceaccount:touchstone:touchstone")
	patch := func(body string) error {
		_, err := server.AppsV1().Deployments(ns).Patch(t.Context(), "cart", types.MergePatchType, []byte(body), metav1.PatchOptions{})
		return err
	}
	c.Eventually(t, "it may annotate", 30*time.Second, func(context.Context) error {
		return patch(`{"metadata":{"annotations":{"touchstone.dev/asked-again":"now"}}}`)
	})
	replicas := 1
	c.Eventually(t, "it may not scale", 30*time.Second, func(context.Context) error {
		replicas++ // the API server hears of a policy a moment after it is there
		if err := patch(fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "annotates") {
			return fmt.Errorf("scaling: %w", err)
		}
		return nil
	})
}

// bind gives a user a cluster role for this test; editor-of-all is one that may
// change all that the policies guard, as far as RBAC says.
func bind(t *testing.T, c *cluster.Cluster, user, role string) {
	t.Helper()
	text := `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: editor-of-all}, rules: [
		{apiGroups: [""], resources: [namespaces, namespaces/status], verbs: ["*"]}, {apiGroups: [admissionregistration.k8s.io], resources: ["*"], verbs: ["*"]}]}`
	applyYAML(t, c, "clusterroles", "editor-of-all", text)
	name := user + "-" + role
	applyYAML(t, c, "clusterrolebindings", name, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: `+name+`},
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: `+role+`}, subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: `+user+`}]}`)
}

func applyYAML(t *testing.T, c *cluster.Cluster, resource, name, text string) {
	t.Helper()
	body, err := yaml.YAMLToJSON([]byte(text))
	check(t, err)
	check(t, c.Client().RbacV1().RESTClient().Patch(types.ApplyPatchType).Resource(resource).Name(name).Param("fieldManager", "test").Param("force", "true").Body(body).Do(t.Context()).Error())
}

// Every object is one that the API server knows, and every policy's CEL compiles.
func TestEverythingIsValid(t *testing.T) {
	c := shared.Use(t)
	o := install.Options{Image: "registry.example/touchstone@sha256:" + strings.Repeat("a", 64), NetworkPolicy: true, StorageClass: "fast", CABundle: newGate(t).bundle(), Guard: true}
	objects, err := install.Manifests(o)
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	// There are no controllers here that make the server ready: all but the webhooks
	// is applied, and nothing is refused.
	err = install.Apply(ctx, c.Config(), o)
	if err == nil || !strings.Contains(err.Error(), "it is not ready") {
		t.Fatalf("with a server that never starts: %v", err)
	}
	_, err = c.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), install.Name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the webhooks are there before the server is: %v", err)
	}
	// Printed, they are what kubectl would send; strictly read.
	var text bytes.Buffer
	check(t, install.WriteYAML(&text, objects))
	for _, document := range strings.Split(text.String(), "---\n")[1:] {
		createStrictly(t, c, document)
	}
	check(t, install.Remove(t.Context(), c.Config(), o))
	left, err := c.Client().CoreV1().PersistentVolumeClaims(install.Name).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 1 {
		t.Errorf("of the data %d volumes are left: %v", len(left.Items), err)
	}
	policies, err := c.Client().AdmissionregistrationV1().ValidatingAdmissionPolicies().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(policies.Items) != 0 {
		t.Errorf("%d policies are left: %v", len(policies.Items), err)
	}
}

// A guard has no right in the cluster, and what it may do on its node is written down
// here once more, so that nobody adds to it by the way.
func TestWhatAGuardMay(t *testing.T) {
	objects, err := install.Manifests(install.Options{Image: "registry.example/touchstone:1", Guard: true})
	check(t, err)
	var text bytes.Buffer
	check(t, install.WriteYAML(&text, objects))
	var daemons *appsv1.DaemonSet
	for _, o := range objects {
		switch o := o.(type) {
		case *appsv1.DaemonSet:
			daemons = o
		case *rbac.ClusterRoleBinding:
			for _, s := range o.Subjects {
				if s.Namespace != install.Name {
					t.Errorf("%s gives %s/%s a right", o.Name, s.Namespace, s.Name)
				}
			}
		case *rbac.RoleBinding:
			for _, s := range o.Subjects {
				if s.Namespace != install.Name {
					t.Errorf("%s gives %s/%s a right", o.Name, s.Namespace, s.Name)
				}
			}
		}
	}
	spec := &daemons.Spec.Template.Spec
	one := &spec.Containers[0]
	if *spec.AutomountServiceAccountToken || spec.HostNetwork || spec.HostIPC || !spec.HostPID || *one.SecurityContext.Privileged || !*one.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("%+v", spec)
	}
	want := []corev1.Capability{"BPF", "DAC_READ_SEARCH", "KILL", "LEASE", "PERFMON", "SYS_ADMIN", "SYS_PTRACE", "SYS_RESOURCE"}
	if got := slices.Sorted(slices.Values(one.SecurityContext.Capabilities.Add)); !slices.Equal(got, want) || !slices.Equal(one.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("it has %v, want %v", got, want)
	}
	var paths []string
	for _, v := range spec.Volumes {
		if v.HostPath != nil {
			paths = append(paths, v.HostPath.Path)
		}
		if v.Projected != nil && v.Projected.Sources[0].ServiceAccountToken.Audience != kube.Audience {
			t.Errorf("its token is for %s", v.Projected.Sources[0].ServiceAccountToken.Audience)
		}
	}
	if slices.Sort(paths); !slices.Equal(paths, []string{"/run/touchstone", "/sys/fs/bpf", "/var/lib/touchstone"}) {
		t.Errorf("it has the node's %v", paths)
	}
	if args := strings.Join(one.Args, " "); !strings.HasPrefix(args, "guard --server https://touchstone.touchstone.svc --token-file ") {
		t.Errorf("it is called with %s", args)
	}
	for _, o := range objects {
		if d, ok := o.(*appsv1.Deployment); ok && !slices.Contains(d.Spec.Template.Spec.Containers[0].Args, "--guard-namespace") {
			t.Error("the server does not know of its guards")
		}
	}
}

// createStrictly applies a YAML document with all unknown fields refused.
func createStrictly(t *testing.T, c *cluster.Cluster, document string) {
	t.Helper()
	var m metav1.PartialObjectMetadata
	check(t, yaml.Unmarshal([]byte(document), &m))
	resource := strings.ToLower(m.Kind) + "s"
	if m.Kind == "NetworkPolicy" {
		resource = "networkpolicies"
	} else if m.Kind == "ValidatingAdmissionPolicy" {
		resource = "validatingadmissionpolicies"
	}
	path := "/api/v1"
	if strings.Contains(m.APIVersion, "/") {
		path = "/apis/" + m.APIVersion
	}
	if m.Namespace != "" {
		path += "/namespaces/" + m.Namespace
	}
	err := c.Client().CoreV1().RESTClient().Patch(types.ApplyPatchType).AbsPath(path, resource, m.Name).
		Param("fieldManager", "test").Param("fieldValidation", "Strict").Param("force", "true").Param("dryRun", "All").Body([]byte(document)).Do(t.Context()).Error()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", m.Kind, m.Name, err, document)
	}
}

func TestInstallingAgainChangesNothing(t *testing.T) {
	c, g := shared.Use(t), newGate(t)
	o := install.Options{URL: g.URL, CABundle: g.bundle()}
	put(t, c, o)
	versions := func() string {
		p, err := c.Client().AdmissionregistrationV1().ValidatingAdmissionPolicies().List(t.Context(), metav1.ListOptions{})
		check(t, err)
		w, err := c.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), install.Name, metav1.GetOptions{})
		check(t, err)
		all := []string{w.ResourceVersion}
		for i := range p.Items {
			all = append(all, fmt.Sprint(p.Items[i].Name, p.Items[i].Generation))
		}
		return strings.Join(all, " ")
	}
	before := versions()
	check(t, install.Apply(t.Context(), c.Config(), o))
	if after := versions(); after != before {
		t.Errorf("from %s to %s", before, after)
	}
}

func TestTheBundleIsKept(t *testing.T) {
	c, g := shared.Use(t), newGate(t)
	put(t, c, install.Options{URL: g.URL, CABundle: g.bundle(), Guard: true, GuardImage: "registry.example/touchstone:1", GuardServer: "https://127.0.0.1:1"})
	var mu sync.Mutex
	bundle, changed := newGate(t).bundle(), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	keeper := install.Keeper{
		Client: as(t, c, "system:serviceaccount:touchstone:touchstone"), Guards: install.GuardNamespace(install.Name), Every: 100 * time.Millisecond,
		Bundle: func() ([]byte, <-chan struct{}) {
			mu.Lock()
			defer mu.Unlock()
			return bundle, changed
		},
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = keeper.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	holds := func(want []byte) {
		t.Helper()
		c.Eventually(t, "all hold the bundle", 30*time.Second, func(ctx context.Context) error {
			v, err := c.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, install.Name, metav1.GetOptions{})
			check(t, err)
			m, err := c.Client().AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, install.Name, metav1.GetOptions{})
			check(t, err)
			told, err := c.Client().CoreV1().ConfigMaps(install.Name).List(ctx, metav1.ListOptions{})
			check(t, err)
			for i := range 2 {
				if !bytes.Equal(v.Webhooks[i].ClientConfig.CABundle, want) || !bytes.Equal(m.Webhooks[i].ClientConfig.CABundle, want) {
					return fmt.Errorf("webhook %d has another", i)
				}
			}
			if !slices.ContainsFunc(told.Items, func(m corev1.ConfigMap) bool { return m.Data["ca.pem"] == string(want) }) {
				return fmt.Errorf("the ConfigMap has another")
			}
			guards, err := c.Client().CoreV1().ConfigMaps(install.GuardNamespace(install.Name)).List(ctx, metav1.ListOptions{})
			check(t, err)
			if !slices.ContainsFunc(guards.Items, func(m corev1.ConfigMap) bool { return m.Data["ca.pem"] == string(want) }) {
				return fmt.Errorf("that of the guards has another")
			}
			return nil
		})
	}
	holds(bundle)
	mu.Lock()
	next := append(slices.Clone(bundle), g.bundle()...)
	close(changed)
	bundle, changed = next, make(chan struct{})
	mu.Unlock()
	holds(next)
	// Somebody who may takes it away: it comes back.
	_, err := c.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(t.Context(), install.Name, types.JSONPatchType,
		[]byte(`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`), metav1.PatchOptions{})
	check(t, err)
	holds(next)
}

func TestWhatCannotBeInstalled(t *testing.T) {
	for _, o := range []install.Options{{}, {Image: "x", URL: "https://x"}, {URL: "http://x"}, {Image: "x", Storage: "much"}, {URL: "https://x", Guard: true}} {
		if _, err := install.Manifests(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}
