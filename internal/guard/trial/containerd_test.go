package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone/internal/cluster/runtime"
	"touchstone.dev/touchstone/internal/guard/containerd"
	"touchstone.dev/touchstone/internal/makeimage"
)

// guardFlag has the test binary be a guard, to be killed.
const guardFlag = "-be-the-guard"

// TestMain ends containerd after the tests; it is started by the first that needs it.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == guardFlag {
		os.Exit(beTheGuard(os.Args[2]))
	}
	code := m.Run()
	node.remove()
	os.Exit(code)
}

// node is the containerd of all tests.
var node daemon

// The images: a small distribution with the actor, and the actor alone.
const (
	imageShop  = "registry.example/trial/shop:1"
	imageActor = "registry.example/trial/actor:1"
)

// daemon is Debian's containerd in folders of its own.
type daemon struct {
	once    sync.Once
	skip    string // why it is not to be had
	dir     string
	socket  string
	shop    string // why there is no small distribution; empty where there is
	process *exec.Cmd
	log     lockedLog
}

// lockedLog is a buffer that is written to while the test reads.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// needNode skips where containerd is not to be had, and starts it once.
func needNode(t testing.TB) {
	t.Helper()
	node.once.Do(func() {
		if os.Getuid() != 0 {
			node.skip = "only root may start containerd and guard it"
			return
		}
		for _, program := range []string{"containerd", "ctr", "runc"} {
			if _, err := exec.LookPath(program); err != nil {
				node.skip = program + " is not installed; as root, .ci/prepare installs what Debian has"
				return
			}
		}
		if err := node.prepare(); err != nil {
			node.skip = "FAILED"
			t.Fatalf("starting containerd: %v\n%s", err, node.log.String())
		}
	})
	if node.skip == "FAILED" {
		t.Fatal("containerd could not be started")
	}
	if node.skip != "" {
		t.Skip(node.skip)
	}
}

// needShop skips where there is no small distribution.
func needShop(t testing.TB) {
	t.Helper()
	needNode(t)
	if node.shop != "" {
		t.Skip(node.shop)
	}
}

func (d *daemon) prepare() (err error) {
	if d.dir, err = os.MkdirTemp("", "gt"); err != nil { // t.TempDir is too long for a socket
		return err
	}
	d.socket = filepath.Join(d.dir, "sock")
	if _, err := runtime.Configure(d.dir); err != nil {
		return err
	}
	if err := d.start(); err != nil {
		return err
	}
	actor := filepath.Join(d.dir, "actor")
	binary, err := makeimage.Program(context.Background(), actor, "./testdata/actor")
	if err != nil {
		return err
	}
	if err := exec.Command(actor, "tiny", filepath.Join(d.dir, "tiny"), "42").Run(); err != nil {
		return err
	}
	known, err := os.ReadFile(filepath.Join(d.dir, "tiny"))
	if err != nil {
		return err
	}
	own, err := makeimage.Files("COPY . /",
		makeimage.File{Path: "actor", Mode: 0o755, Data: binary},
		makeimage.File{Path: "bin/known", Mode: 0o755, Data: known}, // as large as everything that an actor makes
		makeimage.File{Path: "etc/words", Data: []byte("what is written here\n")},
		makeimage.File{Path: "opt/start.sh", Mode: 0o755, Data: []byte("#!/bin/sh\necho started\n")},
		makeimage.File{Path: "mnt/", Mode: 0o755},
	)
	if err != nil {
		return err
	}
	if err := d.importImage(imageActor, own); err != nil {
		return err
	}
	distribution, ok := smallDistribution()
	if !ok {
		d.shop = "the root file system of Alpine 3.20 is not in ../shared/data/images"
		return nil
	}
	alpine, err := makeimage.Tarball("ADD rootfs /", distribution)
	if err != nil {
		return err
	}
	return d.importImage(imageShop, alpine, own)
}

// smallDistribution finds the root file system that is not in the repository.
func smallDistribution() (path string, ok bool) {
	for _, above := range []string{"../../../..", "../../../../.."} { // a further work tree lies one folder deeper
		path = filepath.Join(above, "shared/data/images/alpine-minirootfs-3.20.3-x86_64.tar.gz")
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

func (d *daemon) importImage(ref string, layers ...makeimage.Layer) error {
	im, err := makeimage.Build(makeimage.Image{
		Layers: layers, Created: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Config: v1.Config{Entrypoint: []string{"/actor"}, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}},
	})
	if err != nil {
		return err
	}
	archive := filepath.Join(d.dir, "image.tar")
	if err := makeimage.WriteArchive(archive, ref, im); err != nil {
		return err
	}
	_, err = d.ctr("image", "import", archive)
	return err
}

func (d *daemon) start() error {
	d.process = exec.Command("containerd", "--log-level", "warn", "--config", filepath.Join(d.dir, "config.toml"))
	d.process.Stderr = &d.log
	if err := d.process.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if exec.Command("ctr", "--address", d.socket, "version").Run() == nil {
			return nil
		}
	}
	return errors.New("containerd does not answer")
}

func (d *daemon) kill() {
	_ = d.process.Process.Kill()
	_ = d.process.Wait()
}

// ctr calls containerd's own client.
func (d *daemon) ctr(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address", d.socket, "-n", "k8s.io"}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("ctr %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// remove ends what the tests have started, the shims included.
func (d *daemon) remove() {
	if d.process == nil {
		return
	}
	if r, err := containerd.Open(containerd.Config{Address: d.socket, Idle: 5 * time.Second}); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		running, _ := r.List(ctx)
		for i := range running {
			_ = r.Stop(ctx, &running[i])
		}
		_ = r.Close()
	}
	d.kill()
	runtime.Clear(d.dir)
}
