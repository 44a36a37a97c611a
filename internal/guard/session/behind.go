package session

import (
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

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
	return first == nil || in.Init.PID == 0 || !sameTerminal(first.TTY, p.TTY)
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

// sameTerminal reports whether two names are one terminal's: some have a "/".
func sameTerminal(a, b string) bool {
	return strings.ReplaceAll(a, "/", "") == strings.ReplaceAll(b, "/", "")
}
