package trial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

// newContainerd starts Debian's containerd in folders of its own and returns the
// path of its socket.
func newContainerd(t *testing.T) string {
	t.Helper()
	needRoot(t, "starting containerd")
	need(t, "containerd", "ctr")
	dir, err := os.MkdirTemp("", "ctrd") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\n"+
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.nri.v1.nri\", \"io.containerd.internal.v1.opt\"]\n"+
		"[grpc]\naddress = %q\n", dir+"/root", dir+"/state", dir+"/sock")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	daemon := exec.Command("containerd", "--config", config)
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		_ = os.RemoveAll(dir)
	})
	socket := filepath.Join(dir, "sock")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if exec.Command("ctr", "--address", socket, "version").Run() == nil {
			return socket
		}
	}
	t.Fatalf("containerd does not answer\n%s", log.String())
	return ""
}

// What containerd was given is judged in its store as it was as an archive, and
// its layers are known.
func TestContainerd(t *testing.T) {
	t.Parallel()
	im, socket := shop(t), newContainerd(t)
	m := newMachine(t, shared(t, "osv", "Go", "all.zip"))
	file := archive(t, im)
	if out, err := exec.Command("ctr", "--address", socket, "--namespace", "k8s.io", "image", "import", "--no-unpack", file).CombinedOutput(); err != nil {
		t.Fatalf("ctr image import: %v\n%s", err, out)
	}
	before := m.check(1, file)
	doc := m.check(1, "containerd:registry.example/trial/image:1", "--containerd", socket)
	want := touchstone.Artifact{
		Name: "registry.example/trial/image:1", Source: "containerd://k8s.io/registry.example/trial/image:1",
		Kind: touchstone.KindImage, Digest: doc.Artifact.Digest, Platform: "linux/amd64",
	}
	if doc.Artifact != want || !doc.Artifact.Digest.Valid() {
		t.Errorf("artifact %+v, want %+v", doc.Artifact, want)
	}
	if doc.Decision.Inputs.Evidence != before.Decision.Inputs.Evidence {
		t.Error("the image is not known from its archive")
	}
	if !slices.EqualFunc(before.Matches, doc.Matches, func(a, b touchstone.Match) bool { return a.ID == b.ID && a.Package == b.Package }) {
		t.Error("the holes are not those of the archive")
	}
}
