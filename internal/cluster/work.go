package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// Namespace makes a namespace whose name begins as given, removed when the test
// ends, and returns its name.
func (c *Cluster) Namespace(t testing.TB, begins string, labels map[string]string) string {
	t.Helper()
	made, err := c.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: begins + "-", Labels: labels},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("making a namespace: %v", err)
	}
	t.Cleanup(func() {
		_ = c.client.CoreV1().Namespaces().Delete(context.Background(), made.Name, metav1.DeleteOptions{})
	})
	if c.options.Node {
		c.Eventually(t, "the service account of "+made.Name, time.Minute, func(ctx context.Context) error {
			_, err := c.client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
			return err
		})
	}
	return made.Name
}

// RemoveNamespace removes a namespace and waits until nothing of it is left.
func (c *Cluster) RemoveNamespace(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := c.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return poll(ctx, 200*time.Millisecond, func() bool {
		_, err := c.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// Eventually waits until f has nothing to complain of, and fails the test with
// its last complaint when it has for longer.
func (c *Cluster) Eventually(t testing.TB, what string, within time.Duration, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var last error
	if poll(ctx, 100*time.Millisecond, func() bool { last = f(ctx); return last == nil }) != nil {
		t.Fatalf("%s: not within %s: %v", what, within, last)
	}
}

// Labels are those of every pod that the functions below make for a name.
func Labels(name string) map[string]string { return map[string]string{"app": name} }

// Pods is what makes a deployment's pods, with one container of the image that
// is called as the pods are; it satisfies the restricted Pod Security Standard.
func Pods(name, image string) corev1.PodTemplateSpec {
	yes, no, nobody, grace := true, false, int64(1000), int64(1)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: Labels(name)},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			SecurityContext:               &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &nobody, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: name, Image: image,
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}
}

// Deployment returns one of that many replicas of Pods, still to be made.
func Deployment(namespace, name, image string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: Labels(name)}, Template: Pods(name, image),
		},
	}
}

// Pod returns a pod of Pods that nothing keeps, still to be made.
func Pod(namespace, name, image string) *corev1.Pod {
	t := Pods(name, image)
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: t.Labels}, Spec: t.Spec}
}

// CreateDeployment makes a Deployment as the administrator.
func (c *Cluster) CreateDeployment(t testing.TB, namespace, name, image string, replicas int32) *appsv1.Deployment {
	t.Helper()
	d, err := c.client.AppsV1().Deployments(namespace).Create(t.Context(), Deployment(namespace, name, image, replicas), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("making the deployment %s/%s: %v", namespace, name, err)
	}
	return d
}

// CreatePod makes a Pod as the administrator.
func (c *Cluster) CreatePod(t testing.TB, namespace, name, image string) *corev1.Pod {
	t.Helper()
	p, err := c.client.CoreV1().Pods(namespace).Create(t.Context(), Pod(namespace, name, image), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("making the pod %s/%s: %v", namespace, name, err)
	}
	return p
}

// WaitRunning waits until exactly that many pods of the name run, all ready, and
// returns them.
func (c *Cluster) WaitRunning(t testing.TB, namespace, name string, pods int, within time.Duration) []corev1.Pod {
	t.Helper()
	var found []corev1.Pod
	c.Eventually(t, fmt.Sprintf("%d pods of %s/%s run", pods, namespace, name), within, func(ctx context.Context) error {
		list, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return err
		}
		found = list.Items
		running, others := 0, []string{}
		for i := range found {
			if state := podState(&found[i]); state == "" {
				running++
			} else {
				others = append(others, found[i].Name+": "+state)
			}
		}
		if running != pods || len(others) > 0 {
			return fmt.Errorf("%d run; %s", running, strings.Join(others, "; "))
		}
		return nil
	})
	return found
}

// podState is empty for a pod that runs, and else says what it does.
func podState(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "ends"
	}
	for i := range p.Status.ContainerStatuses {
		s := &p.Status.ContainerStatuses[i]
		switch {
		case s.State.Waiting != nil:
			return s.State.Waiting.Reason + " " + s.State.Waiting.Message
		case !s.Ready:
			return "not ready"
		}
	}
	if p.Status.Phase != corev1.PodRunning {
		return string(p.Status.Phase)
	}
	return ""
}

// ExecPastDoor runs a command in a container by the kubelet's own API, which asks no
// API server for its admission, as whoever holds a certificate for it.
func (c *Cluster) ExecPastDoor(ctx context.Context, namespace, pod, container string, command ...string) error {
	config := c.Config()
	config.Host = fmt.Sprintf("https://%s:%d", nodeAddress, c.ports.kubelet)
	to, err := url.Parse(config.Host + path.Join("/exec", namespace, pod, container))
	if err != nil {
		return err
	}
	to.RawQuery = url.Values{"command": command, "output": {"1"}}.Encode()
	e, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, to)
	if err != nil {
		return err
	}
	return e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard})
}

// Exec runs a command in a container as whoever the config is, as kubectl exec
// does, and returns what it wrote.
func Exec(ctx context.Context, config *rest.Config, namespace, pod, container string, command ...string) (stdout, stderr string, err error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", "", err
	}
	to := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").VersionedParams(
		&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	socket, err := remotecommand.NewWebSocketExecutor(config, "GET", to.String())
	if err != nil {
		return "", "", err
	}
	old, err := remotecommand.NewSPDYExecutor(config, "POST", to)
	if err != nil {
		return "", "", err
	}
	// kubectl falls back to SPDY whatever the reason.
	both, err := remotecommand.NewFallbackExecutor(socket, old, func(error) bool { return true })
	if err != nil {
		return "", "", err
	}
	var out, problems bytes.Buffer
	err = both.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &problems})
	return out.String(), problems.String(), err
}
