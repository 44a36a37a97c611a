package session

import (
	"slices"
	"time"

	"touchstone.dev/touchstone"
)

// announce takes in what the runtime tells: it may come before the exec itself was
// seen, after it, or after its end.
func (t *Tracker) announce(r RuntimeExec) {
	in := t.subjects[r.Subject]
	if in == nil {
		return
	}
	p := t.processes[r.PID]
	if p != nil && (t.at(p) != r.Subject || !same(r.Start, p.Start)) {
		p = nil
	}
	if p != nil && p.session != nil && p.session.rootPID == r.PID {
		t.know(p.session, r)
		return
	}
	if s := t.lately(&r); s != nil && (p == nil || same(s.rootTick, p.Start)) {
		if s.told {
			s.Confirmed = true // its end was the last that is told of it
			return
		}
		t.know(s, r)
		return
	}
	now, there := t.c.Look.Look(r.PID)
	if p != nil && !p.runtime() && !(there && now.runtime()) { // of a fork, p is what its parent was
		t.beginTold(p, r)
		return
	}
	for _, p := range slices.Backward(t.drifted) {
		if len(r.Command) == 0 && p.PID == r.PID && p.subject == r.Subject && same(p.Start, r.Start) {
			r.Command = p.command
		}
	}
	if len(t.announced) < maxAnnounced {
		t.announced[r.PID] = r
	}
	// What is the runtime still is told of when it executes something.
	if there && t.where(&now) == r.Subject && !now.runtime() {
		t.exec(Exec{At: r.At, Process: now}, false)
	}
}

// same reports whether two processes of one PID are one, as far as is known.
func same(a, b uint64) bool { return a == 0 || b == 0 || a == b }

// lately finds the session that has ended already and is told of only now: the last
// with that first process.
func (t *Tracker) lately(r *RuntimeExec) *session {
	for _, s := range slices.Backward(t.ended) {
		if s.rootPID == r.PID && s.Subject == r.Subject && same(s.rootTick, r.Start) && !s.Confirmed && s.Kind != touchstone.LoginDebug {
			return s
		}
	}
	return nil
}

// beginTold begins the session of a process that was taken for one that had always
// been there.
func (t *Tracker) beginTold(p *process, r RuntimeExec) {
	within, facts := p.session, p.Process
	if facts.Command = p.command; facts.Command == nil {
		facts.Command = r.Command
	}
	facts = t.complete(facts)
	if s := t.begin(p, facts, touchstone.LoginExec, within, r.At, nowhere); s != nil {
		t.confirm(s, r)
		t.start(s, r.At)
	}
}

// confirm takes over what the runtime knows of a session. What has a terminal is
// nobody's probe.
func (t *Tracker) confirm(s *session, r RuntimeExec) {
	s.ExecID, s.Confirmed = r.ExecID, true
	if s.Kind == touchstone.LoginNsenter {
		s.Kind = touchstone.LoginExec
	}
	if r.Terminal && s.TTY == "" {
		s.TTY = "tty" // which, nobody has said
	}
	t.name(s, r.Command)
}

// know is confirm for a session that was told of, or was not because its command
// is declared.
func (t *Tracker) know(s *session, r RuntimeExec) {
	if s.Confirmed {
		return
	}
	t.confirm(s, r)
	if s.told {
		t.out = append(t.out, Event{Kind: EventKnown, At: r.At, Session: s.shown()})
		return
	}
	t.start(s, r.At)
}

// patience is how long what the runtime has told is given to be seen as an exec, and
// what is uncertain to become certain.
const patience = 5 * time.Second

// entering is how long the runtime may take, on a busy node, until the process that it
// has made in a container has become what it was told to start.
const entering = 30 * time.Second

// Settle decides about what could not be told for certain when it was seen. It is to be
// called every few seconds.
func (t *Tracker) Settle(at time.Time) []Event {
	return t.do(func() {
		t.expire(at)
		t.settle(at)
	})
}

// expire tells of what the runtime has started and nobody has seen: it was over at
// once.
func (t *Tracker) expire(at time.Time) {
	for _, pid := range sortedKeys(t.announced) {
		r := t.announced[pid]
		waited := at.Sub(r.At)
		if waited > -patience && waited < patience {
			continue
		}
		now, there := t.c.Look.Look(pid)
		there = there && t.where(&now) == r.Subject
		if there && now.runtime() && waited > -entering && waited < entering {
			continue
		}
		delete(t.announced, pid)
		in := t.subjects[r.Subject]
		if in == nil {
			continue
		}
		// Without its command nobody can say that it was no probe.
		if len(r.Command) == 0 && len(in.Declared) > 0 && !r.Terminal {
			t.figures.Unseen++
			continue
		}
		if there {
			t.announced[pid] = r // it is called like the runtime
			t.arrive(Exec{At: at, Process: now}, false, maxAbove)
			continue
		}
		facts := Process{PID: pid, Subject: r.Subject, Command: r.Command}
		p := &process{Process: facts, subject: r.Subject}
		if s := t.begin(p, facts, touchstone.LoginExec, nil, r.At, nowhere); s != nil {
			t.confirm(s, r)
			t.start(s, r.At)
			t.leave(p, s, r.At)
		}
	}
}
