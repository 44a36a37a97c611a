package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/inspect/secrets"
)

// takenOverWithin is how long what the kernel tells waits for the containers that an
// earlier guard has watched.
const takenOverWithin = 5 * time.Second

// awaitTakenOver waits until they are known here: the kernel has told of them since
// that guard has ended, and what is told of nobody is lost.
func (g *Guard) awaitTakenOver(ctx context.Context) {
	if len(g.layers.adopted) == 0 || g.c.Runtime == nil {
		return
	}
	for deadline := time.Now().Add(takenOverWithin); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if g.synced.Load() && g.allWatched() {
			return
		}
	}
}

// followKernel handles what the kernel's layer tells, until the context ends.
func (g *Guard) followKernel(ctx context.Context) {
	g.awaitTakenOver(ctx)
	holding := make(chan struct{}, 8) // how many held processes are looked at at once
	for e, err := range g.layers.bpf.Events(ctx) {
		if err != nil {
			g.figures.lost.WithLabelValues("kernel").Inc()
			g.trouble("what the kernel tells cannot be read: " + err.Error())
			continue
		}
		s := g.subject(e.Subject)
		if s == nil {
			if e.Verdict == bpf.Held {
				g.release(&e) // its container has just ended
			}
			continue
		}
		g.processEvent(s, &e)
		switch e.Verdict {
		case bpf.Fine:
		case bpf.Held:
			g.judging.Store(e.Process.PID, true)
			holding <- struct{}{}
			g.working.Go(func() {
				defer func() { <-holding }()
				defer g.judging.Delete(e.Process.PID)
				g.held(s, &e)
			})
		default:
			g.kernelVerdict(s, &e)
		}
	}
}

// held judges a process that the kernel keeps from its first instruction, and lets it
// go on or ends it.
func (g *Guard) held(s *subject, e *bpf.Event) {
	x, known := g.look(s, e)
	if known {
		g.layers.verify(s, e.File)
		if x = g.lookBeside(s, e); x == nil {
			g.release(e)
			return
		}
	} else {
		x.Path = s.seenPath(e)
	}
	a := g.kernelAct(s, e, x)
	j := g.judge(s, a.question)
	if !j.stops() {
		s.excuse(j.until)
		g.layers.verify(s, e.File)
		g.release(e)
		g.happened(a, j)
		return
	}
	step := touchstone.Step{At: g.c.Now(), Do: touchstone.DeedKilled, Layer: layerBPF}
	if err := signal(e, unix.SIGKILL); err != nil {
		step.Problem = err.Error()
	}
	a.steps = append(a.steps, step)
	if g.endings.first(e.Process.PID, ticksOf(e.Process.Start)) {
		g.happened(a, j)
	}
}

// look reads the file that a process is held for. It is known where its content is
// the image's; else the execution says what it is.
func (g *Guard) look(s *subject, e *bpf.Event) (x *touchstone.Execution, known bool) {
	x = executionIn(e)
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if im == nil {
		x.Unjudged = "what the image holds is not known yet"
		return x, false
	}
	if e.Why == bpf.Nameless {
		return x, false
	}
	if !im.contents.HasSize(e.File.Size) && !g.waivesContent() {
		return x, false
	}
	f, err := e.Open()
	if err != nil {
		x.Unjudged = err.Error()
		return x, false
	}
	defer f.Close()
	var before, after unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &before)
	if err == nil && !isFile(&before, e) {
		err = errors.New("the file was changed after it was executed")
	}
	var sum [32]byte
	if err == nil {
		sum, err = hashAll(f)
	}
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &after)
	}
	if err == nil && !isFile(&after, e) {
		err = errors.New("the file was changed while it was read")
	}
	if err != nil {
		x.Unjudged = err.Error()
		return x, false
	}
	x.SHA256 = touchstone.NewDigest(sum[:])
	_, known = im.contents.Has(e.File.Size, sum)
	return x, known
}

// lookBeside looks at what else a process has mapped that was held for its program: the
// kernel tells of the first file that is not verified, and the loader may be another.
func (g *Guard) lookBeside(s *subject, e *bpf.Event) *touchstone.Execution {
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if im == nil || e.Part != bpf.Program {
		return nil
	}
	return g.inspectMappings(s, im, e.Process.PID)
}

// isFile reports whether a stat is that of the event's file, which was opened by its
// mapping: of its device alone stat tells something else, on some overlays.
func isFile(st *unix.Stat_t, e *bpf.Event) bool {
	stamp := stampOf(st)
	stamp.Dev = e.File.Dev
	return stamp == e.File
}

// seenPath is the path of the file as its process sees it, with the mount points that
// the kernel's event leaves out; as its container does, where the process is gone.
func (s *subject) seenPath(e *bpf.Event) string {
	if e.Why == bpf.Nameless {
		return e.Path
	}
	f, err := e.Open()
	if err != nil {
		return s.mountedAt(e.File.Dev, e.Path)
	}
	defer f.Close()
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil || !strings.HasPrefix(path, "/") {
		return s.mountedAt(e.File.Dev, e.Path)
	}
	return strings.TrimPrefix(strings.TrimSuffix(path, " (deleted)"), "/")
}

// kernelVerdict tells of what the kernel has done, or let be, by itself.
func (g *Guard) kernelVerdict(s *subject, e *bpf.Event) {
	x := executionIn(e)
	if e.Verdict == bpf.Reported {
		seen, known := g.look(s, e)
		if known {
			g.layers.verify(s, e.File)
			return
		}
		x = seen
	}
	x.Path = s.seenPath(e)
	a := g.kernelAct(s, e, x)
	switch e.Verdict {
	case bpf.Killed:
		// That somebody lets go on what is held is told besides.
		if e.Why != bpf.Continued && !g.endings.first(e.Process.PID, ticksOf(e.Process.Start)) {
			return
		}
		a.steps = append(a.steps, touchstone.Step{At: a.at, Do: touchstone.DeedKilled, Layer: layerBPF})
	case bpf.LetRun:
		x.Unjudged = "no guard was there to judge it"
	case bpf.Unstopped:
		a.steps = append(a.steps, touchstone.Step{At: a.at, Do: touchstone.DeedKilled, Layer: layerBPF, Problem: "the kernel does not let this process be stopped"})
	}
	g.happened(a, g.judge(s, a.question))
}

func executionIn(e *bpf.Event) *touchstone.Execution {
	x := &touchstone.Execution{Kind: touchstone.ExecuteProgram, Path: e.Path, Size: e.File.Size}
	if e.Part != bpf.Program {
		x.Kind = touchstone.ExecuteLibrary
	}
	if e.Why == bpf.Nameless {
		x.Kind = touchstone.ExecuteMemory
	}
	return x
}

func (g *Guard) kernelAct(s *subject, e *bpf.Event, x *touchstone.Execution) act {
	a := act{
		subject: s, kind: touchstone.EventRunUnknown, thing: x.Path + "\n" + string(x.Kind), at: g.c.Now(), copy: x.Path,
		question: touchstone.Question{Occasion: touchstone.OccasionExecute, Execution: x},
		process: &touchstone.Process{
			PID: e.Process.PID, Parent: e.Parent.PID, UID: e.Process.UID, Path: e.Name, Command: secrets.Command(e.Args),
		},
	}
	if x.Kind == touchstone.ExecuteMemory {
		a.copy = ""
	}
	if a.process.Path == "" {
		a.process.Path = e.Process.Comm
	}
	if g.repeats.isFresh(repeatKey{s.id, a.kind, a.thing}, a.at) {
		a.tree = g.ancestors(a.process)
	}
	return a
}

// release lets a held process go on.
func (g *Guard) release(e *bpf.Event) {
	if err := signal(e, unix.SIGCONT); err != nil {
		g.c.Log.Warn("a process that was held could not be let go on", "pid", e.Process.PID, "error", err)
	}
}

// signal signals the process of an event by a handle on it. It was stopped, so that
// it can only be gone if somebody has killed it, and its number another's.
func signal(e *bpf.Event, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(e.Process.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signalling process %d: %w", e.Process.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if start, ok := startTicks(e.Process.PID); !ok || start != ticksOf(e.Process.Start) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signalling process %d: %w", e.Process.PID, err)
	}
	return nil
}
