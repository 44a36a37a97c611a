package bpf

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Every way to run or load what was not verified. Each is tried without
// enforcement first, where it must succeed.
func TestEvasions(t *testing.T) {
	l := openLayer(t, nil)
	const mount, pid = "131072", "536870912" // CLONE_NEWNS, CLONE_NEWPID
	cases := []struct {
		name string
		put  string // where the program is put first
		args []string
		env  []string
		code int // when it succeeds
	}{
		{name: "a dropped program", put: "/tmp/x", args: []string{"/tmp/x"}, code: 42},
		{name: "a replaced program of the image", put: "/bin/known", args: []string{"/bin/known"}, code: 42},
		{name: "execveat on a descriptor", put: "/tmp/x", args: []string{"/actor", actorFlag, "fd", "/tmp/x"}, code: 42},
		{name: "a memfd", put: "/tmp/x", args: []string{"/actor", actorFlag, "memfd", "/tmp/x"}, code: 42},
		{name: "an unlinked file", put: "/tmp/x", args: []string{"/actor", actorFlag, "unlinked", "/tmp/x"}, code: 42},
		{name: "an unlinked file of the image", args: []string{"/actor", actorFlag, "unlinked", "/bin/known"}, code: 7},
		{name: "a tmpfs", put: "/shm/x", args: []string{"/shm/x"}, code: 42},
		{name: "a bind volume", put: "/volume/x", args: []string{"/volume/x"}, code: 42},
		{name: "a nested overlay", put: "/tmp/x", args: []string{"/actor", actorFlag, "overlay", "/tmp/x"}, code: 42},
		{name: "a nested overlay over a tmpfs", put: "/shm/x", args: []string{"/actor", actorFlag, "overlay", "/shm/x"}, code: 42},
		{name: "a nested mount namespace", put: "/tmp/x", args: []string{"/actor", actorFlag, "unshare", mount, "/tmp/x"}, code: 42},
		{name: "a nested PID namespace", put: "/tmp/x", args: []string{"/actor", actorFlag, "unshare", pid, "/tmp/x"}, code: 42},
		{name: "the loader given a program", put: "/tmp/true", args: []string{"/lib64/ld-linux-x86-64.so.2", "/tmp/true"}},
		{name: "LD_PRELOAD", put: "/tmp/lib.so", args: []string{"/bin/true"}, env: []string{"LD_PRELOAD=/tmp/lib.so"}},
		{name: "LD_PRELOAD from a tmpfs", put: "/shm/lib.so", args: []string{"/bin/true"}, env: []string{"LD_PRELOAD=/shm/lib.so"}},
		{name: "LD_LIBRARY_PATH", put: "/shm/libc.so.6", args: []string{"/bin/true"}, env: []string{"LD_LIBRARY_PATH=/shm"}},
		{name: "another loader", put: "/tmp/root/lib64/ld-linux-x86-64.so.2", args: []string{"/actor", actorFlag, "chroot", "/tmp/root", "/bin/true"}},
		{name: "mmap", put: "/tmp/x", args: []string{"/actor", actorFlag, "map", "/tmp/x"}},
		{name: "mprotect", put: "/tmp/x", args: []string{"/actor", actorFlag, "protect", "/tmp/x"}},
		{name: "mprotect of a range", put: "/tmp/x", args: []string{"/actor", actorFlag, "span", "/tmp/x"}},
		{name: "mprotect of a range of many mappings", put: "/tmp/x", args: []string{"/actor", actorFlag, "span", "/tmp/x", "3000"}},
		{name: "reading implies executing", put: "/tmp/x", args: []string{"/actor", actorFlag, "implied", "/tmp/x"}},
		{name: "mmap of 32 bits", put: "/tmp/x", args: []string{"/bin/narrow"}, code: 32},
		{name: "old mmap of 32 bits", put: "/tmp/x", args: []string{"/bin/narrow-old"}, code: 32},
		{name: "a file that is mapped for writing", put: "/tmp/x", args: []string{"/actor", actorFlag, "write", "/tmp/x"}, code: 42},
		{name: "two threads race", put: "/tmp/x", args: []string{"/actor", actorFlag, "race", "/bin/known", "/tmp/x"}},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, stopped := range []bool{false, true} {
				c := start(t, l)
				id, err := l.Identify(c.pid)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Watch(c.id, id, Mode{}); err != nil {
					t.Fatal(err)
				}
				c.verifyImage()
				prepare(t, c, tt.put)
				before := c.counters()
				if stopped {
					if err := l.Watch(c.id, id, strict); err != nil {
						t.Fatal(err)
					}
				}
				got := c.order(order{Args: tt.args, Env: tt.env})
				n := c.counters()
				switch {
				case stopped && (got.Signal != syscall.SIGKILL || n.Killed == before.Killed):
					t.Errorf("it was not killed: %+v, counted %+v", got, n)
				case !stopped && (got.Signal != 0 || got.Code != tt.code || got.Err != ""):
					t.Errorf("without enforcement, it does not run: %+v", got)
				}
			}
		})
	}
}

// prepare puts there what is not verified: for a library, one that the loader takes.
func prepare(t *testing.T, c *container, name string) {
	t.Helper()
	switch {
	case name == "":
	case filepath.Base(name) == "lib.so":
		copyFile(t, "/lib/x86_64-linux-gnu/libm.so.6", c.path(name))
	case filepath.Base(name) == "true":
		copyFile(t, "/bin/true", c.path(name))
	case filepath.Base(name) == "libc.so.6":
		copyFile(t, "/lib/x86_64-linux-gnu/libc.so.6", c.path(name))
	case filepath.Base(name) == "ld-linux-x86-64.so.2":
		for _, d := range []string{"lib64", "lib/x86_64-linux-gnu", "bin"} {
			if err := os.MkdirAll(filepath.Join(c.path("/tmp/root"), d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []string{"/bin/true", "/lib/x86_64-linux-gnu/libc.so.6"} {
			if err := os.Link(c.path(f), c.path("/tmp/root"+f)); err != nil {
				t.Fatal(err)
			}
			c.verify("/tmp/root" + f)
		}
		copyFile(t, "/lib64/ld-linux-x86-64.so.2", c.path(name))
	default:
		c.put(name)
	}
}

func TestWhatIsVerifiedRuns(t *testing.T) {
	l := openLayer(t, nil)
	c := watched(t, l, strict)
	want := func(code int, got outcome) {
		t.Helper()
		if got.Code != code || got.Signal != 0 || got.Err != "" {
			t.Errorf("it ended with %+v, want the code %d", got, code)
		}
	}
	want(7, c.run("/bin/known"))
	want(32, c.run("/bin/narrow"))
	want(0, c.run("/bin/true"))
	want(0, c.act("memory"))
	want(0, c.act("map", "/bin/known"))

	c.put("/tmp/x")
	c.verify("/tmp/x")
	want(42, c.run("/tmp/x"))
	if err := os.Chmod(c.path("/tmp/x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := c.run("/tmp/x"); got.Signal != unix.SIGKILL {
		t.Errorf("a file that was touched is not a verified state, but it ended with %+v", got)
	}
	c.verify("/tmp/x")
	want(42, c.run("/tmp/x"))
	if got := c.act("write", "/tmp/x"); got.Signal != unix.SIGKILL {
		t.Errorf("a verified file that is mapped for writing ended with %+v", got)
	}
	if n := c.counters(); n.Memory != 2 || n.Killed != 2 {
		t.Errorf("counted %+v", n)
	}
}

// On such an overlay, stat shows another device than the kernel knows.
func TestVerifiedOnAnOverlayOfSeveralFileSystems(t *testing.T) {
	l := openLayer(t, nil)
	c := watched(t, l, strict)
	c.put("/tmp/x")
	if got := c.act("overlay", "/tmp/x"); got.Signal != unix.SIGKILL {
		t.Fatalf("it ended with %+v", got)
	}
	c.verify("/shm/merged/x")
	if got := c.run("/shm/merged/x"); got.Code != 42 {
		t.Errorf("it ended with %+v", got)
	}
	var st unix.Stat_t
	if err := unix.Stat(c.path("/shm/merged/x"), &st); err != nil {
		t.Fatal(err)
	}
	if stamp := c.stamp("/shm/merged/x"); stamp == StampOfStat(&st) {
		t.Error("stat shows the superblock's device: this test has lost its point")
	}
}

// A range of more mappings than are looked at is said to be unjudged.
func TestTooManyMappings(t *testing.T) {
	l := openLayer(t, nil)
	h := listen(t, l)
	c := watched(t, l, strict)
	if got := c.act("span", "/bin/known", "9000"); got.Code != 0 {
		t.Errorf("it ended with %+v", got)
	}
	if e := h.wait(c.id, is(Reported)); e.Why != Busy {
		t.Errorf("told of it: %+v", e)
	}
}

// An overlay with metacopy has the times of a file in one layer, its bytes in another:
// either stamp will do.
func TestVerifiedWithMetacopy(t *testing.T) {
	l := openLayer(t, nil)
	c := watched(t, l, strict, "metacopy=on")
	for _, f := range []string{"/bin/known", "/lib/x86_64-linux-gnu/libc.so.6"} {
		if err := os.Chmod(c.path(f), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func(want ...int) {
		t.Helper()
		for i, program := range []string{"/bin/known", "/bin/true"} {
			if got := c.run(program); got.Code != want[i] {
				t.Errorf("%s ended with %+v, want %d", program, got, want[i])
			}
		}
	}
	run(7, 0)
	if err := l.Forget(c.id); err != nil {
		t.Fatal(err)
	}
	run(-1, -1)
	c.verifyImage()
	run(7, 0)
}

// What is written through a mapping changes the times of the file below at once, and
// those of the overlay's inode later: the file is not the verified one any more.
func TestWrittenThroughAMapping(t *testing.T) {
	l := openLayer(t, nil)
	c := watched(t, l, strict)
	c.put("/tmp/x")
	c.verify("/tmp/x")
	if got := c.act("patch", "/tmp/x"); got.Code != 0 {
		t.Fatalf("it ended with %+v", got)
	}
	if got := c.run("/tmp/x"); got.Signal != unix.SIGKILL {
		t.Errorf("it ended with %+v", got)
	}
	c.verify("/tmp/x")
	if got := c.run("/tmp/x"); got.Code != 43 {
		t.Errorf("verified, it ended with %+v", got)
	}
}
