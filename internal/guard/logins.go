package guard

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/guard/containerd"
	"touchstone.dev/touchstone/internal/guard/session"
)

// logins are the sessions of people that were told of.
type logins struct {
	tracker *session.Tracker

	mu   sync.Mutex
	told map[uint64]*toldLogin // by session, while there is more to tell of it
}

// resyncEvery is how often all processes are looked at, for what no event tells, where
// the kernel tells of processes; without that it is half a minute.
const resyncEvery = time.Minute

func (g *Guard) openLogins() {
	g.logins.told = map[uint64]*toldLogin{}
	g.logins.tracker = session.New(session.Config{Look: g.proc(), Host: g.hostID})
}

// proc reads processes, and knows whose control group is whose.
func (g *Guard) proc() session.Proc {
	return session.Proc{Subject: func(group string) uint64 {
		g.mu.RLock()
		defer g.mu.RUnlock()
		for at := group; at != "" && at != "/"; at = at[:max(strings.LastIndexByte(at, '/'), 0)] {
			if s := g.byGroup[at]; s != nil {
				return s.id
			}
		}
		return 0
	}}
}

// watchLogins makes a container known to who looks for sessions.
func (g *Guard) watchLogins(s *subject) {
	if s.host {
		return
	}
	c := s.container
	of := session.Subject{ID: s.id, Init: session.Process{PID: c.Init.PID, Start: c.Init.Start}, MountNamespace: c.Namespaces.Mount}
	if c.Lone {
		of.PIDNamespace = c.Namespaces.PID
	}
	s.mu.Lock()
	of.Declared, of.Debug = s.declared, s.debug
	s.mu.Unlock()
	of.Declared = s.asExecuted(of.Declared)
	g.sessionEvents(g.logins.tracker.Add(of, g.c.Now()))
}

func (g *Guard) endSessions(s *subject) {
	g.sessionEvents(g.logins.tracker.Remove(s.id, g.c.Now()))
}

func (g *Guard) openSessions(id uint64) int { return len(g.logins.tracker.Sessions(id)) }

// processEvent hands on what the kernel tells of processes.
func (g *Guard) processEvent(_ *subject, e *bpf.Event) {
	now := g.c.Now()
	switch e.Kind {
	case bpf.Exec:
		g.sessionEvents(g.logins.tracker.Exec(session.Exec{At: now, Process: sessionProcess(e)}))
	case bpf.Fork:
		g.sessionEvents(g.logins.tracker.Fork(session.Fork{
			At: now, Process: sessionProcess(e), ParentPIDNamespace: uint64(e.Parent.PIDNS),
		}))
	case bpf.Exit:
		g.sessionEvents(g.logins.tracker.Exit(e.Process.PID, uint64(ticksOf(e.Process.Start)), now))
	}
}

func sessionProcess(e *bpf.Event) session.Process {
	p := session.Process{
		PID: e.Process.PID, Start: uint64(ticksOf(e.Process.Start)), Parent: e.Parent.PID, InnerPID: e.Process.InnerPID, Subject: e.Subject,
		PIDNamespace: uint64(e.Process.PIDNS), MountNamespace: uint64(e.Process.MountNS),
		UID: e.Process.UID, Comm: e.Process.Comm, Command: e.Args, TTY: e.Process.TTY, SID: e.Process.Session,
	}
	if e.Kind == bpf.Exec {
		p.Path, p.Cut = "/"+e.Path, e.Cut
	}
	return p
}

// runtimeExec hands on what the runtime tells.
func (g *Guard) runtimeExec(s *subject, e *containerd.Event) {
	g.sessionEvents(g.logins.tracker.RuntimeExec(session.RuntimeExec{
		At: g.c.Now(), Subject: s.id, ExecID: e.Exec.ID, PID: e.Exec.Process.PID, Start: e.Exec.Process.Start, Terminal: e.Exec.Terminal, Command: e.Exec.Command,
	}))
}

// mostKept is of how many processes what was read is kept, some hundred bytes each.
const mostKept = 20_000

// runLogins looks at all processes from time to time, and soon after something was
// lost.
func (g *Guard) runLogins(ctx context.Context) error {
	every := time.NewTicker(2 * time.Second)
	defer every.Stop()
	last := time.Now()
	var before session.Snapshot // kept while it is small
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		g.sessionEvents(g.logins.tracker.Settle(g.c.Now()))
		pause := resyncEvery
		if g.layers.bpf == nil {
			pause /= 2
		}
		if lost := g.countLost(); !lost && time.Since(last) < pause {
			continue
		}
		last = time.Now()
		all, err := g.proc().All(g.c.Now(), before)
		if err != nil {
			g.trouble("the processes of this machine cannot be read: " + err.Error())
			continue
		}
		if before = all; len(all.Processes) > mostKept {
			before = session.Snapshot{}
		}
		g.sessionEvents(g.logins.tracker.Resync(all))
	}
}

// countLost asks the kernel whether it had to leave something untold, and has the
// containers checked in which it had.
func (g *Guard) countLost() bool {
	if g.layers.bpf == nil {
		return false
	}
	any := false
	for _, s := range g.all() {
		if s.gone.Load() {
			continue
		}
		n, err := g.layers.bpf.Counters(s.id)
		if err != nil {
			continue // it has just ended, or is the host without a layer
		}
		if n.LostVerdicts != s.untold.Swap(n.LostVerdicts) {
			g.working.Go(func() { g.resumeHeld(s) })
		}
		was := s.lost.Swap(n.LostVerdicts + n.LostEvents)
		if more := n.LostVerdicts + n.LostEvents - was; more > 0 && more < 1<<63 {
			any = true
			g.figures.lost.WithLabelValues("kernel").Add(float64(more))
			s.unswept.Store(true)
			g.scanSoon(s)
		}
	}
	return any
}

// sessionEvents judges sessions as they begin, and tells of their ends.
func (g *Guard) sessionEvents(events []session.Event) {
	for i := range events {
		e := &events[i]
		if e.Kind == session.EventEnded {
			g.loggedOut(&e.Session) // its container may be gone
			continue
		}
		s := g.subject(e.Session.Subject)
		if s == nil {
			continue
		}
		switch e.Kind {
		case session.EventStarted:
			g.loggedIn(s, &e.Session)
		case session.EventKnown:
			g.knownMore(&e.Session)
		}
	}
}

// loggedIn judges a session, and ends it where the rules say so.
func (g *Guard) loggedIn(s *subject, in *session.Session) {
	login := in.Login()
	a := act{
		subject: s, kind: touchstone.EventLogin, thing: in.Began.String() + in.Root.Path, at: g.c.Now(),
		question: touchstone.Question{Occasion: touchstone.OccasionLogin, Login: &login},
		process: &touchstone.Process{
			PID: in.Root.PID, Parent: in.Root.Parent, UID: in.UID, Path: in.Root.Path, Command: in.Command, Started: in.Began,
		},
		session: in.ID,
	}
	j := g.judge(s, a.question)
	if j.stops() {
		a.steps = append(a.steps, g.endSession(in.ID))
	}
	g.happened(a, j)
}

// endSession kills every process of a session. What the kernel has not told yet of
// them (those that they were just making) is killed as it is told.
func (g *Guard) endSession(id uint64) touchstone.Step {
	step := touchstone.Step{At: g.c.Now(), Do: touchstone.DeedKilled, Layer: "session"}
	if _, err := g.killMembers(id); err != nil {
		step.Problem = err.Error()
	}
	g.working.Go(func() { g.endRest(id) })
	return step
}

// endRestWithin bounds how long a session that was ended is looked after: longer than
// what it makes can be told late.
const endRestWithin = 30 * time.Second

// endRest kills what a session still has, until it has had nothing for a while.
func (g *Guard) endRest(id uint64) {
	const quiet = time.Second
	last := time.Now()
	for end := last.Add(endRestWithin); time.Now().Before(end) && time.Since(last) < quiet && g.ctx.Err() == nil; {
		alive, err := g.killMembers(id)
		if err != nil {
			g.c.Log.Warn("a login could not be ended", "error", err)
		}
		if alive > 0 {
			last = time.Now()
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// killMembers kills what is known of a session, and says how many lived.
func (g *Guard) killMembers(id uint64) (alive int, err error) {
	for _, m := range g.logins.tracker.Members(id) {
		if start, ok := startTicks(m.PID); !ok || uint64(start) != m.Start || ended(m.PID) {
			continue
		}
		alive++
		err = errors.Join(err, killProcess(readProcess(m.PID)))
	}
	return alive, err
}
