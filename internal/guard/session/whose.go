package session

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// whose says who has begun a session, as far as that is known.
type whose uint8

const (
	person whose = iota
	probe        // a command that the container declares: nobody
	// uncertain is what may be either. A probe that is taken for a person may be killed,
	// so that it is not told of before it is certain; see settle.
	uncertain
)

// whose tells a probe or hook from a person: it is declared word for word, came through
// the runtime, and has no terminal.
func (s *session) whose() whose {
	switch {
	case !s.probed || s.TTY != "":
		return person
	case !s.named:
		return uncertain
	case !s.fits:
		return person
	case s.Kind == touchstone.LoginExec:
		return probe
	default: // the runtime may yet say that it has brought it
		return uncertain
	}
}

// name takes over the command of a session, if it is known and was not before.
func (t *Tracker) name(s *session, command []string) {
	if s.named || len(command) == 0 {
		return
	}
	s.named = true
	if in := t.subjects[s.Subject]; in != nil {
		s.fits = slices.ContainsFunc(in.Declared, func(d []string) bool { return slices.Equal(d, command) })
	}
	s.Command = t.c.Redact(command)
	s.Root.Command = s.Command
	if len(s.Tree) > 0 && s.Tree[0].PID == s.rootPID {
		s.Tree[0].Command = s.Command
	}
}

// hear takes over the command that an event tells of a session's first process, where
// it was found before the event came.
func (t *Tracker) hear(s *session, facts *Process, at time.Time) bool {
	if s == nil { // a look at everything may have ended it meanwhile
		for _, ended := range slices.Backward(t.ended) {
			if !ended.named && ended.rootPID == facts.PID && ended.rootTick == facts.Start {
				s = ended
				break
			}
		}
	}
	if s == nil || s.named || s.rootPID != facts.PID || len(facts.Command) == 0 || facts.runtime() ||
		s.Root.Path != "" && !s.Root.runtime() && path.Base(s.Root.Path) != path.Base(facts.Path) {
		return false
	}
	if s.TTY == "" {
		s.TTY = facts.TTY
	}
	if s.Root.Path = facts.Path; len(s.Tree) > 0 {
		s.Tree[0].Path = facts.Path
	}
	t.name(s, t.whole(s, facts))
	t.start(s, at)
	return true
}

// more stands for the rest of a command that is cut.
const more = "…"

// whole returns the command of a session's first process; none where it is cut and may
// be one that is declared. The process itself shows the rest, if it is there still: that
// it could be made to lie is why it must begin as the kernel has told.
func (t *Tracker) whole(s *session, p *Process) []string {
	if !p.Cut {
		return p.Command
	}
	begins := func(command []string) bool {
		const end = "\x00"
		return strings.HasPrefix(strings.Join(command, end), strings.Join(p.Command, end))
	}
	if now, ok := t.c.Look.Look(p.PID); ok && same(now.Start, p.Start) && begins(now.Command) {
		return now.Command
	}
	if in := t.subjects[s.Subject]; s.probed && in != nil && slices.ContainsFunc(in.Declared, begins) {
		return nil
	}
	return append(slices.Clip(p.Command), more)
}

// settle decides about what was uncertain: as soon as its command can be read, and in
// the end without it. What is alive then and shows no command hides it; of what has
// ended nobody can say that it was no probe.
func (t *Tracker) settle(at time.Time) {
	open := slices.Collect(maps.Values(t.sessions))
	slices.SortFunc(open, func(a, b *session) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range append(slices.Clone(t.ended), open...) {
		if s.told || s.declared || s.whose() != uncertain {
			continue
		}
		now, alive := t.c.Look.Look(s.rootPID)
		alive = alive && s.Ended.IsZero() && (s.rootTick == 0 || now.Start == s.rootTick)
		limit := patience
		switch {
		case alive && now.runtime():
			limit = entering
		case alive:
			if s.TTY == "" {
				s.TTY = now.TTY
			}
			t.name(s, now.Command)
		}
		if waited := at.Sub(s.Began); s.whose() == uncertain && (waited <= -limit || waited >= limit) {
			if !s.named && !alive {
				t.figures.Unseen++
				s.declared = true // for all that is known
				continue
			}
			s.probed = false
		}
		t.start(s, at)
	}
}
