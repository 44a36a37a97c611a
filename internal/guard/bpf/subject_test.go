package bpf

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Whoever is in the container's cgroup but in the host's mount namespace is the
// container runtime.
func TestTheRuntimeIsNotJudged(t *testing.T) {
	l := openLayer(t, nil)
	c := watched(t, l, strict)
	unknown := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(unknown, program(42), 0o755); err != nil {
		t.Fatal(err)
	}
	join := "echo $$ > " + filepath.Join(c.cgroup, "cgroup.procs") + " && exec " + unknown
	err := exec.Command("/bin/sh", "-c", join).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("it ended with %v", err)
	}
	if n := c.counters(); n.Execs != 0 {
		t.Errorf("counted %+v", n)
	}
}

// The host is a subject as well, if it is wanted, and containers are none of it.
func TestTheHost(t *testing.T) {
	const host = 1 << 32
	l := openLayer(t, func(c *Config) { c.Host = host })
	if err := l.Watch(host, Identity{}, Mode{Unverified: Report}); err != nil {
		t.Fatal(err)
	}
	h := listen(t, l)
	c := watched(t, l, Mode{})
	unknown := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(unknown, program(0), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(unknown).Run(); err != nil {
		t.Fatal(err)
	}
	e := h.wait(host, func(e Event) bool { return e.Name == unknown })
	if e.Process.InnerPID != e.Process.PID || e.Verdict != Reported {
		t.Errorf("told of it: %+v", e)
	}
	c.run("/bin/known")
	if n := c.counters(); n.Execs != 1 {
		t.Errorf("counted %+v", n)
	}
}

func TestIdentify(t *testing.T) {
	l := openLayer(t, nil)
	c := start(t, l)
	got, err := l.Identify(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	cgroup, err := l.CgroupID(filepath.Base(c.cgroup))
	if err != nil {
		t.Fatal(err)
	}
	var space unix.Stat_t
	if err := unix.Stat("/proc/"+strconv.Itoa(c.pid)+"/ns/pid", &space); err != nil {
		t.Fatal(err)
	}
	if got.MountNS == 0 || got.Cgroup != cgroup || uint64(got.PIDNS.Inode) != space.Ino || got.PIDNS.Start == 0 {
		t.Errorf("identified %+v", got)
	}
	own, err := l.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own.Cgroup = 0
	if diff := cmp.Diff(Identity{}, own); diff != "" {
		t.Errorf("the host's namespaces tell somebody: %s", diff)
	}
	if _, err := l.Identify(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Error("a process that is not there was identified")
	}
}
