//go:build linux

package fanotify

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A box is what a container is to this layer: a process with a mount namespace and
// an overlay for its root, a tmpfs at /tmp, one at /dev/shm and a bind mount at /vol.
// Its lower layer has some of this machine's programs, and this test's binary as
// /helper, which does what no program does.
type box struct {
	tb    testing.TB
	dir   string
	pid   int
	mu    sync.Mutex
	in    *json.Encoder
	out   *json.Decoder
	known map[content]bool
}

type content struct {
	size int64
	sum  [32]byte
}

type order struct {
	Argv []string
	Env  []string
	Dir  string
}

type outcome struct {
	Output string
	Failed string // why it could not be run, or how it ended; empty where it ended well
}

const helperRole = "TOUCHSTONE_FANOTIFY_HELPER"

func TestMain(m *testing.M) {
	switch role, name := os.Getenv(helperRole), filepath.Base(os.Args[0]); {
	case role == "init":
		os.Exit(boxInit(os.Args[1]))
	case name == "helper", strings.HasPrefix(name, "evil"), strings.HasPrefix(name, "copy"):
		os.Exit(help(os.Args[1:]))
	case role != "":
		os.Exit(guardInBox())
	}
	os.Exit(m.Run())
}

func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Skip("fanotify permission events and overlay mounts need root")
	}
	if f := Probe(); !f.Permission || !f.Filesystem {
		tb.Skipf("this kernel has no fanotify permission events on file systems: %s", f.Problem)
	}
}

// programs of this machine that a box has, with the libraries they need.
var programs = []string{"bash", "cat", "chmod", "chown", "cp", "ls", "ln", "mv", "rm", "touch", "true", "sleep", "dd", "mkdir", "perl", "mawk", "mount", "umount", "unshare", "tee"}

// image makes the lower layer once for all tests: its files keep their times.
var image = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fanotify-image-")
	if err != nil {
		return "", err
	}
	for _, d := range []string{"proc", "tmp", "dev/shm", "vol", "old", "etc", "bin", "data", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	files := map[string]string{"/helper": "/proc/self/exe"}
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil {
			return "", err
		}
		files["/bin/"+p] = path
		out, err := exec.Command("ldd", path).Output()
		if err != nil {
			return "", fmt.Errorf("ldd %s: %w", path, err)
		}
		for _, word := range strings.Fields(string(out)) {
			if strings.HasPrefix(word, "/") {
				files[word] = word
			}
		}
	}
	files["/bin/sh"] = files["/bin/bash"]
	for to, from := range files {
		if err := copyFile(from, filepath.Join(dir, to), 0o755); err != nil {
			return "", err
		}
	}
	if runtime.GOARCH == "amd64" {
		if err := os.WriteFile(filepath.Join(dir, "bin/tiny"), tinyProgram(0), 0o755); err != nil {
			return "", err
		}
	}
	for name, text := range map[string]string{
		"bin/start.sh":  "#!/bin/bash\necho started $1\n",
		"bin/sum.pl":    "open F, $ARGV[0] or die; my $n = 0; $n += length while <F>; print \"$n\\n\";\n",
		"bin/prog.awk":  "{ n++ } END { print n }\n",
		"data/numbers":  "1\n2\n3\n",
		"etc/passwd":    "root:x:0:0:root:/root:/bin/bash\n",
		"data/notes.sh": "echo from the image\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			return "", err
		}
	}
	// An image is older than its containers by more than a tick of the kernel's clock.
	time.Sleep(20 * time.Millisecond)
	return dir, nil
})

// tinyProgram is the smallest program for amd64: it ends at once, with a status that
// is its byte at tinyStatus. What executing it costs is what executing costs at least.
func tinyProgram(status byte) []byte {
	const base, head = 0x400000, 64 + 56
	code := []byte{0xbf, status, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05} // exit(status)
	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0}
	for _, v := range []uint64{base + head, 64, 0} { // entry, program headers, sections
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = append(b, 0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 1, 0, 0, 0, 5, 0, 0, 0) // PT_LOAD, read and execute
	for _, v := range []uint64{0, base, base, head + uint64(len(code)), head + uint64(len(code)), 0x1000} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return append(b, code...)
}

const tinyStatus = 64 + 56 + 1

func copyFile(from, to string, mode os.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if e := dst.Close(); err == nil {
		err = e
	}
	return err
}

func newBox(tb testing.TB) *box {
	tb.Helper()
	needRoot(tb)
	lower, err := image()
	if err != nil {
		tb.Fatal(err)
	}
	b := &box{tb: tb, dir: tb.TempDir(), known: make(map[content]bool)}
	for _, d := range []string{"upper", "work", "root", "vol"} {
		if err := os.Mkdir(filepath.Join(b.dir, d), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Symlink(lower, filepath.Join(b.dir, "lower")); err != nil {
		tb.Fatal(err)
	}
	err = filepath.WalkDir(lower, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		b.known[content{int64(len(data)), sha256.Sum256(data)}] = true
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", b.dir)
	cmd.Env = []string{helperRole + "=init"}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	b.pid, b.in, b.out = cmd.Process.Pid, json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))
	tb.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var ready outcome
	if err := b.out.Decode(&ready); err != nil || ready.Failed != "" {
		tb.Fatalf("starting the box: %v %s", err, ready.Failed)
	}
	return b
}

// boxInit makes the box and runs what it is told to.
func boxInit(dir string) int {
	out := json.NewEncoder(os.Stdout)
	if err := enterBox(dir); err != nil {
		_ = out.Encode(outcome{Failed: err.Error()})
		return 1
	}
	_ = out.Encode(outcome{})
	in := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return 0
		}
		cmd := exec.Command(o.Argv[0], o.Argv[1:]...)
		cmd.Env, cmd.Dir = append([]string{"PATH=/bin"}, o.Env...), o.Dir
		text, err := cmd.CombinedOutput()
		result := outcome{Output: string(text)}
		if err != nil {
			result.Failed = err.Error()
		}
		_ = out.Encode(result)
	}
}

func enterBox(dir string) error {
	root := filepath.Join(dir, "root")
	lower, err := os.Readlink(filepath.Join(dir, "lower"))
	if err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, dir, dir)
	steps := []struct {
		what string
		do   func() error
	}{
		{"making mounts private", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"mounting the overlay", func() error { return unix.Mount("overlay", root, "overlay", 0, options) }},
		{"mounting /proc", func() error { return unix.Mount("proc", root+"/proc", "proc", 0, "") }},
		{"mounting /tmp", func() error { return unix.Mount("tmp", root+"/tmp", "tmpfs", 0, "") }},
		{"mounting /dev", func() error { return unix.Mount("dev", root+"/dev", "tmpfs", 0, "") }},
		{"making /dev/null", func() error { return unix.Mknod(root+"/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) }},
		{"making /dev/fd", func() error { return os.Symlink("/proc/self/fd", root+"/dev/fd") }},
		{"making /dev/shm", func() error { return os.Mkdir(root+"/dev/shm", 0o777) }},
		{"mounting /dev/shm", func() error { return unix.Mount("shm", root+"/dev/shm", "tmpfs", 0, "") }},
		{"mounting /vol", func() error { return unix.Mount(dir+"/vol", root+"/vol", "", unix.MS_BIND, "") }},
		{"changing the root", func() error { return unix.PivotRoot(root, root+"/old") }},
		{"going there", func() error { return os.Chdir("/") }},
		{"leaving the old root", func() error { return unix.Unmount("/old", unix.MNT_DETACH) }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// run runs something in the box and waits for its end.
func (b *box) run(o order) outcome {
	b.tb.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var result outcome
	if err := b.in.Encode(o); err != nil {
		b.tb.Fatal(err)
	}
	if err := b.out.Decode(&result); err != nil {
		b.tb.Fatalf("running %q: %v", o.Argv, err)
	}
	return result
}

func (b *box) sh(script string) outcome {
	b.tb.Helper()
	return b.run(order{Argv: []string{"/bin/bash", "-c", script}})
}

// must runs a script that has to succeed.
func (b *box) must(script string) string {
	b.tb.Helper()
	r := b.sh(script)
	if r.Failed != "" {
		b.tb.Fatalf("%s: %s: %s", script, r.Failed, r.Output)
	}
	return r.Output
}

// court is a Judge that knows what boxes hold, and remembers what it was asked.
type court struct {
	mu       sync.Mutex
	boxes    map[uint64]*box
	allow    bool // answer that unknown content may be run
	late     bool // it is known only when it is asked about as unknown
	unknown  []Access
	unjudged []Access
	verified map[Stamp]int
	asking   func(*Access) // called for what is unknown, if not nil
	hasSize  func(subject uint64, size int64)
}

func (c *court) HasSize(subject uint64, size int64) bool {
	if c.hasSize != nil {
		c.hasSize(subject, size)
	}
	for k := range c.box(subject).known {
		if k.size == size {
			return true
		}
	}
	return false
}

func (c *court) Has(subject uint64, size int64, sum [32]byte) bool {
	c.mu.Lock()
	late := c.late
	c.mu.Unlock()
	return !late && c.box(subject).known[content{size, sum}]
}

func (c *court) box(subject uint64) *box {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boxes[subject]
}

func (c *court) Verified(_ uint64, s Stamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verified[s]++
}

func (c *court) Unknown(a *Access) Answer {
	if c.asking != nil {
		c.asking(a)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unknown = append(c.unknown, *a)
	if c.late && a.Hashed && c.boxes[a.Subject].known[content{a.Stamp.Size, a.SHA256}] {
		return Answer{Known: true}
	}
	return Answer{Deny: !c.allow}
}

func (c *court) Unjudged(a *Access) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unjudged = append(c.unjudged, *a)
}

// asked returns what has been told since the last call.
func (c *court) asked() (unknown, unjudged []Access) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unknown, unjudged = c.unknown, c.unjudged
	c.unknown, c.unjudged = nil, nil
	return unknown, unjudged
}

// start starts a layer that watches boxes, the first as subject 1.
func start(tb testing.TB, change func(*Config, *court), boxes ...*box) (*Layer, *court) {
	tb.Helper()
	c := &court{boxes: make(map[uint64]*box), verified: make(map[Stamp]int)}
	cfg := Config{Judge: c, Log: slog.New(slog.NewTextHandler(testWriter{tb}, nil)), Trouble: func(id uint64, s string) { tb.Logf("trouble %d: %s", id, s) }}
	if change != nil {
		change(&cfg, c)
	}
	l, err := Start(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.Close)
	for i, b := range boxes {
		c.mu.Lock()
		c.boxes[uint64(i+1)] = b
		c.mu.Unlock()
		if err := l.Watch(Subject{ID: uint64(i + 1), PID: b.pid, Opens: true}); err != nil {
			tb.Fatal(err)
		}
	}
	return l, c
}

type testWriter struct{ tb testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.tb.Logf("%s", b)
	return len(b), nil
}

// soon waits until something holds.
func soon(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 10 seconds: %s", what)
		}
	}
}

func kinds(accesses []Access) []string {
	var out []string
	for _, a := range accesses {
		out = append(out, string(a.Kind)+" "+a.Path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
