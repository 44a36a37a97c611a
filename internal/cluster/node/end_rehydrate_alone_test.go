package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/kube/roll"
	"touchstone.dev/touchstone/internal/makeimage"
	"touchstone.dev/touchstone/internal/sqlite"
)

const aloneRules = `version: 1
environments: [prod]
rules:
  unseen: {prod: allow}
  gaps: {prod: allow}
  no-advisories: {prod: allow}
  stale-advisories: {prod: any}
  unscored: {prod: allow}
  replace-after: {prod: at most 7d}
replace:
  budget: {workload: any, namespace: any, cluster: any}
`

// alone is touchstone rehydrate as a process of its own, by the account that the
// server is installed with.
type alone struct {
	program, log string
	args         []string
	running      *exec.Cmd
	ended        chan error
}

func newAlone(t *testing.T, c *cluster.Cluster, insecure string) *alone {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a := &alone{program: filepath.Join(dir, "touchstone"), log: filepath.Join(dir, "log")}
	account, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range account.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + install.Name + ":" + install.Name
	}
	kubeconfig, rules := filepath.Join(dir, "server.conf"), filepath.Join(dir, "touchstone.yaml")
	err = errors.Join(
		os.WriteFile(a.program, binary, 0o700), //nolint:gosec // it is run
		os.WriteFile(rules, []byte(aloneRules), 0o600), clientcmd.WriteToFile(*account, kubeconfig),
	)
	if err != nil {
		t.Fatal(err)
	}
	a.args = []string{"rehydrate", "--kubeconfig", kubeconfig, "--name", "pay-1", "--rules", rules, "--data", filepath.Join(dir, "data"), "--insecure-registry", insecure}
	t.Cleanup(func() {
		_ = a.end(syscall.SIGKILL)
		if t.Failed() {
			said, err := os.ReadFile(a.log)
			t.Logf("it said: %s (%v)", said[max(0, len(said)-5000):], err)
		}
	})
	return a
}

func (a *alone) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has it
	a.running, a.ended = exec.Command(a.program, a.args...), make(chan error, 1)
	a.running.Stdout, a.running.Stderr, a.running.Dir = log, log, filepath.Dir(a.log)
	if err := a.running.Start(); err != nil {
		t.Fatal(err)
	}
	running, ended := a.running, a.ended
	go func() { ended <- running.Wait() }()
}

// end ends it by a signal, and returns how it ended.
func (a *alone) end(by syscall.Signal) error {
	if a.running == nil {
		return nil
	}
	_ = a.running.Process.Signal(by) // it may have ended
	a.running = nil
	select {
	case err := <-a.ended:
		return err
	case <-time.After(30 * time.Second):
		return errors.New("it did not end")
	}
}

// The controller alone replaces what a rebuilt image waits for. It is killed in the
// middle of the rollout, begun anew, waits until nobody holds the lease, goes on with
// what it finds and repeats nothing; told to end it gives the lease up.
func TestTheControllerAloneOutlivesAKill(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	build := func(text string) {
		im, err := cluster.BuildImage([]makeimage.File{{Path: "release", Mode: 0o644, Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		r.Push(t, "shop/alone:1", im)
	}
	build("one")
	ns := c.Namespace(t, "alone", nil)
	may(t, c)
	replicas, apps := int32(1), c.Client().AppsV1().Deployments(ns)
	pods := serving("web", r.Host+"/shop/alone:1")
	pods.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways
	_, err := apps.Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: cluster.Labels("web")}, Template: pods, MinReadySeconds: 15, // so long a rollout lasts
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	old := c.WaitRunning(t, ns, "web", 1, 2*time.Minute)[0]
	build("two")

	a := newAlone(t, c, r.Host)
	a.start(t)
	var step string
	var d *appsv1.Deployment
	look := func(ctx context.Context) error {
		if d, err = apps.Get(ctx, "web", metav1.GetOptions{}); err != nil {
			return err
		}
		step = d.Spec.Template.Annotations[roll.AnnotationReplacement]
		return nil
	}
	c.Eventually(t, "the rollout has begun", 3*time.Minute, func(ctx context.Context) error {
		if err := look(ctx); err != nil || step != "" {
			return err
		}
		return errors.New("no step is on it")
	})
	if d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == 1 && d.Status.AvailableReplicas == 1 && d.Status.Replicas == 1 {
		t.Fatal("the rollout is over before it could be killed")
	}
	_ = a.end(syscall.SIGKILL)
	began := step
	holder := a.holder(t, c)
	a.start(t)
	c.Eventually(t, "another life of it holds the lease", 3*time.Minute, func(ctx context.Context) error {
		if now := a.holder(t, c); now == holder || now == "" {
			return fmt.Errorf("%q holds it", now)
		}
		return nil
	})
	c.Eventually(t, "it is settled", time.Minute, func(ctx context.Context) error { return a.wrote(`what=replaced`, 1) })
	if err := a.end(syscall.SIGTERM); err != nil {
		t.Errorf("told to end: %v", err)
	}
	if now := a.holder(t, c); now != "" {
		t.Errorf("%s still holds the lease", now)
	}
	if err := look(t.Context()); err != nil || step != began || d.Generation != 2 {
		t.Errorf("the step %s is followed by %s, generation %d: %v", began, step, d.Generation, err)
	}
	young := c.WaitRunning(t, ns, "web", 1, time.Minute)[0]
	if young.UID == old.UID || young.Status.ContainerStatuses[0].ImageID == old.Status.ContainerStatuses[0].ImageID {
		t.Errorf("the same runs: %s", young.Status.ContainerStatuses[0].ImageID)
	}
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(filepath.Dir(a.log), "data", "rehydrate", "record.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // it is only read
	if err := (&ager{store: store}).replacedOnce(t.Context(), t, 1); err != nil {
		t.Error(err)
	}
}

// holder is who holds the lease; empty where nobody does.
func (a *alone) holder(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	l, err := c.Client().CoordinationV1().Leases(install.Name).Get(t.Context(), roll.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

// wrote returns an error until its log has said something so many times.
func (a *alone) wrote(what string, times int) error {
	said, err := os.ReadFile(a.log)
	if n := strings.Count(string(said), what); err == nil && n < times {
		err = fmt.Errorf("%q is said %d times", what, n)
	}
	return err
}
