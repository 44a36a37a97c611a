package session

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"touchstone.dev/touchstone"
)

// Subject is a container.
type Subject struct {
	ID uint64
	// Init is its first process.
	Init Process
	// PIDNamespace is that of the container where it has one of its own, else 0;
	// MountNamespace that of its first process.
	PIDNamespace, MountNamespace uint64
	// Declared are the commands of its probes and hooks.
	Declared [][]string
	// Debug is true for an ephemeral container: to be in it is to be logged in.
	Debug bool
}

// Exec says that a process has begun to run another program.
type Exec struct {
	At      time.Time
	Process Process
}

// Fork says that a process was made; its Parent is who made it.
type Fork struct {
	At      time.Time
	Process Process
	// ParentPIDNamespace is that of who made it; 0 where that is not known.
	ParentPIDNamespace uint64
}

// RuntimeExec says that the runtime has started a process in a container.
type RuntimeExec struct {
	At       time.Time
	Subject  uint64
	ExecID   string
	PID      int
	Start    uint64 // of the process, 0 where it was over
	Terminal bool
	Command  []string // "" where it was over before that could be read
}

// Figures are what a Tracker counts.
type Figures struct {
	Sessions, Processes             int    // now
	DroppedSessions, DroppedProcess uint64 // beyond the bounds
	Declared                        uint64 // probes and hooks
	Unseen                          uint64 // execs by the runtime that were over before anybody saw the command
}

// Tracker finds sessions. Its methods return what there is to tell, in order, and
// are safe for several goroutines; events about one process must come in order.
type Tracker struct {
	c Config

	mu        sync.Mutex
	subjects  map[uint64]*subject
	pid       map[uint64]uint64 // subject by PID namespace of its own
	mount     map[uint64]uint64 // subject by mount namespace
	processes map[int]*process
	sessions  map[uint64]*session
	announced map[int]RuntimeExec // by the runtime, before the exec itself was seen
	ended     []*session          // lately, for what the runtime tells late
	drifted   []*process          // that have ended adrift, likewise
	quiet     map[int]uint64      // connections of sshd that run no command, by their start
	last      uint64
	figures   Figures
	out       []Event
}

type subject struct {
	Subject
	processes int
}

// process is one that is alive.
type process struct {
	Process // without the command
	door    touchstone.LoginKind
	through bool // it is the runtime
	session *session
	subject uint64   // where it is; of a fork, where its parent was, until it executes something
	counted *subject // whose share of what is remembered it takes
	// adrift is true in a container where nobody knows whether it came from outside. The
	// runtime may yet say so, for which its command is kept.
	adrift  bool
	command []string
	// looked is true where no event has told of it, so that none may tell of its end;
	// seen is when it was looked at.
	looked bool
	seen   time.Time
}

// New returns a Tracker that knows of nothing yet.
func New(c Config) *Tracker {
	t := &Tracker{
		c: c.withDefaults(), subjects: make(map[uint64]*subject), pid: make(map[uint64]uint64), mount: make(map[uint64]uint64),
		processes: make(map[int]*process), sessions: make(map[uint64]*session), announced: make(map[int]RuntimeExec),
	}
	host := &subject{Subject: Subject{ID: t.c.Host, MountNamespace: t.c.HostMountNamespace}}
	t.subjects[t.c.Host] = host
	if host.MountNamespace != 0 {
		t.mount[host.MountNamespace] = host.ID
	}
	return t
}

// do runs one step and returns what it tells.
func (t *Tracker) do(step func()) []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = nil
	step()
	return t.out
}

// Add makes a container known, or what is declared of it. What already runs in it
// is found by Resync.
func (t *Tracker) Add(s Subject, at time.Time) []Event {
	return t.do(func() {
		known := t.subjects[s.ID]
		if known == nil {
			known = &subject{}
			t.subjects[s.ID] = known
		}
		if s.PIDNamespace == t.c.HostPIDNamespace {
			s.PIDNamespace = 0
		}
		known.Subject = s
		if s.PIDNamespace != 0 {
			t.pid[s.PIDNamespace] = s.ID
		}
		if s.MountNamespace != 0 && s.MountNamespace != t.c.HostMountNamespace {
			t.mount[s.MountNamespace] = s.ID
		}
		if s.Init.PID == 0 {
			return
		}
		t.adopt(s.ID, at)
		if p := t.arrive(Exec{At: at, Process: s.Init}, true, maxAbove); p != nil && s.Debug && (p.session == nil || p.session.Kind != touchstone.LoginDebug) {
			if d := t.begin(p, t.complete(s.Init), touchstone.LoginDebug, p.session, at, nowhere); d != nil {
				t.start(d, at)
			}
		}
	})
}

// adopt places what was seen before its container was known, as if it had been
// found: whoever made others first.
func (t *Tracker) adopt(id uint64, at time.Time) {
	var inside []*process
	for _, p := range t.processes {
		if p.session == nil && p.subject != id && t.where(&p.Process) == id {
			inside = append(inside, p)
		}
	}
	slices.SortFunc(inside, func(a, b *process) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID)) })
	for _, p := range inside {
		t.exit(p.PID, at)
	}
	for _, p := range inside {
		t.arrive(Exec{At: at, Process: p.Process}, true, maxAbove)
	}
}

// Remove forgets a container that has ended, and ends its sessions.
func (t *Tracker) Remove(id uint64, at time.Time) []Event {
	return t.do(func() {
		s := t.subjects[id]
		if s == nil || id == t.c.Host {
			return
		}
		for _, pid := range t.sorted() {
			if t.processes[pid].subject == id {
				t.exit(pid, at)
			}
		}
		delete(t.subjects, id)
		if t.pid[s.PIDNamespace] == id {
			delete(t.pid, s.PIDNamespace)
		}
		if t.mount[s.MountNamespace] == id {
			delete(t.mount, s.MountNamespace)
		}
	})
}

// Fork takes in that a process was made. Without such events, what a session
// leaves behind may be lost from it.
func (t *Tracker) Fork(f Fork) []Event { return t.do(func() { t.fork(f) }) }

// Exec takes in that a process runs another program.
func (t *Tracker) Exec(e Exec) []Event { return t.do(func() { t.exec(e, false) }) }

// Exit takes in that a process has ended. start may be 0; where it is not that of
// the process that is known, nothing happens.
func (t *Tracker) Exit(pid int, start uint64, at time.Time) []Event {
	return t.do(func() {
		if p := t.processes[pid]; p != nil && (start == 0 || p.Start == 0 || p.Start == start) {
			t.exit(pid, at)
		}
	})
}

// RuntimeExec takes in what the runtime tells.
func (t *Tracker) RuntimeExec(r RuntimeExec) []Event { return t.do(func() { t.announce(r) }) }

// Sessions returns those that are alive, the oldest first; of one subject, or, for
// All, of every.
func (t *Tracker) Sessions(subject uint64) []Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Session
	for _, s := range t.sessions {
		if s.told && (subject == All || s.Subject == subject) {
			out = append(out, s.shown())
		}
	}
	slices.SortFunc(out, func(a, b Session) int { return int(a.ID) - int(b.ID) })
	return out
}

// All stands for every subject.
const All = ^uint64(0)

// Of returns the session that a process belongs to; false where it belongs to none.
func (t *Tracker) Of(pid int) (Session, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.processes[pid]; p != nil && p.session != nil && p.session.told {
		return p.session.shown(), true
	}
	return Session{}, false
}

// Members returns the processes of a session and of those begun within it, by
// PID: all that must be killed to end it.
func (t *Tracker) Members(id uint64) []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Member
	for _, s := range t.sessions {
		if t.within(s, id) {
			out = append(out, s.all()...)
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return a.PID - b.PID })
	return out
}

func (t *Tracker) within(s *session, id uint64) bool {
	for range 64 { // sessions within sessions
		if s == nil || s.ID == id {
			return s != nil
		}
		s = t.sessions[s.Within]
	}
	return false
}

// Figures returns what was counted.
func (t *Tracker) Figures() Figures {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.figures
	f.Processes = len(t.processes)
	for _, s := range t.sessions {
		if s.told {
			f.Sessions++
		}
	}
	return f
}

func (t *Tracker) sorted() []int {
	pids := make([]int, 0, len(t.processes))
	for pid := range t.processes {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}
