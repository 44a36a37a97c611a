package session

import (
	"slices"
	"time"

	"touchstone.dev/touchstone"
)

// Bounds of what is remembered besides sessions and processes.
const (
	maxAnnounced = 4096
	maxEnded     = 1024
	maxAbove     = 32 // processes above one that are looked up
	maxPath      = 1024
)

// fresh is how long a process is believed to be there that was looked at, and of
// which no event tells.
const fresh = time.Second

// remember returns the process as it is kept; nil where there is no room.
func (t *Tracker) remember(facts Process) *process {
	if p := t.processes[facts.PID]; p != nil {
		return p
	}
	in := t.subjects[t.where(&facts)]
	if len(t.processes) >= t.c.Processes || in != nil && in.processes >= max(1, t.c.Processes/4) && in.ID != t.c.Host {
		t.figures.DroppedProcess++
		return nil
	}
	p := &process{subject: nowhere}
	p.learn(facts)
	t.processes[facts.PID] = p
	if in != nil {
		in.processes++
		p.counted = in
	}
	return p
}

// learn takes over what is known now.
func (p *process) learn(facts Process) {
	facts.Command, facts.Peer = nil, ""
	if len(facts.Path) > maxPath {
		facts.Path = facts.Path[:maxPath]
	}
	p.Process = facts
}

// complete fills in what an event did not tell.
func (t *Tracker) complete(p Process) Process {
	if p.Start != 0 && p.Path != "" && p.PIDNamespace != 0 && p.MountNamespace != 0 && p.Command != nil {
		return p
	}
	now, ok := t.c.Look.Look(p.PID)
	if !ok || p.Start != 0 && now.Start != p.Start {
		return p
	}
	fill(&p.Start, now.Start)
	fill(&p.Parent, now.Parent)
	fill(&p.InnerPID, now.InnerPID)
	fill(&p.Subject, now.Subject)
	fill(&p.PIDNamespace, now.PIDNamespace)
	fill(&p.MountNamespace, now.MountNamespace)
	fill(&p.Path, now.Path)
	fill(&p.Comm, now.Comm)
	fill(&p.TTY, now.TTY)
	fill(&p.SID, now.SID)
	fill(&p.UID, now.UID)
	if p.Command == nil {
		p.Command = now.Command
	}
	return p
}

func fill[T comparable](to *T, from T) {
	var none T
	if *to == none {
		*to = from
	}
}

// parentOf returns who made a process; where no event told of that one it is
// looked up, and those above it.
func (t *Tracker) parentOf(p *Process, at time.Time, above int) *process {
	if p.Parent == 0 || p.Parent == p.PID || above == 0 {
		return nil
	}
	known := t.processes[p.Parent]
	if known != nil && (!known.looked || at.Sub(known.seen) < fresh && at.Sub(known.seen) > -fresh) {
		return known
	}
	facts, ok := t.c.Look.Look(p.Parent)
	if known != nil && ok && facts.Start == known.Start {
		known.seen = at
		return known
	}
	if known != nil { // its PID may have been given to another
		t.exit(p.Parent, at)
	}
	if !ok { // it has gone, and the process was given to another
		now, there := t.c.Look.Look(p.PID)
		if !there || now.Parent == p.Parent || p.Start != 0 && now.Start != p.Start {
			return nil
		}
		p.Parent = now.Parent
		return t.parentOf(p, at, above-1)
	}
	return t.arrive(Exec{At: at, Process: facts}, true, above-1)
}

// replace forgets a process whose PID has been given to another.
func (t *Tracker) replace(p *Process, at time.Time) {
	if old := t.processes[p.PID]; old != nil && old.Start != 0 && p.Start != 0 && old.Start != p.Start {
		t.exit(p.PID, at)
	}
}

func (t *Tracker) fork(f Fork) {
	facts := f.Process
	t.replace(&facts, f.At)
	if t.processes[facts.PID] != nil {
		return
	}
	parent := t.parentOf(&facts, f.At, maxAbove)
	if parent != nil {
		facts.Path, facts.Comm = parent.Path, parent.Comm
	}
	p := t.remember(facts)
	if p == nil || parent == nil {
		return
	}
	p.subject, p.door, p.through = t.at(parent), parent.door, parent.through
	t.join(p, parent.session)
	if p.session != nil {
		p.session.Forked++
	}
}

func (t *Tracker) exec(e Exec, found bool) { t.arrive(e, found, maxAbove) }

// arrive places a process that runs a program from now on.
func (t *Tracker) arrive(e Exec, found bool, above int) *process {
	facts := t.complete(e.Process)
	t.replace(&facts, e.At)
	parent := t.parentOf(&facts, e.At, above)
	old := t.processes[facts.PID]
	before := parent // whose place and session it has so far
	if old != nil {
		before = old
	}
	a := arrival{from: t.at(before), parent: parent, known: old != nil, found: found}
	var within *session
	var door touchstone.LoginKind
	if before != nil {
		within, door = before.session, before.door
		a.through = before.through || before.runtime()
	}
	p := t.remember(facts)
	if p == nil {
		return nil
	}
	p.learn(facts)
	p.looked, p.seen = found && (old == nil || p.looked), e.At
	p.subject = t.where(&facts)
	p.door, p.through = doorBehind(facts.program(), door), facts.runtime()
	if a.passing(&facts) && a.from != nowhere {
		p.subject = a.from
	}
	called, announced := t.announced[facts.PID]
	if announced = announced && called.Subject == t.where(&facts); announced {
		a.through, p.subject = true, called.Subject
		delete(t.announced, facts.PID)
	}
	in := t.subjects[p.subject]
	ownRoot := old != nil && old.session != nil && old.session.rootPID == facts.PID
	switch {
	case t.entered(in, &facts, a) || announced && !ownRoot:
		kind := touchstone.LoginNsenter
		if a.through {
			kind = touchstone.LoginExec
		}
		if s := t.begin(p, facts, kind, within, e.At, a.from); s != nil {
			s.Found = found
			if announced {
				t.confirm(s, called)
			}
			t.start(s, e.At)
			return p
		}
	case in != nil && door != "" && p.door == "":
		if s := t.behind(p, facts, door, parent, within, e.At); s != nil {
			s.Found = found
			t.start(s, e.At)
			return p
		}
	}
	t.join(p, within)
	t.grow(p, facts, e.At)
	return p
}

// behind begins the session of what a door has executed; nil where that is none.
// The door is its parent, or was the process itself.
func (t *Tracker) behind(p *process, facts Process, door touchstone.LoginKind, parent *process, within *session, at time.Time) *session {
	var doorman Process
	if parent != nil && parent.door == door {
		doorman = parent.Process
		if now, ok := t.c.Look.Look(parent.PID); ok && (parent.Start == 0 || now.Start == parent.Start) {
			doorman = now
		}
	}
	if !lets(door, &facts, &doorman) {
		return nil
	}
	if within != nil && within.Kind == door && within.rootPID == doorman.PID {
		if within.Command == nil { // of a connection that was told of already
			within.Command, within.TTY = t.c.Redact(facts.Command), facts.TTY
			t.out = append(t.out, Event{Kind: EventKnown, At: at, Session: within.shown()})
		}
		return nil
	}
	if door == touchstone.LoginSwitch && within == nil && !t.atTerminal(p) {
		return nil
	}
	s := t.begin(p, facts, door, within, at, nowhere)
	if s == nil {
		return nil
	}
	if name, ok := titleOf(doorman.Command); ok && name.user != "" {
		s.By = name.user
	}
	if from := t.peerAbove(doorman); from != "" {
		s.From = from
	}
	return s
}

// atTerminal reports whether a process has a terminal that is not that of the
// container as a whole.
func (t *Tracker) atTerminal(p *process) bool {
	if p.TTY == "" {
		return false
	}
	in := t.subjects[p.subject]
	first := t.processes[in.Init.PID]
	return first == nil || in.Init.PID == 0 || first.TTY != p.TTY
}

// peerAbove returns who is at the other end of a door's connection: telnetd has it,
// not the login that it has executed.
func (t *Tracker) peerAbove(p Process) string {
	for range 4 {
		if p.Peer != "" {
			return p.Peer
		}
		above := t.processes[p.Parent]
		if above == nil || above.door == "" {
			return ""
		}
		now, ok := t.c.Look.Look(p.Parent)
		if !ok {
			return ""
		}
		p = now
	}
	return ""
}

// begin makes a session; nil where there are too many.
func (t *Tracker) begin(p *process, facts Process, kind touchstone.LoginKind, within *session, at time.Time, from uint64) *session {
	if len(t.sessions) >= t.c.Sessions {
		t.figures.DroppedSessions++
		return nil
	}
	t.last++
	shown := facts
	shown.Command = t.c.Redact(facts.Command)
	s := &session{members: make(map[int]uint64), rootPID: facts.PID, rootTick: facts.Start, lastAt: at}
	s.Session = Session{
		ID: t.last, Subject: p.subject, Kind: kind, Root: shown, UID: facts.UID, By: t.c.User(p.subject, facts.UID),
		Command: shown.Command, TTY: facts.TTY, Began: at,
	}
	if kind == touchstone.LoginExec || kind == touchstone.LoginDebug {
		s.By = "" // whoever the program runs as, that is not who came
	}
	if from != nowhere && from != p.subject && from != t.c.Host {
		s.FromSubject = from
	}
	if within != nil {
		s.Within = within.ID
		s.From = within.From
		if kind == touchstone.LoginSwitch || kind == touchstone.LoginNsenter {
			s.By = within.By
		}
	}
	if in := t.subjects[p.subject]; kind == touchstone.LoginExec && facts.TTY == "" && len(facts.Command) > 0 {
		s.declared = slices.ContainsFunc(in.Declared, func(d []string) bool { return slices.Equal(d, facts.Command) })
	}
	t.sessions[s.ID] = s
	t.join(p, s)
	s.Executed = 1
	s.Tree = append(s.Tree, t.node(shown, at))
	return s
}

// start tells of a session that has been begun, unless that is nobody's.
func (t *Tracker) start(s *session, at time.Time) {
	if s.Subject == 0 && t.c.Host == 0 { // the host is not asked for
		return
	}
	if s.declared {
		t.figures.Declared++
		return
	}
	s.told = true
	t.out = append(t.out, Event{Kind: EventStarted, At: at, Session: s.shown()})
}

func (t *Tracker) node(p Process, at time.Time) touchstone.Process {
	return touchstone.Process{PID: p.PID, Parent: p.Parent, UID: p.UID, Path: p.Path, Command: p.Command, Started: at}
}

// join makes a process a member of a session, and of no other.
func (t *Tracker) join(p *process, s *session) {
	if p.session == s {
		return
	}
	if p.session != nil {
		t.leave(p, p.session, p.session.lastAt)
	}
	if p.session = s; s != nil {
		s.members[p.PID] = p.Start
	}
}

// grow counts a program that was executed in a session.
func (t *Tracker) grow(p *process, facts Process, at time.Time) {
	s := p.session
	if s == nil {
		return
	}
	s.Executed++
	s.lastAt = at
	s.members[p.PID] = p.Start
	if len(s.Tree) >= t.c.Tree {
		return
	}
	facts.Command = t.c.Redact(facts.Command)
	n := t.node(facts, at)
	s.Tree = append(s.Tree, n)
	if s.told {
		t.out = append(t.out, Event{Kind: EventGrew, At: at, Session: s.shown(), Process: n})
	}
}

func (t *Tracker) exit(pid int, at time.Time) {
	p := t.processes[pid]
	if p == nil {
		return
	}
	delete(t.processes, pid)
	if p.counted != nil {
		p.counted.processes--
	}
	if p.session != nil {
		t.leave(p, p.session, at)
	}
}

// leave takes a process out of its session.
func (t *Tracker) leave(p *process, s *session, at time.Time) {
	delete(s.members, p.PID)
	s.lastAt = at
	if p.PID == s.rootPID {
		s.RootGone = true
	}
	switch {
	case len(s.members) == 0:
		s.Ended, s.Lasted = at, max(0, at.Sub(s.Began))
		delete(t.sessions, s.ID)
		t.ended = append(t.ended, s)
		if len(t.ended) > maxEnded {
			t.ended = slices.Delete(t.ended, 0, len(t.ended)-maxEnded)
		}
		if s.told {
			t.out = append(t.out, Event{Kind: EventEnded, At: at, Session: s.shown()})
		}
	case p.PID == s.rootPID && s.told:
		t.out = append(t.out, Event{Kind: EventLeft, At: at, Session: s.shown()})
	}
}
