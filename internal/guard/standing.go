package guard

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
)

// resume judges what the programs of an earlier guard have stopped and nobody has let go
// on. What the present ones hold is told of by events; see resumeHeld.
func (g *Guard) resume(s *subject) {
	for _, pid := range g.processes(s) {
		if stopped(pid) && !g.layers.holds(pid) {
			g.resumeProcess(s, pid)
		}
	}
}

// heldWithin bounds how long what stands still is taken for being judged: no event of
// it was read, and there may be some to be read.
const heldWithin = 10 * time.Second

// resumeHeld judges what the kernel holds and nobody is about to judge: a guard before
// this one had read of it when it ended, or there was no room to tell of it.
func (g *Guard) resumeHeld(s *subject) {
	const atLeast, pause = time.Second, 20 * time.Millisecond // so that what was just read is in hand
	begun := time.Now()
	forgotten := g.unjudged(s)
	for len(forgotten) > 0 && g.ctx.Err() == nil {
		if over := time.Since(begun); over > heldWithin || over > atLeast && g.layers.bpf.Unread() == 0 {
			break
		}
		time.Sleep(pause)
		now := g.unjudged(s)
		maps.DeleteFunc(forgotten, func(pid int, _ bool) bool { return !now[pid] })
	}
	for _, pid := range slices.Sorted(maps.Keys(forgotten)) {
		g.resumeProcess(s, pid)
	}
}

// unjudged are the processes of a subject that are held, but for those in hand.
func (g *Guard) unjudged(s *subject) map[int]bool {
	out := map[int]bool{}
	held, err := g.layers.bpf.Held()
	if err != nil {
		g.c.Log.Warn("what is held cannot be found out", "error", err)
	}
	for pid, subject := range held {
		if _, judging := g.judging.Load(pid); subject == s.id && !judging {
			out[pid] = true
		}
	}
	return out
}

// resumeProcess judges one process that stands still, and lets it go on unless it was
// ended.
func (g *Guard) resumeProcess(s *subject, pid int) {
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if im != nil {
		g.sweepProcess(s, im, pid)
	} else if p := g.process(pid); p != nil {
		g.foundRunning(s, p, &touchstone.Execution{Kind: touchstone.ExecuteProgram, Path: p.Path, Unjudged: "what the image holds is not known"})
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil && !errors.Is(err, unix.ESRCH) {
		g.c.Log.Warn("a process that was held could not be let go on", "pid", pid, "error", err)
	}
}

// holds reports whether the kernel's layer keeps a process from running until it is
// judged, of which it tells by an event.
func (l *layers) holds(pid int) bool { return l.bpf != nil && l.bpf.Holds(pid) }

// endings are the processes that are being ended for what they run. The kernel's events
// and a look at what runs may both find the same one at a time; it is told once.
type endings struct {
	mu     sync.Mutex
	begun  map[ending]time.Time
	pruned time.Time
}

type ending struct {
	pid   int
	start int64 // in ticks
}

// endingRemembered is longer than an event and a look can lie apart.
const endingRemembered = 10 * time.Second

// first reports whether nobody else has told of the end of this process.
func (e *endings) first(pid int, start int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if now.Sub(e.pruned) > endingRemembered/4 {
		maps.DeleteFunc(e.begun, func(_ ending, at time.Time) bool { return now.Sub(at) > endingRemembered })
		e.pruned = now
	}
	if e.begun == nil {
		e.begun = map[ending]time.Time{}
	}
	key := ending{pid, start}
	_, known := e.begun[key]
	e.begun[key] = now
	return !known
}
