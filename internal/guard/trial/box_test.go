package trial

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// box is a container whose first process takes orders.
type box struct {
	t      testing.TB
	id     string
	folder string // on the node: /order in the box
	volume string // on the node: /volume in the box
}

// order is a command that is to be run, and outcome how it ended; see
// testdata/actor/orders.go.
type order struct {
	Args   []string
	Env    []string
	Within time.Duration
}

type outcome struct {
	Code   int
	Signal int
	Output string
	Err    string
}

// ranUnknown is the status that a program which is not in the image ends with.
const ranUnknown = 83

func (o outcome) String() string {
	return fmt.Sprintf("code %d signal %d %q %s", o.Code, o.Signal, strings.TrimSpace(o.Output), o.Err)
}

var boxes atomic.Int64

// newBox starts a container of the small distribution that may do everything, with
// memory at /shm and a folder of the node at /volume, from which programs may be run.
func newBox(t testing.TB, flags ...string) *box {
	t.Helper()
	needShop(t)
	return startBox(t, imageShop, append([]string{"--privileged"}, flags...))
}

// newSmallBox is newBox with the actor alone, and without privileges.
func newSmallBox(t testing.TB, flags ...string) *box {
	t.Helper()
	needNode(t)
	return startBox(t, imageActor, flags)
}

func startBox(t testing.TB, image string, flags []string, first ...string) *box {
	t.Helper()
	return startBoxAs(t, image, flags, nil, first...)
}

// startBoxAs starts a box, with a command that it runs first; edit may change the
// container before it starts.
func startBoxAs(t testing.TB, image string, flags []string, edit func(testing.TB, string), first ...string) *box {
	t.Helper()
	b := &box{t: t, id: fmt.Sprintf("box-%d-", os.Getpid()) + strconv.FormatInt(boxes.Add(1), 10)}
	b.folder, b.volume = filepath.Join(node.dir, b.id), filepath.Join(node.dir, b.id+"-volume")
	for _, dir := range []string{b.folder, b.volume} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// What is not in the image lies in the volume from the start.
	if out, err := exec.Command(filepath.Join(node.dir, "actor"), "tiny", filepath.Join(b.volume, "unknown"), strconv.Itoa(ranUnknown)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	args := []string{
		"--mount", "type=bind,src=" + b.folder + ",dst=/order,options=rbind:rw",
		"--mount", "type=bind,src=" + b.volume + ",dst=/volume,options=rbind:rw",
		"--mount", "type=tmpfs,src=tmpfs,dst=/shm,options=mode=1777:size=64m",
	}
	args = append(append(args, flags...), image, b.id, "/actor", "init", "/order/sock")
	args = append(args, first...)
	t.Cleanup(b.remove)
	if edit == nil {
		if _, err := node.ctr(append([]string{"run", "-d", "--runc-root", filepath.Join(node.dir, "runc"), "--cgroup", "/touchstone-trial/" + b.id}, args...)...); err != nil {
			t.Fatal(err)
		}
	} else {
		if _, err := node.ctr(append([]string{"container", "create"}, args...)...); err != nil {
			t.Fatal(err)
		}
		edit(t, b.id)
		if _, err := node.ctr("task", "start", "-d", b.id); err != nil {
			t.Fatal(err)
		}
	}
	within(t, 30*time.Second, b.id+" takes orders", func() bool { // the socket is there before anybody listens
		c, err := net.Dial("unix", filepath.Join(b.folder, "sock"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return b
}

// remove stops the box. It may be gone already.
func (b *box) remove() {
	_, _ = node.ctr("task", "kill", "-a", "-s", "SIGKILL", b.id)
	deadline := time.Now().Add(20 * time.Second)
	for ; time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if out, err := node.ctr("task", "ls", "-q"); err == nil && !slices.Contains(strings.Fields(out), b.id) {
			break
		}
		_, _ = node.ctr("task", "delete", "-f", b.id)
	}
	_, _ = node.ctr("container", "delete", b.id)
	_ = os.RemoveAll(b.folder)
	_ = os.RemoveAll(b.volume)
}

// do has the box run a command.
func (b *box) do(args ...string) outcome {
	return b.order(order{Args: args})
}

// act has the box do a deed of the actor.
func (b *box) act(args ...string) outcome {
	return b.do(append([]string{"/actor"}, args...)...)
}

// sh has the box's shell run a line.
func (b *box) sh(line string) outcome { return b.do("/bin/sh", "-c", line) }

func (b *box) order(o order) outcome {
	out, err := b.try(o)
	if err != nil {
		return outcome{Code: -1, Err: "the box does not answer: " + err.Error()}
	}
	return out
}

func (b *box) try(o order) (out outcome, err error) {
	c, err := net.DialTimeout("unix", filepath.Join(b.folder, "sock"), 5*time.Second)
	if err != nil {
		return out, err
	}
	defer c.Close()
	if o.Within == 0 {
		o.Within = 30 * time.Second
	}
	_ = c.SetDeadline(time.Now().Add(o.Within + 10*time.Second))
	if err := json.NewEncoder(c).Encode(o); err != nil {
		return out, err
	}
	return out, json.NewDecoder(c).Decode(&out)
}

// must is do for what is to succeed.
func (b *box) must(args ...string) string {
	b.t.Helper()
	o := b.do(args...)
	if o.Code != 0 {
		b.t.Fatalf("%s: %s: %s", b.id, strings.Join(args, " "), o)
	}
	return o.Output
}

// running reports whether containerd says that the box runs.
func (b *box) running() bool {
	out, err := node.ctr("task", "ls")
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == b.id {
			return f[2] == "RUNNING"
		}
	}
	return false
}

// pids are the processes of the box, as the node counts.
func (b *box) pids() (out []int) {
	for _, pid := range allProcesses() {
		groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if strings.Contains(string(groups), "/touchstone-trial/"+b.id+"\n") {
			out = append(out, pid)
		}
	}
	return out
}

// state is the letter of a process, as ps calls it; 0 where it is gone.
func state(pid int) byte {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	end := strings.LastIndexByte(string(data), ')')
	if err != nil || end < 0 || len(data) < end+3 {
		return 0
	}
	return data[end+2]
}

func allProcesses() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
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
