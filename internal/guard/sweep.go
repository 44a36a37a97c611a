package guard

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
)

// sweep judges what runs in a subject already: the programs of its processes and the
// libraries that they have mapped. It finds what was begun before the guard was
// there, or while no layer could see it.
func (g *Guard) sweep(s *subject) {
	im := s.image.Load()
	if im == nil {
		return
	}
	for _, pid := range g.processes(s) {
		g.sweepProcess(s, im, pid)
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
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return
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
			g.foundRunning(s, p, x)
			return
		}
	}
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
	if !im.contents.HasSize(st.Size) {
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
