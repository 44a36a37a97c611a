package node

import (
	"io"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/cluster"
)

// permitted is how a refused login is told what to do instead.
const permitted = "change the image and redeploy"

// Every way into a pod is refused in prod, with the way that is permitted, and
// written down once; in dev people get in.
func logins(t *testing.T, w *world) {
	image, _ := w.push(t, "shop/login:1", good)
	w.seen(t, image)
	prod, dev := w.namespace(t, "prod"), w.namespace(t, "dev")
	for _, ns := range []string{prod, dev} {
		w.c.CreateDeployment(t, ns, "cart", image, 1)
	}
	inside := w.c.WaitRunning(t, prod, "cart", 1, time.Minute)[0].Name

	const secret = "tiger-Zq8-on-a-command-line"
	_, _, err := cluster.Exec(t.Context(), w.c.ImpersonatedConfig("ann", "system:masters"), prod, inside, "cart", "/pause", "say", "--password="+secret)
	wantRefused(t, err, "refused", permitted)
	wantLogins(t, w, prod, 1)

	wantRefused(t, attach(t, w, prod, inside), "refused", permitted)
	wantRefused(t, forward(t, w, prod, inside), "refused", permitted)
	wantRefused(t, debug(t, w, prod, inside, image), "refused", permitted)
	wantLogins(t, w, prod, 4)
	for _, l := range loggedIn(t, w, prod) {
		if l.Verdict != touchstone.Refused || l.Actor == "" {
			t.Errorf("the decision about %s is %s: %s", l.Workload, l.Verdict, l.Why)
		}
	}

	inside = w.c.WaitRunning(t, dev, "cart", 1, time.Minute)[0].Name
	out, problems, err := cluster.Exec(t.Context(), w.c.Config(), dev, inside, "cart", "/pause", "say", "hello")
	if err != nil || out != "hello\n" {
		t.Errorf("exec in dev said %q and %q: %v", out, problems, err)
	}
	wantLogins(t, w, dev, 1)
	w.wantNowhere(t, secret)
}

// loggedIn returns the decisions about logins in a namespace.
func loggedIn(t *testing.T, w *world, ns string) (out []api.Decision) {
	t.Helper()
	page, err := w.s.Decisions(t.Context(), api.DecisionFilter{Namespace: ns}, api.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range page.Items {
		if d.Occasion == touchstone.OccasionLogin {
			out = append(out, d)
		}
	}
	return out
}

func wantLogins(t *testing.T, w *world, ns string, want int) {
	t.Helper()
	if got := loggedIn(t, w, ns); len(got) != want {
		t.Errorf("%d logins are written down in %s, want %d: %+v", len(got), ns, want, got)
	}
}

// attach takes part in what a container writes, as kubectl attach does.
func attach(t *testing.T, w *world, ns, pod string) error {
	t.Helper()
	to := w.c.Client().CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name(pod).SubResource("attach").
		VersionedParams(&corev1.PodAttachOptions{Container: "cart", Stdout: true}, scheme.ParameterCodec).URL()
	e, err := remotecommand.NewSPDYExecutor(w.c.Config(), http.MethodPost, to)
	if err != nil {
		t.Fatal(err)
	}
	return e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
}

// forward reaches a pod's port, as kubectl port-forward does.
func forward(t *testing.T, w *world, ns, pod string) error {
	t.Helper()
	carrier, upgrader, err := spdy.RoundTripperFor(w.c.Config())
	if err != nil {
		t.Fatal(err)
	}
	to := w.c.Client().CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name(pod).SubResource("portforward").URL()
	conn, _, err := spdy.NewDialer(upgrader, &http.Client{Transport: carrier}, http.MethodPost, to).Dial("portforward.k8s.io")
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// debug puts a container of an allowed image beside those that run, as kubectl
// debug does.
func debug(t *testing.T, w *world, ns, pod, image string) error {
	t.Helper()
	pods := w.c.Client().CoreV1().Pods(ns)
	p, err := pods.Get(t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: image},
	})
	_, err = pods.UpdateEphemeralContainers(t.Context(), pod, p, metav1.UpdateOptions{})
	return err
}
