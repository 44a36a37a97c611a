package guard

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone/internal/guard/bpf"
)

// adoptedBy is how the kernel tells the tasks of a subject.
type adoptedBy struct {
	cgroup  uint64
	mountNS uint64
}

// adopt finds what a guard before this one has left in the kernel.
func (g *Guard) adopt() {
	l := &g.layers
	l.adopted, l.identity = map[uint64]bpf.Mode{}, map[adoptedBy]uint64{}
	watched, err := l.bpf.Watched()
	if err != nil {
		g.trouble("what was enforced before cannot be read: " + err.Error())
		return
	}
	highest := g.nextID.Load()
	for _, w := range watched {
		highest = max(highest, w.Subject)
		l.adopted[w.Subject] = w.Mode
		for _, c := range w.Cgroups {
			l.identity[adoptedBy{cgroup: c}] = w.Subject
		}
		for _, m := range w.MountNS {
			l.identity[adoptedBy{mountNS: m}] = w.Subject
		}
	}
	g.nextID.Store(highest)
}

// idFor returns the id of a container that is new here: the one that it has in the
// kernel already, or a fresh one. An id is taken over once.
func (l *layers) idFor(pid int) uint64 {
	if l.bpf != nil && len(l.adopted) > 0 {
		if id, err := l.bpf.Identify(pid); err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, by := range []adoptedBy{{mountNS: id.MountNS}, {cgroup: id.Cgroup}} {
				if subject, ok := l.identity[by]; ok && by != (adoptedBy{}) {
					for k, v := range l.identity {
						if v == subject {
							delete(l.identity, k)
						}
					}
					return subject
				}
			}
		}
	}
	id := l.guard.nextID.Add(1)
	if l.bpf != nil && id+roomAhead/2 > l.room.until.Load() {
		l.guard.working.Go(l.guard.makeRoom)
	}
	return id
}

// settleWithin is how long the containers that run at the guard's start may take to
// be watched before an earlier guard's programs are taken away all the same.
const settleWithin = time.Minute

// settleKernel takes away what a guard before this one has left in the kernel, once
// everything that runs is watched anew.
func (g *Guard) settleKernel() {
	for deadline := time.Now().Add(settleWithin); time.Now().Before(deadline) && g.ctx.Err() == nil; {
		if g.allWatched() {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	g.layers.dropOthers()
	if err := g.layers.bpf.Settle(); err != nil {
		g.trouble("an earlier guard's programs are still in the kernel: " + err.Error())
	}
	for _, s := range g.all() {
		g.resume(s)
		g.working.Go(func() { g.resumeHeld(s) })
	}
}

// allWatched reports whether the layers see everything that is known to run.
func (g *Guard) allWatched() bool {
	return !slices.ContainsFunc(g.all(), func(s *subject) bool { return !s.watched.Load() && !s.gone.Load() })
}

// dropOthers forgets what a guard before this one has left of containers that are
// gone.
func (l *layers) dropOthers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, subject := range l.identity {
		if err := l.bpf.Unwatch(subject); err != nil {
			l.guard.c.Log.Warn("a container that has ended is still watched in the kernel", "error", err)
		}
	}
	clear(l.identity)
}

// room is what the kernel's layer has been told to keep for containers to come: it
// takes its time for that, which no container need wait for.
type room struct {
	making sync.Mutex
	until  atomic.Uint64 // the last id for which there is some
}

// roomAhead is for how many containers to come there is room beforehand.
const roomAhead = 64

// makeRoom makes room for the ids that come next.
func (g *Guard) makeRoom() {
	r := &g.layers.room
	r.making.Lock()
	defer r.making.Unlock()
	next := g.nextID.Load()
	var ids []uint64
	for id := max(next, r.until.Load()) + 1; id <= next+roomAhead; id++ {
		ids = append(ids, id)
	}
	if len(ids) < roomAhead/4 {
		return // somebody else was here before
	}
	if err := g.layers.bpf.Reserve(ids...); err != nil {
		g.c.Log.Warn("containers to come will wait for their place in the kernel", "error", err)
		return
	}
	r.until.Store(next + roomAhead)
}
