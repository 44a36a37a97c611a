package node

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/cluster"
)

var shared = cluster.NewShared(cluster.Options{Node: true})

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

func TestAPodRunsByDigestFromARegistry(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	image, err := cluster.PauseImage()
	if err != nil {
		t.Fatal(err)
	}
	tag, digest := r.Push(t, "shop/cart:1.4", image)
	ns := c.Namespace(t, "smoke", nil)
	c.CreateDeployment(t, ns, "cart", cluster.ByDigest(tag, digest), 2)
	pods := c.WaitRunning(t, ns, "cart", 2, time.Minute)
	if id := pods[0].Status.ContainerStatuses[0].ImageID; !strings.HasSuffix(id, string(digest)) {
		t.Errorf("the node says that it runs %s, want %s", id, digest)
	}
	out, problems, err := cluster.Exec(t.Context(), c.Config(), ns, pods[0].Name, "cart", "/pause", "say", "hello")
	if err != nil || out != "hello\n" {
		t.Errorf("exec said %q and %q: %v", out, problems, err)
	}
}

func TestAColdStartKeepsWhatWasDeployed(t *testing.T) {
	c := shared.Use(t)
	r := c.Registry(t)
	image, err := cluster.PauseImage()
	if err != nil {
		t.Fatal(err)
	}
	tag, _ := r.Push(t, "shop/cart:1.4", image)
	ns := c.Namespace(t, "cold", nil)
	c.CreateDeployment(t, ns, "cart", tag, 1)
	before := c.WaitRunning(t, ns, "cart", 1, time.Minute)

	c.Halt()
	if err := c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Eventually(t, "the pod is started again", time.Minute, func(ctx context.Context) error {
		p, err := c.Client().CoreV1().Pods(ns).Get(ctx, before[0].Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s := p.Status.ContainerStatuses[0]; s.RestartCount == 0 || !s.Ready {
			return fmt.Errorf("%d restarts, ready %v", s.RestartCount, s.Ready)
		}
		return nil
	})
}
