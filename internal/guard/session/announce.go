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
	if p := t.processes[r.PID]; p != nil && t.at(p) == r.Subject {
		if s := p.session; s != nil && s.rootPID == r.PID {
			t.know(s, r)
			return
		}
		facts := p.Process
		facts.Command = r.Command
		t.beginTold(p, t.complete(facts), r)
		return
	}
	if i := slices.IndexFunc(t.ended, func(s *session) bool {
		return s.rootPID == r.PID && s.Subject == r.Subject && !s.Confirmed && s.Kind != touchstone.LoginDebug
	}); i >= 0 {
		t.ended[i].Confirmed = true
		return
	}
	if len(t.announced) < maxAnnounced {
		t.announced[r.PID] = r
	}
	// What is the runtime still is told of when it executes something.
	if now, ok := t.c.Look.Look(r.PID); ok && t.where(&now) == r.Subject && !now.runtime() {
		t.exec(Exec{At: r.At, Process: now}, false)
	}
}

// beginTold begins the session of a process that was taken for one that had always
// been there.
func (t *Tracker) beginTold(p *process, facts Process, r RuntimeExec) {
	within := p.session
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
	if r.Terminal {
		s.declared = false
		if s.TTY == "" {
			s.TTY = "tty" // which, nobody has said
		}
	}
}

// know is confirm for a session that was told of, or was not because its command
// is declared.
func (t *Tracker) know(s *session, r RuntimeExec) {
	if s.Confirmed {
		return
	}
	t.confirm(s, r)
	switch {
	case s.told:
		t.out = append(t.out, Event{Kind: EventKnown, At: r.At, Session: s.shown()})
	case !s.declared:
		t.start(s, r.At)
	}
}

// patience is how long what the runtime has told is given to be seen as an exec.
const patience = 5 * time.Second

// expire tells of what the runtime has started and nobody has seen: it was over at
// once.
func (t *Tracker) expire(at time.Time) {
	for _, pid := range sortedKeys(t.announced) {
		r := t.announced[pid]
		if waited := at.Sub(r.At); waited >= 0 && waited < patience {
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
		if now, ok := t.c.Look.Look(pid); ok && t.where(&now) == r.Subject {
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
