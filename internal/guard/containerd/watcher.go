package containerd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	events "github.com/containerd/containerd/api/events"
)

// watcher keeps what has been told, so that the next thing told fits.
type watcher struct {
	r *Runtime

	telling sync.Mutex // one at a time
	tell    func(Event)
	away    bool // EventLost has been told and EventSynced has not; under telling

	mu      sync.Mutex
	lives   map[name]*life
	pending int           // jobs that wait
	slots   chan struct{} // bounds how many containers are asked about at once
	working sync.WaitGroup
}

// life is a container as it has been told of. Its jobs are done one after
// another, those of several containers side by side: one whose shim hangs holds
// up no other.
type life struct {
	name name
	jobs []func()
	busy bool

	// For the goroutine that does the jobs.
	c     Container
	alive bool // started was told, exited was not
	told  bool // anything was told, and removed was not
	execs map[string]int
}

// job is something to do about a container.
type job func(ctx context.Context, l *life)

// Bounds of what waits and is remembered.
const (
	maxAsked   = 32   // containers that are asked about at once
	maxPending = 8192 // jobs of all containers together
	maxExecs   = 4096 // of one container
)

func newWatcher(r *Runtime, tell func(Event)) *watcher {
	return &watcher{r: r, tell: tell, lives: make(map[name]*life), slots: make(chan struct{}, maxAsked)}
}

// errTooMany means that events come quicker than they can be looked into.
var errTooMany = errors.New("events came quicker than they could be looked into")

// post has something done about a container after all that was posted before.
func (w *watcher) post(ctx context.Context, n name, do job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending >= maxPending {
		return errTooMany
	}
	l := w.lives[n]
	if l == nil {
		l = &life{name: n, c: Container{ID: clip(n.id, maxName), Namespace: clip(n.namespace, maxName)}}
		w.lives[n] = l
	}
	l.jobs = append(l.jobs, func() { do(ctx, l) })
	w.pending++
	if !l.busy {
		l.busy = true
		w.working.Go(func() { w.work(l) })
	}
	return nil
}

// work does a container's jobs until none is left.
func (w *watcher) work(l *life) {
	w.slots <- struct{}{}
	defer func() { <-w.slots }()
	for {
		w.mu.Lock()
		if len(l.jobs) == 0 {
			l.jobs, l.busy = nil, false
			if !l.told {
				delete(w.lives, l.name)
			}
			w.mu.Unlock()
			return
		}
		do := l.jobs[0]
		l.jobs = l.jobs[1:]
		w.pending--
		w.mu.Unlock()
		do()
	}
}

// all returns the containers that have been told of.
func (w *watcher) all() []name {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]name, 0, len(w.lives))
	for n := range w.lives {
		out = append(out, n)
	}
	return out
}

// say tells an event.
func (w *watcher) say(e Event) {
	if e.At.IsZero() {
		e.At = w.r.c.Now()
	}
	w.telling.Lock()
	defer w.telling.Unlock()
	switch e.Kind {
	case EventLost:
		if w.away {
			return
		}
		w.away = true
	case EventSynced:
		w.away = false
	case EventUnknown:
		if w.away {
			return // that nothing can be asked has been told
		}
	}
	w.tell(e)
}

// lose says that events are not received.
func (w *watcher) lose(why error) {
	w.say(Event{Kind: EventLost, Problem: why.Error()})
}

// hint is what brought a question up.
type hint struct {
	at   time.Time
	late bool
	deep bool // ask for the processes too
}

// settle asks how it is with a container, and tells what is different from what
// was told.
func (w *watcher) settle(ctx context.Context, l *life, h hint) {
	record, err := w.r.record(ctx, l.name)
	if errors.Is(err, ErrGone) {
		w.exited(l, h, -1)
		if l.told {
			l.told = false
			w.say(Event{Kind: EventRemoved, At: h.at, Container: l.c, Late: h.late})
		}
		return
	}
	var t task
	if err == nil {
		t, err = w.r.task(ctx, l.name)
	}
	if err != nil {
		w.unknown(ctx, l, err)
		return
	}
	if l.alive && (t.init != l.c.Init || !t.status.Alive()) {
		w.exited(l, h, -1)
	}
	if !t.status.Alive() || t.init.PID == 0 {
		return
	}
	if !l.alive {
		c := w.r.describe(ctx, l.name.namespace, record, t)
		if !c.Status.Alive() {
			return // it has just ended: what is told of that brings this up again
		}
		w.begin(l, c, h)
	} else {
		w.shift(l, t.status, h)
	}
	if h.deep {
		w.compareExecs(ctx, l, h)
	}
}

// begin tells of a container that was not alive before.
func (w *watcher) begin(l *life, c Container, h hint) {
	status := c.Status
	l.c, l.alive, l.told, l.execs = c, true, true, nil
	if status == Created {
		w.say(Event{Kind: EventCreated, At: h.at, Container: l.c, Late: h.late})
		return
	}
	w.say(Event{Kind: EventStarted, At: h.at, Container: l.c, Late: h.late})
	if status == Paused {
		w.say(Event{Kind: EventPaused, At: h.at, Container: l.c, Late: h.late})
	}
}

// shift tells how a container that is alive has changed.
func (w *watcher) shift(l *life, now Status, h hint) {
	before := l.c.Status
	if now == before || now == Unknown || now == Created {
		return
	}
	l.c.Status = now
	if before == Created {
		w.say(Event{Kind: EventStarted, At: h.at, Container: l.c, Late: h.late})
	}
	switch {
	case now == Paused:
		w.say(Event{Kind: EventPaused, At: h.at, Container: l.c, Late: h.late})
	case before == Paused:
		w.say(Event{Kind: EventResumed, At: h.at, Container: l.c, Late: h.late})
	}
}

// exited tells of the end of a container that was alive.
func (w *watcher) exited(l *life, h hint, code int) {
	if !l.alive {
		return
	}
	l.alive, l.execs, l.c.Status = false, nil, Stopped
	w.say(Event{Kind: EventExited, At: h.at, Container: l.c, ExitCode: code, Late: h.late})
}

// unknown tells that a container could not be asked about. The next look at
// everything asks again; a process that has ended is believed without asking.
func (w *watcher) unknown(ctx context.Context, l *life, err error) {
	if ctx.Err() != nil {
		return
	}
	if l.alive && !w.r.alive(l.c.Init) {
		w.exited(l, hint{late: true}, -1)
		return
	}
	w.say(Event{Kind: EventUnknown, Container: l.c, Problem: err.Error()})
}

// created looks into a container that waits for its start. The shim answers no
// question while it starts it, so that the process id is believed as it was told,
// if the process is in the container's control group.
func (w *watcher) created(ctx context.Context, l *life, h hint, pid int) {
	init, err := w.r.process(pid)
	if err != nil || l.alive {
		w.settle(ctx, l, h)
		return
	}
	record, err := w.r.record(ctx, l.name)
	if err != nil {
		w.settle(ctx, l, h)
		return
	}
	c := w.r.describe(ctx, l.name.namespace, record, task{status: Created, init: init})
	if c.Status != Created || c.Cgroup == "" {
		w.settle(ctx, l, h)
		return
	}
	w.begin(l, c, h)
}

// started looks into a start that was told. Where it is over already, that it was
// is told nevertheless.
func (w *watcher) started(ctx context.Context, l *life, h hint, pid int) {
	before := l.c.Init.PID
	if l.alive && before == pid && l.c.Status == Created {
		w.shift(l, Running, h)
	}
	w.settle(ctx, l, h)
	if l.alive || before == pid {
		return
	}
	c, err := w.r.Get(ctx, l.name.namespace, l.name.id)
	if err != nil {
		c = Container{ID: l.c.ID, Namespace: l.c.Namespace, Problem: fmt.Sprintf("it was over before it could be looked at: %v", err)}
	}
	c.Status, c.Init = Running, Process{PID: pid}
	w.begin(l, c, h)
	w.exited(l, hint{late: true}, -1)
}

// ended looks into an end that was told.
func (w *watcher) ended(ctx context.Context, l *life, h hint, e *events.TaskExit) {
	if id := e.GetID(); id != "" && id != e.GetContainerID() {
		if _, known := l.execs[id]; known || l.alive {
			delete(l.execs, id)
			w.say(Event{Kind: EventExecExited, At: h.at, Container: l.c, ExitCode: int(e.GetExitStatus()), Late: h.late,
				Exec: Exec{ID: clip(id, maxName), Process: Process{PID: int(e.GetPid())}}})
		}
		return
	}
	if l.alive && l.c.Init.PID == int(e.GetPid()) && !w.r.alive(l.c.Init) {
		w.exited(l, h, int(e.GetExitStatus()))
		return
	}
	w.settle(ctx, l, h)
}

// entered looks into an exec that was told.
func (w *watcher) entered(ctx context.Context, l *life, h hint, id string, pid int) {
	if !l.alive {
		w.settle(ctx, l, h)
	}
	if before, known := l.execs[id]; known && before == pid {
		return
	}
	if l.execs == nil {
		l.execs = make(map[string]int)
	}
	if l.alive && len(l.execs) < maxExecs {
		l.execs[id] = pid
	}
	w.say(Event{Kind: EventExec, At: h.at, Container: l.c, Exec: w.r.execOf(ctx, &l.c, id, pid), Late: h.late})
}

// compareExecs tells of what was started and ended by exec while nobody told.
func (w *watcher) compareExecs(ctx context.Context, l *life, h hint) {
	processes, err := w.r.Processes(ctx, &l.c)
	if err != nil {
		if !errors.Is(err, ErrGone) {
			w.unknown(ctx, l, err)
		}
		return
	}
	there := make(map[string]bool)
	for _, p := range processes {
		if p.ID == "" {
			continue
		}
		there[p.ID] = true
		w.entered(ctx, l, h, p.ID, p.Process.PID)
	}
	for id, pid := range l.execs {
		if !there[id] {
			delete(l.execs, id)
			w.say(Event{Kind: EventExecExited, At: h.at, Container: l.c, ExitCode: -1, Late: h.late, Exec: Exec{ID: id, Process: Process{PID: pid}}})
		}
	}
}
