package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// startContainerd starts a containerd of its own and returns its socket.
func startContainerd(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("containerd must be started by root")
	}
	for _, program := range []string{"containerd", "ctr"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	dir, err := os.MkdirTemp("", "c") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]
[grpc]
address = %q
[plugins."io.containerd.internal.v1.opt"]
path = %q
`, dir+"/root", dir+"/state", socket, dir+"/opt")
	write(t, filepath.Join(dir, "config.toml"), []byte(config))

	var log bytes.Buffer
	cmd := exec.Command("containerd", "--config", filepath.Join(dir, "config.toml"))
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	})
	for range 300 {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return socket
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("containerd ended: %v\n%s", err, log.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("containerd does not listen\n%s", log.String())
	return ""
}

func ctr(t *testing.T, socket string, args ...string) {
	t.Helper()
	out, err := exec.Command("ctr", append([]string{"-a", socket}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ctr %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestOpenContainerd(t *testing.T) {
	socket := startContainerd(t)
	img, index := imageOf(t, "linux", "amd64", "", "one", "two"), indexOf(t)
	archive := write(t, "cart.tar", dockerArchive(t, map[string]v1.Image{"docker.io/shop/cart:1.4": img}))
	ctr(t, socket, "-n", "k8s.io", "images", "import", "--no-unpack", archive)
	layout := write(t, "all.tar", pack(t, layoutOf(t, map[string]any{"docker.io/library/all:latest": index})))
	ctr(t, socket, "-n", "default", "images", "import", "--no-unpack", "--all-platforms", layout)
	where := Containerd{Address: socket}

	for _, test := range []struct {
		name, namespace, platform string
		want                      []touchstone.Artifact
		err                       string
	}{
		{name: "docker.io/shop/cart:1.4", want: []touchstone.Artifact{{Name: "docker.io/shop/cart:1.4", Source: "containerd://k8s.io/docker.io/shop/cart:1.4", Platform: "linux/amd64"}}},
		{name: "shop/cart:1.4", want: []touchstone.Artifact{{Name: "docker.io/shop/cart:1.4", Source: "containerd://k8s.io/shop/cart:1.4", Platform: "linux/amd64"}}},
		{name: "shop/cart:1.4", namespace: "default", err: "no image shop/cart:1.4 in the namespaces default\nhint:"},
		{name: "all", platform: "linux/arm64", want: []touchstone.Artifact{{Name: "docker.io/library/all:latest", Index: digestOfImage(t, index), Source: "containerd://default/all", Platform: "linux/arm64/v8"}}},
		{name: "all", platform: "linux/s390x", err: "no image for platform linux/s390x\nhint: there is linux/amd64, linux/arm64/v8"},
	} {
		t.Run(test.name+test.namespace+test.platform, func(t *testing.T) {
			where := where
			if test.namespace != "" {
				where.Namespaces = []string{test.namespace}
			}
			opened, err := OpenContainerd(context.Background(), test.name, where, Options{Platform: test.platform})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []touchstone.Artifact
			for _, s := range opened {
				a := s.Artifact()
				a.Digest, a.Kind = "", ""
				got = append(got, a)
				check(t, s)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}

	t.Run("layer that was discarded", func(t *testing.T) {
		opened, err := OpenContainerd(context.Background(), "shop/cart:1.4", where, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = opened[0].Close() }()
		ctr(t, socket, "-n", "k8s.io", "content", "rm", string(opened[0].Layers()[0].Digest))
		err = readLayers(opened[0])
		if !errors.Is(err, artifact.ErrOutside) || !strings.Contains(err.Error(), "hint: containerd may discard layers") {
			t.Errorf("error %v", err)
		}
	})
}

func TestContainerdIsNotThere(t *testing.T) {
	where := Containerd{Address: filepath.Join(t.TempDir(), "none.sock")}
	_, err := OpenContainerd(context.Background(), "cart", where, Options{})
	if !errors.Is(err, artifact.ErrOutside) || !strings.Contains(err.Error(), "containerd cannot be reached") {
		t.Errorf("error %v", err)
	}
}

// A containerd that accepts and never answers is given up.
func TestContainerdStalls(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, err = OpenContainerd(context.Background(), "cart", Containerd{Address: socket, Idle: 100 * time.Millisecond}, Options{})
	if !errors.Is(err, artifact.ErrOutside) || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("error %v", err)
	}
}
