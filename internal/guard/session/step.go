package session

import (
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
	facts.Command, facts.Cut, facts.Peer = nil, false, ""
	if len(facts.Path) > maxPath {
		facts.Path = facts.Path[:maxPath]
	}
	p.Process = facts
}

// complete fills in what an event did not tell.
func (t *Tracker) complete(p Process) Process {
	if p.Start != 0 && p.Parent != 0 && p.Path != "" && p.PIDNamespace != 0 && p.MountNamespace != 0 && p.Command != nil {
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
	if p.Command == nil && !now.runtime() {
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
	p := t.processes[facts.PID]
	if p != nil && !p.adrift {
		return
	}
	parent := t.parentOf(&facts, f.At, maxAbove)
	if p == nil {
		if parent != nil {
			facts.Path, facts.Comm = parent.Path, parent.Comm
		}
		if p = t.remember(facts); p == nil {
			return
		}
		p.adrift = parent == nil
	}
	switch {
	case !p.adrift:
		p.subject, p.door, p.through = t.at(parent), parent.door, parent.through
		t.join(p, parent.session)
		if p.session != nil {
			p.session.Forked++
		}
	case f.ParentPIDNamespace != 0 && f.ParentPIDNamespace == t.c.HostPIDNamespace && facts.PIDNamespace != t.c.HostPIDNamespace:
		// Whoever made it has gone. What comes out of the node's own PID namespace into
		// another is on its way into a container.
		p.subject, p.through, p.adrift = t.c.Host, facts.runtime(), false
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
	if in := t.subjects[p.subject]; a.passing(&facts) && a.from != nowhere && (in == nil || !in.first(&facts)) {
		p.subject = a.from
	}
	called, announced := t.announced[facts.PID]
	// A look may be older than what the runtime has told: it is still to become that.
	if announced = announced && called.Subject == t.where(&facts) && !(found && facts.runtime()); announced {
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
	if a.from == nowhere && in != nil && in.ID != t.c.Host && !in.first(&facts) {
		p.adrift = true
	}
	if p.adrift && p.command == nil && !facts.runtime() && !facts.Cut {
		p.command = facts.Command
	}
	if !t.hear(within, &facts, e.At) {
		t.grow(p, facts, e.At)
	}
	return p
}
