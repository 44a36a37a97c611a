package bpf

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// container is a process in namespaces and a cgroup of its own, on an overlay:
// /actor is this test binary; /bin, /lib and /lib64 hold a dynamic program and its
// loader; /shm is a tmpfs and /volume a folder of the host's.
type container struct {
	t      testing.TB
	layer  *Layer
	id     uint64
	pid    int
	base   string
	cgroup string
	in     io.WriteCloser
	out    *bufio.Scanner
	exited chan struct{}
}

var lastSubject atomic.Uint64

func needKernel(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 || runtime.GOARCH != "amd64" {
		t.Skip("needs root, on amd64")
	}
	if err := Supported(); err != nil {
		t.Skip("needs a kernel with eBPF: ", err)
	}
}

// openLayer opens a layer in a folder of its own.
func openLayer(t testing.TB, change func(*Config)) *Layer {
	t.Helper()
	needKernel(t)
	config := Config{Folder: "/sys/fs/bpf/touchstone-test-" + strconv.Itoa(os.Getpid()) + "-" + strings.ReplaceAll(strings.ReplaceAll(t.Name(), "/", "-"), ".", "_"), Mappings: true, Stamps: 1024}
	if change != nil {
		change(&config)
	}
	t.Cleanup(func() {
		if err := Remove(config.Folder); err != nil {
			t.Error(err)
		}
	})
	l, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

var strict = Mode{Unverified: Kill, Nameless: Kill, Mapping: Kill, Implied: Kill, Unjudged: Report}

// start runs a container, with options for its overlay; it is not watched.
func start(t testing.TB, l *Layer, options ...string) *container {
	t.Helper()
	c := &container{t: t, layer: l, id: lastSubject.Add(1), base: t.TempDir(), exited: make(chan struct{})}
	c.build()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, append([]string{actorFlag, "init", c.base}, options...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	command.Stderr = os.Stderr
	if c.in, err = command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(out)
	c.out.Buffer(nil, 1<<20)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c.pid = command.Process.Pid
	t.Cleanup(func() {
		if err := c.layer.Unwatch(c.id); err != nil {
			t.Error(err)
		}
		command.Process.Kill()
		<-c.exited
		if err := poll(func() bool { return os.Remove(c.cgroup) == nil }); err != nil {
			t.Error("the cgroup stays: ", err)
		}
	})
	go func() {
		command.Process.Wait()
		close(c.exited)
	}()
	c.cgroup = filepath.Join(l.hierarchy.folder, fmt.Sprintf("touchstone-test-%d-%d", os.Getpid(), c.id))
	if err := os.Mkdir(c.cgroup, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.cgroup, "cgroup.procs"), []byte(strconv.Itoa(c.pid)), 0); err != nil {
		t.Fatal(err)
	}
	if !c.out.Scan() || c.out.Text() != "ready" {
		t.Fatal("the container did not start")
	}
	return c
}

// watched starts a container and watches it; /actor and the dynamic program with its
// libraries are verified.
func watched(t testing.TB, l *Layer, mode Mode, options ...string) *container {
	t.Helper()
	c := start(t, l, options...)
	id, err := l.Identify(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Watch(c.id, id, mode); err != nil {
		t.Fatal(err)
	}
	c.verifyImage()
	return c
}

func (c *container) verifyImage() {
	c.t.Helper()
	var stamps []Stamp
	err := filepath.WalkDir(filepath.Join(c.base, "lower"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			stamps = append(stamps, c.stamp(strings.TrimPrefix(path, filepath.Join(c.base, "lower"))))
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.layer.VerifyAll(c.id, stamps); err != nil {
		c.t.Fatal(err)
	}
}

func (c *container) build() {
	c.t.Helper()
	for _, d := range []string{"lower/proc", "lower/dev", "lower/shm", "lower/volume", "lower/tmp", "lower/bin", "lower/lib64", "lower/lib/x86_64-linux-gnu", "upper", "work", "root", "volume"} {
		if err := os.MkdirAll(filepath.Join(c.base, d), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	for from, to := range map[string]string{
		self:                              "lower/actor",
		"/bin/true":                       "lower/bin/true",
		"/lib64/ld-linux-x86-64.so.2":     "lower/lib64/ld-linux-x86-64.so.2",
		"/lib/x86_64-linux-gnu/libc.so.6": "lower/lib/x86_64-linux-gnu/libc.so.6",
		"/lib/x86_64-linux-gnu/libm.so.6": "lower/lib/x86_64-linux-gnu/libm.so.6",
	} {
		copyFile(c.t, from, filepath.Join(c.base, to))
	}
	for name, content := range map[string][]byte{"known": program(7), "narrow": narrow(false), "narrow-old": narrow(true)} {
		if err := os.WriteFile(filepath.Join(c.base, "lower/bin", name), content, 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// program is an ELF file that ends with the code.
func program(code byte) []byte {
	text := []byte{
		0xbf, code, 0, 0, 0, // mov edi, code
		0xb8, 60, 0, 0, 0, // mov eax, exit
		0x0f, 0x05, // syscall
	}
	const base, headers = 0x400000, 0x78
	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2)  // executable
	b = le.AppendUint16(b, 62) // x86-64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+headers) // entry
	b = le.AppendUint64(b, 0x40)         // program headers
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	for _, n := range []uint16{0x40, 0x38, 1, 0x40, 0, 0} {
		b = le.AppendUint16(b, n)
	}
	b = le.AppendUint32(b, 1) // load
	b = le.AppendUint32(b, 5) // readable, executable
	size := uint64(headers + len(text))
	for _, n := range []uint64{0, base, base, size, size, 0x1000} {
		b = le.AppendUint64(b, n)
	}
	return append(b, text...)
}

// narrow is a 32-bit ELF file that maps /tmp/x executable, by the old call or by that
// which came after it, and ends with the code 32.
func narrow(old bool) []byte {
	const base, headers, path = 0x8048000, 52 + 2*32, 0x8048000 + 52 + 2*32
	text := append([]byte("/tmp/x\x00\x00"),
		0xb8, 5, 0, 0, 0, // mov eax, open
		0xbb, path&0xff, path>>8&0xff, path>>16&0xff, path>>24, // mov ebx, the path
		0x31, 0xc9, // xor ecx, ecx
		0xcd, 0x80, // int 0x80
		0x31, 0xed, // xor ebp, ebp
	)
	if old {
		text = append(text,
			0x55,                   // push ebp: the offset
			0x50,                   // push eax: the descriptor
			0x6a, unix.MAP_PRIVATE, // push
			0x6a, unix.PROT_READ|unix.PROT_EXEC, // push
			0x68, 0, 0x10, 0, 0, // push 4096
			0x55,       // push ebp: any address
			0x89, 0xe3, // mov ebx, esp
			0xb8, 90, 0, 0, 0, // mov eax, mmap
		)
	} else {
		text = append(text,
			0x89, 0xc7, // mov edi, eax
			0x31, 0xdb, // xor ebx, ebx
			0xb9, 0, 0x10, 0, 0, // mov ecx, 4096
			0xba, unix.PROT_READ|unix.PROT_EXEC, 0, 0, 0, // mov edx
			0xbe, unix.MAP_PRIVATE, 0, 0, 0, // mov esi
			0xb8, 192, 0, 0, 0, // mov eax, mmap2
		)
	}
	text = append(text,
		0xcd, 0x80, // int 0x80
		0xbb, 32, 0, 0, 0, // mov ebx, code
		0xb8, 1, 0, 0, 0, // mov eax, exit
		0xcd, 0x80, // int 0x80
	)
	b := []byte{0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2) // executable
	b = le.AppendUint16(b, 3) // 386
	for _, n := range []uint32{1, path + 8, 52, 0, 0} {
		b = le.AppendUint32(b, n)
	}
	for _, n := range []uint16{52, 32, 2, 40, 0, 0} {
		b = le.AppendUint16(b, n)
	}
	size := uint32(headers + len(text))
	for _, n := range []uint32{
		1, 0, base, base, size, size, 5, 0x1000, // load, readable and executable
		0x6474e551, 0, 0, 0, 0, 0, 6, 16, // a stack that is not executable
	} {
		b = le.AppendUint32(b, n)
	}
	return append(b, text...)
}

// path returns where the host finds the container's file.
func (c *container) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(c.pid), "root", name)
}

func (c *container) stamp(name string) Stamp {
	c.t.Helper()
	f, err := os.Open(c.path(name))
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	var devices Devices
	s, err := devices.StampOf(c.pid, f)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// put writes a program into the container that ends with the code 42.
func (c *container) put(name string) string {
	c.t.Helper()
	if err := os.WriteFile(c.path(name), program(42), 0o755); err != nil {
		c.t.Fatal(err)
	}
	return name
}

func (c *container) verify(name string) {
	c.t.Helper()
	if err := c.layer.Verify(c.id, c.stamp(name)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *container) run(args ...string) outcome { return c.order(order{Args: args}) }

// act runs a deed of the actor.
func (c *container) act(args ...string) outcome {
	return c.run(append([]string{"/actor", actorFlag}, args...)...)
}

func (c *container) order(o order) outcome {
	c.t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(append(raw, '\n')); err != nil {
		c.t.Fatal(err)
	}
	var result outcome
	if !c.out.Scan() {
		return outcome{Err: "the container is gone"}
	}
	if err := json.Unmarshal(c.out.Bytes(), &result); err != nil {
		c.t.Fatal(err)
	}
	return result
}

func (c *container) counters() Counters {
	c.t.Helper()
	n, err := c.layer.Counters(c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// poll waits for something to become true, for ten seconds.
func poll(done func() bool) error {
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within ten seconds")
		}
	}
	return nil
}

// enter runs /bin/known in namespaces of the container, from the host.
func enter(t *testing.T, c *container, namespaces ...string) {
	t.Helper()
	args := append([]string{"--target", strconv.Itoa(c.pid)}, namespaces...)
	program := "/bin/known"
	if !slices.Contains(namespaces, "--mount") {
		program = "/bin/true"
	}
	command := exec.Command("/usr/bin/nsenter", append(args, program)...)
	if out, err := command.CombinedOutput(); command.ProcessState == nil {
		t.Fatalf("nsenter: %v: %s", err, out)
	}
}
