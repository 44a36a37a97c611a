package node

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/makeimage"
)

// told is a door that hands on what it is told.
type told chan []gate.Running

func (d told) Observe(_ context.Context, _ string, all []gate.Running) error {
	d <- all
	return nil
}

// What a real node says of what it runs: by tag, from no registry, and a pod that
// no API server has admitted.
func TestWhatANodeTells(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	ns := c.Namespace(t, "tells", nil)
	im, err := cluster.BuildImage([]makeimage.File{{Path: "etc/cart", Data: []byte("cart")}})
	if err != nil {
		t.Fatal(err)
	}
	tag, digest := r.Push(t, "shop/cart:1.4", im)
	c.CreateDeployment(t, ns, "cart", tag, 1)
	if err := c.Import(t.Context(), "registry.example/imported:1", im); err != nil {
		t.Fatal(err)
	}
	imported := cluster.Pod(ns, "imported", "registry.example/imported:1")
	imported.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	if _, err := c.Client().CoreV1().Pods(ns).Create(t.Context(), imported, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	static := cluster.Pod(ns, "static", cluster.ByDigest(tag, digest))
	static.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	manifest, err := json.Marshal(static)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.StaticFolder(), "static.json")
	if err := os.WriteFile(file, manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file) })
	for _, name := range []string{"cart", "imported", "static"} {
		c.WaitRunning(t, ns, name, 1, time.Minute)
	}

	k, err := kube.New(kube.Config{REST: c.Config(), Road: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	door := make(told, 1)
	go func() { _ = k.Run(ctx, door) }()
	type line struct {
		kind, name string
		digest     touchstone.Digest
		static     bool
	}
	var got []line
	for _, one := range <-door {
		if one.Place.Namespace == ns {
			got = append(got, line{one.Workload.Kind, strings.TrimSuffix(one.Workload.Name, "-node1"), one.Digest, one.Static})
		}
	}
	// The imported image shares its config with the one from the registry: the node
	// tells the digest that it knows of it.
	want := []line{{"Deployment", "cart", digest, false}, {"Pod", "imported", digest, false}, {"Pod", "static", digest, true}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	platforms, err := k.Platforms(t.Context())
	if err != nil || len(platforms) != 1 || !strings.HasPrefix(platforms[0], "linux/") {
		t.Errorf("platforms %v: %v", platforms, err)
	}
}
