package guard

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/guard/containerd"
	"touchstone.dev/touchstone/internal/guard/fanotify"
)

// sweep judges what runs in a subject already: the programs of its processes and the
// libraries that they have mapped. It finds what was begun before the guard was
// there, or while no layer could see it.
func (g *Guard) sweep(s *subject) {
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if im == nil {
		return
	}
	for _, pid := range g.processes(s) {
		if !g.runtimes(s, pid) && !g.layers.holds(pid) {
			g.sweepProcess(s, im, pid)
		}
	}
}

// enteringWithin is how long the runtime may take from its own first process in a
// container until that has become the container's.
const enteringWithin = 10 * time.Second

// runtimes reports whether a process is the runtime's own on its way into the
// container: it was begun from outside, just now, and is about to become what was
// asked for. In a container that is created and not started, the first process is.
func (g *Guard) runtimes(s *subject, pid int) bool {
	if s.host {
		return false
	}
	if pid == s.container.Init.PID && s.container.Status == containerd.Created && !s.begun.Load() {
		return true
	}
	p := readProcess(pid)
	if p == nil {
		return true // it has ended
	}
	age := g.c.Now().Sub(p.Started)
	return age < enteringWithin && !sameNamespace(pid, p.Parent, "pid") || sameNamespace(pid, hostProcess, "mnt")
}

// hostProcess is one that is always in the machine's own namespaces: the kernel's
// thread of threads.
const hostProcess = 2

func sameNamespace(a, b int, kind string) bool {
	one, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", a, kind))
	other, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", b, kind))
	return err == nil && err2 == nil && one == other
}

// recheck is a program to be looked at once more.
type recheck struct {
	subject uint64
	pid     int
	stamp   bpf.Stamp
}

// lookAgain looks once more at a program that was let run from where it could be
// written to: nobody can write to it while it runs, so what it holds now is what
// runs.
func (g *Guard) lookAgain(subject uint64, pid int, stamp fanotify.Stamp) {
	select {
	case g.rechecks <- recheck{subject, pid, bpf.Stamp(stamp)}:
	default:
		g.figures.lost.WithLabelValues("recheck").Inc()
		if s := g.subject(subject); s != nil {
			s.unswept.Store(true)
		}
	}
}

// runRechecks works through them until the context ends.
func (g *Guard) runRechecks(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-g.rechecks:
			g.recheck(&r)
		}
	}
}

// recheck waits until the process has become the program, and hashes it if it is not
// as it was when it was judged.
func (g *Guard) recheck(r *recheck) {
	s := g.subject(r.subject)
	if s == nil {
		return
	}
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if im == nil {
		return
	}
	exe := fmt.Sprintf("/proc/%d/exe", r.pid)
	for range 20 {
		var st unix.Stat_t
		if unix.Stat(exe, &st) != nil {
			return
		}
		now := stampOf(&st)
		if now == r.stamp {
			return
		}
		if now.Dev != r.stamp.Dev || now.Ino != r.stamp.Ino {
			time.Sleep(time.Millisecond) // it is still what it was before
			continue
		}
		if x := g.inspectRunning(s, im, exe, touchstone.ExecuteProgram, false); x != nil {
			if p := g.process(r.pid); p != nil {
				g.foundRunning(s, p, x)
			}
		}
		return
	}
}

// sweepProcess judges one process. Reading what is gone meanwhile finds nothing.
func (g *Guard) sweepProcess(s *subject, im *image, pid int) {
	p := g.process(pid)
	if p == nil {
		return
	}
	if x := g.inspectRunning(s, im, fmt.Sprintf("/proc/%d/exe", pid), touchstone.ExecuteProgram, false); x != nil {
		g.foundRunning(s, p, x)
		return
	}
	if x := g.inspectMappings(s, im, pid); x != nil {
		g.foundRunning(s, p, x)
	}
}

// inspectMappings looks at what a process has mapped to be executed, its program and
// that one's loader included, and returns the first that is not in the image.
func (g *Guard) inspectMappings(s *subject, im *image, pid int) *touchstone.Execution {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	defer maps.Close()
	seen := map[string]bool{}
	lines := bufio.NewScanner(maps)
	lines.Buffer(make([]byte, 0, 8<<10), 64<<10)
	for lines.Scan() {
		span, shared, device, ok := executableMapping(lines.Text())
		if !ok || seen[device] {
			continue
		}
		seen[device] = true
		path := filepath.Join("/proc", strconv.Itoa(pid), "map_files", span)
		if x := g.inspectRunning(s, im, path, touchstone.ExecuteLibrary, shared); x != nil {
			return x
		}
	}
	return nil
}

// executableMapping reads a line of /proc/PID/maps (proc_pid_maps(5)): the span of
// an executable mapping of a file, whether it is shared, and the file's device and
// inode.
func executableMapping(line string) (span string, shared bool, device string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 || len(f[1]) != 4 || f[1][2] != 'x' || f[4] == "0" {
		return "", false, "", false
	}
	return f[0], f[1][3] == 's', f[3] + " " + f[4] + f[1][3:], true
}

// inspectRunning opens what runs through /proc, and returns it where it is not in
// the image. A file without a name that is mapped shared is what just-in-time
// compilers write to, and is none.
func (g *Guard) inspectRunning(s *subject, im *image, path string, kind touchstone.ExecutionKind, shared bool) *touchstone.Execution {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil
	}
	name, _ := os.Readlink(path)
	x := &touchstone.Execution{Kind: kind, Path: strings.TrimPrefix(strings.TrimSuffix(name, " (deleted)"), "/"), Size: st.Size}
	if st.Nlink == 0 {
		if shared {
			return nil
		}
		x.Kind = touchstone.ExecuteMemory
		return x
	}
	stamp := stampOf(&st)
	if g.layers.verified(s, stamp) {
		return nil
	}
	if !im.contents.HasSize(st.Size) && !g.waivesContent() {
		return x
	}
	sum, err := hashAll(f)
	if err != nil {
		x.Unjudged = err.Error()
		return x
	}
	if _, ok := im.contents.Has(st.Size, sum); ok {
		var after unix.Stat_t
		if unix.Fstat(int(f.Fd()), &after) == nil && stampOf(&after) == stamp {
			g.layers.verify(s, stamp)
		}
		return nil
	}
	x.SHA256 = touchstone.NewDigest(sum[:])
	return x
}

func hashAll(r io.Reader) (sum [32]byte, err error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return sum, fmt.Errorf("reading it: %w", err)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// foundRunning puts something that runs already before the rules; what is stopped is
// its process.
func (g *Guard) foundRunning(s *subject, p *touchstone.Process, x *touchstone.Execution) {
	a := act{
		subject: s, kind: touchstone.EventRunUnknown, thing: x.Path, process: p, at: g.c.Now(), copy: x.Path,
		question: touchstone.Question{Occasion: touchstone.OccasionExecute, Execution: x},
	}
	j := g.judge(s, a.question)
	if j.stops() {
		a.steps = append(a.steps, g.killed(p, "sweep"))
		if !g.endings.first(p.PID, int64(p.Started.Sub(bootTime())/tick)) {
			return
		}
	}
	g.happened(a, j)
}

// killed ends one process, if it is still the one that was meant.
func (g *Guard) killed(p *touchstone.Process, layer string) touchstone.Step {
	step := touchstone.Step{At: g.c.Now(), Do: touchstone.DeedKilled, Layer: layer}
	if err := killProcess(p); err != nil {
		step.Problem = err.Error()
	}
	return step
}

// killProcess ends a process by a handle on it, so that another with the same id is
// not hit.
func killProcess(p *touchstone.Process) error {
	if p == nil {
		return nil
	}
	if p.PID <= 1 || p.PID == os.Getpid() {
		return errors.New("that process is never ended")
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending process %d: %w", p.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if now := readProcess(p.PID); now == nil || !now.Started.Equal(p.Started) {
		return nil // it has ended, and its number may be another's
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("ending process %d: %w", p.PID, err)
	}
	return nil
}
