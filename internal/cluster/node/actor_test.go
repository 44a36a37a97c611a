package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/makeimage"
)

// actorImage is an image whose first process takes orders, in the volume at /order:
// that of the guard's own trial (internal/guard/trial/testdata/actor), with a probe
// that is a script.
func actorImage(t *testing.T) v1.Image {
	t.Helper()
	binary, err := makeimage.Program(t.Context(), filepath.Join(t.TempDir(), "actor"), "touchstone.dev/touchstone/internal/guard/trial/testdata/actor")
	if err != nil {
		t.Fatal(err)
	}
	im, err := cluster.BuildImage([]makeimage.File{
		{Path: "actor", Mode: 0o755, Data: binary},
		{Path: "opt/", Mode: 0o777},
		{Path: "opt/alive.sh", Mode: 0o755, Data: []byte("#!/pause say\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// The probes and hooks of an actor's pod: each is executed by the kubelet.
func probesOf(c *corev1.Container) {
	c.Env = []corev1.EnvVar{{Name: "WORD", Value: "ready"}}
	probe := func(command ...string) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}},
			PeriodSeconds: 1, TimeoutSeconds: 20, FailureThreshold: 30,
		}
	}
	hook := func(command ...string) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: command}}
	}
	c.StartupProbe = probe("/pause", "say", "started")
	c.ReadinessProbe = probe("/actor", "write", "/order/probe", "644", "$(WORD) $$(WORD) $(NONE)")
	c.LivenessProbe = probe("/opt/alive.sh", "thanks")
	c.Lifecycle = &corev1.Lifecycle{PostStart: hook("/pause", "say", "begun"), PreStop: hook("/pause", "say", "ends")}
}

// acting makes a Deployment of one pod that takes orders, and returns the pod.
func (w *world) acting(t *testing.T, ns, image string, edit ...func(*corev1.Container)) *corev1.Pod {
	t.Helper()
	d := cluster.Deployment(ns, "cart", image, 1)
	spec := &d.Spec.Template.Spec
	spec.Volumes = []corev1.Volume{{Name: "order", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	c := &spec.Containers[0]
	c.Command = []string{"/actor", "init", "/order/sock"}
	c.VolumeMounts = []corev1.VolumeMount{{Name: "order", MountPath: "/order"}}
	for _, e := range edit {
		e(c)
	}
	if _, err := w.c.Client().AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p := w.c.WaitRunning(t, ns, "cart", 1, 2*time.Minute)[0]
	return &p
}

// outcome is how an order ended; see actor/orders.go.
type outcome struct {
	Code   int
	Signal int
	Output string
	Err    string
}

// ranUnknown is the status that the unknown program of a pod ends with.
const ranUnknown = 83

// order has the pod's first process run a command, and says how that ended.
func (w *world) order(p *corev1.Pod, command ...string) (out outcome, err error) {
	// The path from the root on would be too long for a socket's.
	dir, err := os.Open(w.c.EmptyDir(p, "order"))
	if err != nil {
		return out, err
	}
	defer dir.Close()
	conn, err := net.DialTimeout("unix", fmt.Sprintf("/proc/self/fd/%d/sock", dir.Fd()), 10*time.Second)
	if err != nil {
		return out, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return out, err
	}
	if err := json.NewEncoder(conn).Encode(struct{ Args []string }{command}); err != nil {
		return out, err
	}
	return out, json.NewDecoder(conn).Decode(&out)
}

// mustOrder is order for what is to end with a status.
func (w *world) mustOrder(t *testing.T, p *corev1.Pod, status int, command ...string) {
	t.Helper()
	if out, err := w.order(p, command...); err != nil || out.Code != status {
		t.Fatalf("%v in %s/%s: %+v %v, want status %d", command, p.Namespace, p.Name, out, err, status)
	}
}

// drop has the pod's own program write one that its image does not hold.
func (w *world) drop(t *testing.T, p *corev1.Pod, path string) {
	t.Helper()
	w.mustOrder(t, p, 0, "/actor", "tiny", path, strconv.Itoa(ranUnknown))
}

// containerOf is the id of the pod's one container.
func containerOf(p *corev1.Pod) string {
	_, id, _ := strings.Cut(p.Status.ContainerStatuses[0].ContainerID, "://")
	return id
}

// firstProcess is that of the pod's container, as the node counts.
func firstProcess(t *testing.T, p *corev1.Pod) int {
	t.Helper()
	var inside []int
	groups, _ := filepath.Glob("/proc/[0-9]*/cgroup") // the pattern is well formed
	for _, path := range groups {
		text, err := os.ReadFile(path)
		if pid, e := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && e == nil && bytes.Contains(text, []byte(containerOf(p))) {
			inside = append(inside, pid)
		}
	}
	if len(inside) == 0 {
		t.Fatalf("%s/%s has no process", p.Namespace, p.Name)
	}
	return slices.Min(inside)
}
