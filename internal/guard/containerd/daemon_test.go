package containerd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"touchstone.dev/touchstone/internal/cluster/runtime"
	"touchstone.dev/touchstone/internal/makeimage"
)

// daemon is a real containerd in folders of its own. TOUCHSTONE_CONTAINERD names
// a folder with another containerd than that of the PATH, its shim beside it.
type daemon struct {
	t       testing.TB
	dir     string
	socket  string
	process *exec.Cmd
	log     lockedLog
	ran     sync.Map // ids
}

// lockedLog is a buffer that the daemon writes to while the test reads.
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

const testImage = "registry.example/team/actor:1"

// newDaemon starts containerd with one image, testImage, in the namespaces.
func newDaemon(t testing.TB, namespaces ...string) *daemon {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may start containerd")
	}
	for _, program := range []string{"containerd", "ctr", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed; as root, .ci/prepare installs what Debian has", program)
		}
	}
	dir, err := os.MkdirTemp("", "ctrd") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: dir, socket: filepath.Join(dir, "sock")}
	if _, err := runtime.Configure(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.remove)
	d.start()
	archive := filepath.Join(dir, "image.tar")
	if err := makeimage.WriteArchive(archive, testImage, actorImage(t, 0)); err != nil {
		t.Fatal(err)
	}
	if len(namespaces) == 0 {
		namespaces = []string{"k8s.io"}
	}
	for _, ns := range namespaces {
		d.ctr("-n", ns, "image", "import", archive)
	}
	return d
}

// actorImage is an image of two layers; another number makes another image.
func actorImage(t testing.TB, number int) v1.Image {
	t.Helper()
	binary, err := makeimage.Program(t.Context(), filepath.Join(t.TempDir(), "actor"), "./testdata/actor")
	if err != nil {
		t.Fatal(err)
	}
	lower, err := makeimage.Files("COPY actor /actor", makeimage.File{Path: "actor", Mode: 0o755, Data: binary})
	if err != nil {
		t.Fatal(err)
	}
	upper, err := makeimage.Files("COPY words /etc/words", makeimage.File{Path: "etc/words", Data: []byte(strconv.Itoa(number))})
	if err != nil {
		t.Fatal(err)
	}
	im, err := makeimage.Build(makeimage.Image{
		Layers: []makeimage.Layer{lower, upper}, Created: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		Config: v1.Config{Entrypoint: []string{"/actor"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func (d *daemon) start() {
	d.t.Helper()
	path := os.Getenv("PATH")
	program := "containerd"
	if other := os.Getenv("TOUCHSTONE_CONTAINERD"); other != "" {
		path, program = other+":"+path, filepath.Join(other, program)
	}
	d.process = exec.Command(program, "--log-level", "warn", "--config", filepath.Join(d.dir, "config.toml"))
	d.process.Env = append(os.Environ(), "PATH="+path)
	d.process.Stderr = &d.log
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	within(d.t, time.Minute, "containerd answers", func() bool {
		return exec.Command("ctr", "--address", d.socket, "version").Run() == nil
	})
}

func (d *daemon) kill() {
	_ = d.process.Process.Kill()
	_ = d.process.Wait()
}

// remove ends what the test has started, the shims included.
func (d *daemon) remove() {
	if d.t.Failed() {
		d.t.Logf("containerd said\n%s", d.log.String())
	}
	r, err := Open(Config{Address: d.socket, Idle: 5 * time.Second})
	if err == nil {
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
	d.ran.Range(func(id, _ any) bool {
		groups, _ := filepath.Glob(filepath.Join("/sys/fs/cgroup", "*", "touchstone-test", id.(string)))
		for _, g := range append(groups, filepath.Join("/sys/fs/cgroup/touchstone-test", id.(string))) {
			_ = unix.Rmdir(g)
		}
		return true
	})
}

// ctr calls containerd's own client.
func (d *daemon) ctr(args ...string) string {
	d.t.Helper()
	out, err := exec.Command("ctr", append([]string{"--address", d.socket}, args...)...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("ctr %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// run starts a container in k8s.io that runs /actor with the words.
func (d *daemon) run(id string, flags []string, words ...string) {
	d.t.Helper()
	d.ran.Store(id, nil)
	args := append([]string{"-n", "k8s.io", "run", "-d", "--runc-root", filepath.Join(d.dir, "runc"), "--cgroup", "/touchstone-test/" + id}, flags...)
	d.ctr(append(append(args, testImage, id, "/actor"), words...)...)
}

// runEdited is run for a container whose record is edited: it is made from that
// of a container that is never started.
func (d *daemon) runEdited(id string, edit func(*containersapi.Container, map[string]any), words ...string) {
	d.t.Helper()
	d.ran.Store(id, nil)
	template := id + "-template"
	d.ctr(append([]string{"-n", "k8s.io", "container", "create", testImage, template, "/actor"}, words...)...)
	r := d.open()
	ctx, cancel := r.in(context.Background(), "k8s.io")
	defer cancel()
	resp, err := r.containers.Get(ctx, &containersapi.GetContainerRequest{ID: template})
	if err != nil {
		d.t.Fatal(err)
	}
	c, spec := resp.GetContainer(), make(map[string]any)
	if err := json.Unmarshal(c.GetSpec().GetValue(), &spec); err != nil {
		d.t.Fatal(err)
	}
	spec["linux"].(map[string]any)["cgroupsPath"] = "/touchstone-test/" + id
	edit(c, spec)
	if c.Spec.Value, err = json.Marshal(spec); err != nil {
		d.t.Fatal(err)
	}
	c.ID = id
	if c.Runtime.Options, err = anypb.New(&runcoptions.Options{Root: filepath.Join(d.dir, "runc")}); err != nil {
		d.t.Fatal(err)
	}
	c.Runtime.Options.TypeUrl = "containerd.runc.v1.Options"
	if _, err := r.containers.Create(ctx, &containersapi.CreateContainerRequest{Container: c}); err != nil {
		d.t.Fatal(err)
	}
	d.ctr("-n", "k8s.io", "task", "start", "-d", id)
}

// withoutNamespace has a container share a namespace with the node.
func withoutNamespace(kind string) func(*containersapi.Container, map[string]any) {
	return func(_ *containersapi.Container, spec map[string]any) {
		linux := spec["linux"].(map[string]any)
		linux["namespaces"] = slices.DeleteFunc(linux["namespaces"].([]any), func(n any) bool { return n.(map[string]any)["type"] == kind })
	}
}

// joinNamespace has a container join a namespace that is there.
func joinNamespace(kind, path string) func(*containersapi.Container, map[string]any) {
	return func(_ *containersapi.Container, spec map[string]any) {
		for _, n := range spec["linux"].(map[string]any)["namespaces"].([]any) {
			if n := n.(map[string]any); n["type"] == kind {
				n["path"] = path
			}
		}
	}
}

// delete removes a container that has ended.
func (d *daemon) delete(id string) {
	d.t.Helper()
	d.ctr("-n", "k8s.io", "task", "delete", "-f", id)
	d.ctr("-n", "k8s.io", "container", "delete", id)
}

func (d *daemon) open() *Runtime {
	d.t.Helper()
	r, err := Open(Config{Address: d.socket, Retry: 200 * time.Millisecond})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = r.Close() })
	return r
}

func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// diary keeps what a watch tells.
type diary struct {
	mu     sync.Mutex
	events []Event
	heard  []time.Time
	end    func()
}

func (r *Runtime) keepDiary(t testing.TB) *diary {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &diary{}
	done := make(chan error, 1)
	go func() {
		done <- r.Watch(ctx, func(e Event) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.events, d.heard = append(d.events, e), append(d.heard, time.Now())
		})
	}()
	d.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Cleanup(d.end)
	return d
}

// heardOf returns when an event was told.
func (d *diary) heardOf(e Event) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heard[slices.IndexFunc(d.events, func(f Event) bool {
		return f.Kind == e.Kind && f.Container.ID == e.Container.ID && f.At.Equal(e.At)
	})]
}

// of returns what was told of a container so far, kinds only.
func (d *diary) of(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, e := range d.events {
		if e.Container.ID == id {
			out = append(out, string(e.Kind))
			if e.Kind == EventUnknown {
				out = append(out, e.Problem)
			}
		}
	}
	return strings.Join(out, " ")
}

// find returns the nth event of a kind about a container, from 1.
func (d *diary) find(id string, kind EventKind, n int) *Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.events {
		if d.events[i].Container.ID == id && d.events[i].Kind == kind {
			if n--; n == 0 {
				e := d.events[i]
				return &e
			}
		}
	}
	return nil
}

// await waits for the nth event of a kind about a container.
func (d *diary) await(t testing.TB, id string, kind EventKind, n int) Event {
	t.Helper()
	var e *Event
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if e = d.find(id, kind, n); e != nil {
			return *e
		}
	}
	problem := ""
	if e := d.find("", EventLost, 1); e != nil {
		problem = e.Problem
	}
	t.Fatalf("%s of %q was not told %d times; told: %s %s", kind, id, n, d.of(id), problem)
	return Event{}
}
