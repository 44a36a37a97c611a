package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/makeimage"
)

// ownImage is touchstone in an image from scratch.
func ownImage(t *testing.T) v1.Image {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := makeimage.Files("COPY touchstone /touchstone", makeimage.File{Path: "touchstone", Mode: 0o755, Data: binary})
	if err != nil {
		t.Fatal(err)
	}
	im, err := makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{layer}, Config: v1.Config{Entrypoint: []string{"/touchstone"}, User: "65532"}})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// volume gives the cluster one for the server's data: there is no provisioner.
func volume(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the server is another user
		t.Fatal(err)
	}
	for at := filepath.Dir(dir); at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Client().CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Client().CoreV1().PersistentVolumes().Delete(context.Background(), "data", metav1.DeleteOptions{})
	})
}

// The manifests run the server as they say: not as root, on a read-only root,
// under the restricted standard, called by its Service, seeing the cluster by its
// own account; and it tells what it would refuse, and lets it in, until a namespace
// is enforced.
func TestTheServerRunsInTheCluster(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	tag, digest := r.Push(t, "touchstone:1", ownImage(t))
	volume(t, c)
	o := install.Options{Image: cluster.ByDigest(tag, digest), Args: []string{"--name", "pay-1", "--insecure-registry", r.Host}}
	t.Cleanup(func() {
		err := errors.Join(install.Remove(context.Background(), c.Config(), o), c.RemoveNamespace(context.Background(), install.Name))
		if err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := install.Apply(ctx, c.Config(), o); err != nil {
		t.Fatalf("%v\n%s", err, podLogs(c, install.Name))
	}

	im, err := cluster.PauseImage()
	if err != nil {
		t.Fatal(err)
	}
	image, _ := r.Push(t, "shop/cart:1.4", im)
	ns := c.Namespace(t, "shop", nil)
	var heard warnings
	config := c.Config()
	config.WarningHandler = &heard
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Pods(ns).Create(t.Context(), cluster.Pod(ns, "cart", image), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.WaitRunning(t, ns, "cart", 1, time.Minute)
	if !slices.ContainsFunc(heard, func(w string) bool {
		return strings.Contains(w, "would be refused") && strings.Contains(w, "not seen before")
	}) {
		t.Errorf("who made the pod was told %q\n%s", heard, podLogs(c, install.Name))
	}
}

// warnings are what the API server told besides its answer.
type warnings []string

func (w *warnings) HandleWarningHeader(_ int, _, text string) { *w = append(*w, text) }

// podLogs returns the end of what a namespace's pods have written, and how they
// are.
func podLogs(c *cluster.Cluster, namespace string) string {
	ctx := context.Background()
	pods, err := c.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	out, tail := "", int64(30)
	for i := range pods.Items {
		p := &pods.Items[i]
		text, err := c.Client().CoreV1().Pods(namespace).GetLogs(p.Name, &corev1.PodLogOptions{TailLines: &tail}).DoRaw(ctx)
		out += fmt.Sprintf("%s: %v %+v\n%s (%v)\n", p.Name, p.Status.Conditions, p.Status.ContainerStatuses, text, err)
	}
	return out
}
