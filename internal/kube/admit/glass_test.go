package admit_test

import (
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/record"
)

// deployment is one of a single container, with a reason for breaking the glass
// unless that is "".
func deployment(image, reason string) *appsv1.Deployment {
	d := &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: "shop"},
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: pod(image).Spec}},
	}
	if reason != "" {
		d.Annotations = map[string]string{admit.Annotation: reason}
	}
	return d
}

// ofCart is a pod of the Deployment cart.
func ofCart(image string) *corev1.Pod {
	p := pod(image)
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart-5f", UID: "rs-1", Controller: new(true)}}
	return p
}

const replicaSets = "system:serviceaccount:kube-system:replicaset-controller"

func TestWhoMayBreakTheGlass(t *testing.T) {
	urgent := func(p *corev1.Pod) *corev1.Pod {
		p.Annotations = map[string]string{admit.Annotation: "the shop is down"}
		return p
	}
	for name, tc := range map[string]struct {
		kind    string
		object  runtime.Object
		options []option
		want    bool
		says    string
		broken  int // entries in the log
	}{
		"who may, on a workload":       {"Deployment", deployment(root, "the shop is down"), []option{as("alice")}, true, "", 1},
		"who may, in a dry run":        {"Deployment", deployment(root, "the shop is down"), []option{as("alice"), dry}, true, "", 0},
		"who may, by an update":        {"Deployment", deployment(root, "the shop is down"), []option{as("alice"), onto(deployment(root, ""))}, true, "", 1},
		"who may, with another reason": {"Deployment", deployment(root, "still down"), []option{as("alice"), onto(deployment(root, "the shop is down"))}, true, "", 1},
		"who may not":                  {"Deployment", deployment(root, "please"), nil, false, "bob may not break the glass in shop", 0},
		"who may not, needing none":    {"Deployment", deployment(cart, "please"), nil, false, "bob may not break the glass in shop", 0},
		"without a reason":             {"Deployment", deployment(root, " "), []option{as("alice")}, false, "takes a reason", 0},
		"with an endless reason":       {"Deployment", deployment(root, strings.Repeat("x", 501)), []option{as("alice")}, false, "takes a reason", 0},
		"written before, other image":  {"Deployment", deployment(root, "the shop is down"), []option{onto(deployment(cart, "the shop is down"))}, false, "runs-as-root", 0},
		"written before, scaled":       {"Deployment", deployment(root, "the shop is down"), []option{onto(deployment(root, "the shop is down"))}, true, "", 0},
		"what contradicts itself":      {"Deployment", deployment("registry.example/lie:1", "the shop is down"), []option{as("alice")}, false, "integrity", 0},
		"no digest to bind it to":      {"Deployment", deployment(gone, "the shop is down"), []option{as("alice")}, false, "has no digest", 0},
		"who may, on a bare pod":       {"Pod", urgent(pod(at(root, two))), []option{as("alice")}, true, "", 1},
		"who may, on a bare pod, early": {
			"Pod", urgent(pod(root)), []option{as("alice"), mutate}, true, "", 0,
		},
		"who may not, on a bare pod":     {"Pod", urgent(pod(at(root, two))), nil, false, "bob may not", 0},
		"a forged owner does not help":   {"Pod", urgent(ofCart(at(root, two))), nil, false, "bob may not", 0},
		"copied by a controller":         {"Pod", urgent(ofCart(at(root, two))), []option{as(replicaSets)}, false, "runs-as-root", 0},
		"copied by a controller, unseen": {"Pod", urgent(ofCart(at(fresh, one))), []option{as(replicaSets)}, false, "not seen before", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var told []admit.Glass
			f := newFront(t, func(c *admit.Config) { c.Announce = func(g admit.Glass) { told = append(told, g) } })
			got := f.send(tc.kind, tc.object.DeepCopyObject(), tc.options...)
			if got.Allowed != tc.want || !strings.Contains(message(got), tc.says) {
				t.Errorf("allowed %v, want %v; says %q, want %q", got.Allowed, tc.want, message(got), tc.says)
			}
			if n := f.entries(); n != tc.broken || len(told) != tc.broken {
				t.Errorf("%d entries and %d announced, want %d", n, len(told), tc.broken)
			}
		})
	}
}

// entries counts the break-glasses in the log.
func (f *front) entries() (n int) {
	f.Helper()
	for _, err := range f.store.Entries(f.Context(), record.EntryQuery{Kinds: []string{admit.EntryGlass}}) {
		if err != nil {
			f.Fatal(err)
		}
		n++
	}
	return n
}

func TestPodsInheritABrokenGlassForItsDigestAndAnHour(t *testing.T) {
	f := newFront(t, nil)
	now := noon
	f.desk.now = func() time.Time { return now }
	start := func(p *corev1.Pod, options ...option) *admissionv1.AdmissionResponse {
		f.Helper()
		return f.send("Pod", p, append([]option{as(replicaSets)}, options...)...)
	}
	if got := start(ofCart(root), mutate); got.Allowed {
		t.Fatal("let in before the glass is broken")
	}
	if got := f.send("Deployment", deployment(root, "the shop is down"), as("alice")); !got.Allowed {
		t.Fatal(message(got))
	}
	g, _, err := record.Get[admit.Glass](t.Context(), f.store, admit.KindGlass, "east/shop/Deployment/cart")
	if err != nil || g.By != "alice" || g.Reason != "the shop is down" || !g.Until.Equal(noon.Add(time.Hour)) || len(g.Digests) != 1 || g.Digests[0] != two {
		t.Fatalf("%v, %+v", err, g)
	}
	first := start(ofCart(root), mutate)
	if !first.Allowed || patched(t, ofCart(root), first.Patch).Spec.Containers[0].Image != at(root, two) {
		t.Fatal(message(first))
	}
	if got := start(ofCart(at(root, two))); !got.Allowed {
		t.Error(message(got))
	}
	if got := f.send("Pod", ofCart(at(root, two))); got.Allowed {
		t.Error("bob's pod that claims to be the Deployment's has inherited")
	}
	if got := start(ofCart(at(root, two)), in("vault")); got.Allowed {
		t.Error("it holds in another namespace")
	}
	f.desk.images["registry.example/root:1"] = image{digest: one}
	if got := start(ofCart(root), mutate); got.Allowed {
		t.Error("it holds for another digest")
	}
	now = noon.Add(time.Hour)
	if got := start(ofCart(at(root, two))); got.Allowed {
		t.Error("it holds for longer than an hour")
	}
	now = noon.Add(-time.Hour)
	if got := start(ofCart(at(root, two))); got.Allowed {
		t.Error("a clock that was set back makes it last")
	}
}

func TestABrokenGlassIsForWhatThePersonHasLookedAt(t *testing.T) {
	f := newFront(t, nil)
	broken := deployment(root, "the shop is down")
	broken.Spec.Template.Spec.Containers[0].Args = []string{"--password=hunter2hunter2"}
	if got := f.send("Deployment", broken, as("alice")); !got.Allowed {
		t.Fatal(message(got))
	}
	for f, err := range f.store.Facts(t.Context(), record.FactQuery{Kind: admit.KindGlass}) {
		if err != nil || strings.Contains(string(f.Value), "hunter2") {
			t.Errorf("the record holds a secret: %s (%v)", f.Value, err)
		}
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod, *corev1.Container)
		want   bool
	}{
		"as it was": {func(*corev1.Pod, *corev1.Container) {}, true},
		"as root": {func(_ *corev1.Pod, c *corev1.Container) {
			c.SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(0))}
		}, false},
		"privileged": {func(_ *corev1.Pod, c *corev1.Container) {
			c.SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
		}, false},
		"on the host's net": {func(p *corev1.Pod, _ *corev1.Container) { p.Spec.HostNetwork = true }, false},
		"another command":   {func(_ *corev1.Pod, c *corev1.Container) { c.Command = []string{"sh"} }, false},
		"in another place":  {func(_ *corev1.Pod, c *corev1.Container) { c.Name = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := ofCart(at(root, two))
			p.Spec.Containers[0].Args = broken.Spec.Template.Spec.Containers[0].Args
			tc.change(p, &p.Spec.Containers[0])
			if got := f.send("Pod", p, as(replicaSets)); got.Allowed != tc.want {
				t.Errorf("allowed %v, want %v: %s", got.Allowed, tc.want, message(got))
			}
		})
	}
}

func TestNoAnswerAboutARightBreaksNothing(t *testing.T) {
	f := newFront(t, nil)
	f.town.fails = errDown
	if got := f.send("Deployment", deployment(root, "the shop is down"), as("alice")); got.Allowed || f.entries() != 0 {
		t.Errorf("%v: %s", got.Allowed, message(got))
	}
}

func TestLogins(t *testing.T) {
	for name, tc := range map[string]struct {
		pod, sub  string
		namespace string
		want      bool
		says      string
		kind      touchstone.LoginKind
	}{
		"exec in prod":                 {"cart-5f-x", "exec", "shop", false, "refused: exec into Deployment cart (main): login: exec by bob; prod allows: block", touchstone.LoginExec},
		"attach in prod":               {"cart-5f-x", "attach", "shop", false, "fix: change the image and redeploy", touchstone.LoginAttach},
		"port-forward in prod":         {"cart-5f-x", "portforward", "shop", false, "port-forward by bob", touchstone.LoginPortForward},
		"proxy in prod":                {"cart-5f-x", "proxy", "shop", false, "port-forward by bob", touchstone.LoginPortForward},
		"exec in dev":                  {"trial", "exec", "lab", true, "", touchstone.LoginExec},
		"exec into a stricter pod":     {"vault", "exec", "lab", false, "prod allows: block", touchstone.LoginExec},
		"exec into nothing":            {"nobody", "exec", "shop", false, "there is no pod nobody", ""},
		"another way through the pod":  {"cart-5f-x", "log", "shop", true, "", ""},
		"the mutating webhook is mute": {"cart-5f-x", "exec", "shop", true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, nil)
			options := []option{operation("CONNECT"), sub(tc.sub), in(tc.namespace), func(a *ask) { a.Name = tc.pod }}
			if strings.HasPrefix(name, "the mutating") {
				options = append(options, mutate)
			}
			got := f.send("Pod", &corev1.PodExecOptions{TTY: true, Container: "main", Command: []string{"sh", "-c", "id"}}, options...)
			if got.Allowed != tc.want || !strings.Contains(message(got), tc.says) {
				t.Errorf("allowed %v, want %v; says %q, want %q", got.Allowed, tc.want, message(got), tc.says)
			}
			if tc.kind == "" {
				if len(f.desk.logins) != 0 {
					t.Errorf("asked %v", f.desk.logins)
				}
				return
			}
			l := f.desk.logins[0].Question.Login
			if l.Kind != tc.kind || l.By != "bob" || len(l.Command) != 3 || !l.TTY || len(f.desk.logins) != 1 || f.desk.logins[0].Pod != tc.pod {
				t.Errorf("asked %+v of %s", l, f.desk.logins[0].Pod)
			}
		})
	}
}

func TestAnEphemeralContainerIsALoginAndAnImage(t *testing.T) {
	debugged := func(p *corev1.Pod, image string) *corev1.Pod {
		c := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: image, TTY: true, Command: []string{"sh"}}}
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, c)
		return p
	}
	for name, tc := range map[string]struct {
		namespace, image string
		mutate           bool
		want             bool
		says             string
		logins           int
	}{
		"prod refuses the login":      {"shop", at(cart, one), false, false, "debug by bob", 1},
		"dev lets both in":            {"lab", at(cart, one), false, true, "", 1},
		"dev judges the image":        {"lab", "registry.example/lie:1@" + string(two), false, false, "integrity", 1},
		"the image is pinned":         {"lab", cart, true, true, "", 0},
		"an image that has no digest": {"lab", cart, false, false, "added after it was judged", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, nil)
			options := []option{onto(pod(root)), sub("ephemeralcontainers"), in(tc.namespace)}
			p := debugged(pod(root), tc.image)
			if tc.mutate {
				options = append(options, mutate)
			}
			got := f.send("Pod", p, options...)
			if got.Allowed != tc.want || !strings.Contains(message(got), tc.says) || len(f.desk.logins) != tc.logins {
				t.Errorf("allowed %v, want %v; %d logins; says %q, want %q", got.Allowed, tc.want, len(f.desk.logins), message(got), tc.says)
			}
			if tc.mutate {
				after := patched(t, p, got.Patch)
				if after.Spec.EphemeralContainers[0].Image != at(cart, one) || after.Spec.Containers[0].Image != root {
					t.Errorf("patch %s", got.Patch)
				}
			}
		})
	}
}
