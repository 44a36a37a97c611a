package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/makeimage"
)

// The node's network: one bridge that is the node's address and the pods'
// gateway. Nothing is forwarded, and nothing leaves it. Of the Services pods reach
// the API server's alone.
const (
	nodeName     = "node1"
	bridge       = "touchstone0"
	subnet       = "10.244.77.0/24"
	nodeAddress  = "10.244.77.1"
	services     = "10.96.0.0/16"
	apiService   = "10.96.0.1" // the first of services is "kubernetes"
	pluginFolder = "/usr/lib/cni"
	pauseImage   = "localhost/pause:1"
)

// node prepares the machine and returns containerd and the kubelet.
func (c *Cluster) node(ctx context.Context, p programs) ([]*daemon, error) {
	if err := keepSettings(c.dir); err != nil {
		return nil, err
	}
	if err := makeBridge(ctx, p["ip"]); err != nil {
		return nil, err
	}
	if err := c.serveAPI(ctx); err != nil {
		return nil, err
	}
	files := map[string]string{
		"network/10-bridge.conflist": c.networkConfig(),
		"containerd.toml":            c.containerdConfig(),
		"kubelet.yaml":               c.kubeletConfig(),
	}
	for _, folder := range []string{"network", "registries", "static"} {
		if err := os.Mkdir(filepath.Join(c.dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	pause, err := PauseImage()
	if err != nil {
		return nil, err
	}
	archive := filepath.Join(c.dir, "pause.tar")
	if err := makeimage.WriteArchive(archive, pauseImage, pause); err != nil {
		return nil, err
	}
	imported := false
	return []*daemon{
		{name: "containerd", argv: []string{p["containerd"], "--config", filepath.Join(c.dir, "containerd.toml")}, ready: func(ctx context.Context) error {
			if !imported {
				if err := c.importArchive(ctx, archive); err != nil {
					return err
				}
				imported = true
			}
			return c.ctr(ctx, "version")
		}},
		{name: "kubelet", argv: []string{
			p["kubelet"], "--config=" + filepath.Join(c.dir, "kubelet.yaml"), "--kubeconfig=" + filepath.Join(c.dir, "kubelet.conf"),
			"--hostname-override=" + nodeName, "--node-ip=" + nodeAddress,
			"--root-dir=" + filepath.Join(c.dir, "kubelet"), "--cert-dir=" + filepath.Join(c.dir, "kubelet", "pki"),
		}},
	}, nil
}

// PauseImage is an image that sleeps until it is told to stop; see the command
// pause for what else it can be called with.
func PauseImage() (v1.Image, error) { return BuildImage(nil) }

// BuildImage is PauseImage with files, so that two images differ.
func BuildImage(files []makeimage.File, more ...makeimage.Layer) (v1.Image, error) {
	dir, err := os.MkdirTemp("", "pause")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err := makeimage.Program(context.Background(), filepath.Join(dir, "pause"), "touchstone.dev/touchstone/internal/cluster/pause")
	if err != nil {
		return nil, err
	}
	layer, err := makeimage.Files("COPY pause /pause", append([]makeimage.File{{Path: "pause", Mode: 0o755, Data: binary}}, files...)...)
	if err != nil {
		return nil, err
	}
	return makeimage.Build(makeimage.Image{
		Layers: append([]makeimage.Layer{layer}, more...), Created: time.Now().UTC().Truncate(time.Hour),
		Config: v1.Config{Entrypoint: []string{"/pause"}, User: "1000"},
	})
}

// ctr calls containerd's own client.
func (c *Cluster) ctr(ctx context.Context, args ...string) error {
	all := append([]string{"--address", socket(c.dir), "--namespace", "k8s.io"}, args...)
	if out, err := exec.CommandContext(ctx, "ctr", all...).CombinedOutput(); err != nil {
		return fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (c *Cluster) importArchive(ctx context.Context, path string) error {
	return c.ctr(ctx, "images", "import", path)
}

// Import gives an image to the node without any registry, under the name.
func (c *Cluster) Import(ctx context.Context, name string, im v1.Image) error {
	path := filepath.Join(c.dir, "import.tar")
	if err := makeimage.WriteArchive(path, name, im); err != nil {
		return err
	}
	return errors.Join(c.importArchive(ctx, path), os.Remove(path))
}

// Trust has the node pull from a registry without TLS.
func (c *Cluster) Trust(host string) error {
	folder := filepath.Join(c.dir, "registries", host)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	text := fmt.Sprintf("server = \"http://%[1]s\"\n[host.\"http://%[1]s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", host)
	return os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(text), 0o600)
}

// Containerd is the path of the node's containerd's socket.
func (c *Cluster) Containerd() string { return socket(c.dir) }

// EmptyDir is where a volume of a pod, made by the kubelet, lies on the node.
func (c *Cluster) EmptyDir(p *corev1.Pod, volume string) string {
	return filepath.Join(c.dir, "kubelet", "pods", string(p.UID), "volumes", "kubernetes.io~empty-dir", volume)
}

// StaticFolder is where the kubelet reads pods that no API server has admitted.
func (c *Cluster) StaticFolder() string { return filepath.Join(c.dir, "static") }

// awaitNode waits until pods can run.
func (c *Cluster) awaitNode(ctx context.Context) error {
	var why error
	err := poll(ctx, 200*time.Millisecond, func() bool {
		why = c.nodeReady(ctx)
		return why == nil
	})
	if err != nil {
		return fmt.Errorf("the node is not ready: %w\n%s", why, c.daemon("kubelet").tail())
	}
	return nil
}

func (c *Cluster) nodeReady(ctx context.Context) error {
	if _, err := c.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	n, err := c.client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, t := range n.Spec.Taints {
		return fmt.Errorf("tainted %s", t.Key)
	}
	for _, condition := range n.Status.Conditions {
		// What the API server says of a halted node is old news until the kubelet
		// has called.
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue && !condition.LastHeartbeatTime.Time.Before(c.daemon("kubelet").since) {
			return nil
		}
	}
	return errors.New("it has not said so")
}

func makeBridge(ctx context.Context, ip string) error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", bridge, "type", "bridge"},
		{"addr", "replace", nodeAddress + "/24", "dev", bridge},
		{"addr", "replace", apiService + "/32", "dev", bridge},
		{"link", "set", bridge, "up"},
	} {
		if _, err := net.InterfaceByName(bridge); args[1] == "add" && err == nil {
			continue
		}
		if out, err := exec.CommandContext(ctx, ip, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}
