package session

import (
	"slices"
	"time"

	"touchstone.dev/touchstone"
)

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
	t.sessions[s.ID] = s
	t.join(p, s)
	s.Executed = 1
	s.Tree = append(s.Tree, t.node(shown, at))
	s.probed = (kind == touchstone.LoginExec || kind == touchstone.LoginNsenter) && len(t.subjects[p.subject].Declared) > 0
	t.name(s, t.whole(s, &facts))
	return s
}

// start tells of a session that has been begun, unless it is nobody's, or nobody knows
// yet whose it is.
func (t *Tracker) start(s *session, at time.Time) {
	if s.told || s.Subject == 0 && t.c.Host == 0 { // the host is not asked for
		return
	}
	switch s.whose() {
	case uncertain:
		return
	case probe:
		if !s.declared {
			t.figures.Declared++
		}
		s.declared = true
		return
	}
	s.told = true
	begun := s.shown()
	begun.Ended, begun.Lasted = time.Time{}, 0
	t.out = append(t.out, Event{Kind: EventStarted, At: at, Session: begun})
	if !s.Ended.IsZero() {
		t.out = append(t.out, Event{Kind: EventEnded, At: at, Session: s.shown()})
	}
}

func (t *Tracker) node(p Process, at time.Time) touchstone.Process {
	if p.Cut {
		p.Command = append(slices.Clip(p.Command), more)
	}
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
	if p.command != nil && p.session == nil {
		t.drifted = append(t.drifted, p)
		if len(t.drifted) > maxEnded {
			t.drifted = slices.Delete(t.drifted, 0, len(t.drifted)-maxEnded)
		}
	}
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
