package session

import (
	"maps"
	"slices"
	"time"

	"touchstone.dev/touchstone"
)

// Session is one login, as it is known now.
type Session struct {
	ID      uint64 // counted from 1, as long as the Tracker lives
	Subject uint64
	Kind    touchstone.LoginKind
	Root    Process // its first process; the command redacted
	// By is the user's name where the door told it; for a switch that of the session
	// around it. UID is that of the first process.
	By  string
	UID int
	// From is the address and port that the person came from; "" where nobody knows.
	From string
	// FromSubject is where the first process came from, if it came out of another
	// subject that is known.
	FromSubject uint64
	Command     []string // redacted
	TTY         string
	// ExecID is the runtime's, and Confirmed true, once the runtime has told of it.
	ExecID    string
	Confirmed bool
	Within    uint64 // the session in which this one was begun, 0 for none
	// Found is true where no event told of its beginning, but a look at everything.
	Found bool

	Began time.Time
	Ended time.Time // zero before
	// Lasted is how long it took, whatever the clock did; zero before its end.
	Lasted time.Duration
	// Tree are the programs that it executed, in order, up to a bound; Executed is
	// how many there were, Forked how many processes.
	Tree     []touchstone.Process
	Executed int
	Forked   int
	Alive    int  // processes
	RootGone bool // the first process has ended; what is alive was left behind
}

// Login returns the session as it is told. Admitted is the agent's to fill in.
func (s *Session) Login() touchstone.Login {
	return touchstone.Login{Kind: s.Kind, By: s.By, Command: s.Command, TTY: s.TTY != "", From: s.From, Ended: s.Ended}
}

// Event is something that happened to a session.
type Event struct {
	Kind    EventKind
	At      time.Time
	Session Session // as it is after that
	// Process is what was executed, for EventGrew.
	Process touchstone.Process
}

// EventKind is what happened.
type EventKind string

// The kinds.
const (
	EventStarted EventKind = "started"
	EventGrew    EventKind = "grew"  // another program was executed in it; told while it is in the Tree
	EventKnown   EventKind = "known" // more is known: the runtime has told of it, or a connection runs its first command
	EventLeft    EventKind = "left"  // its first process has ended, and others are left behind
	EventEnded   EventKind = "ended"
)

// session is a Session with its members.
type session struct {
	Session
	members map[int]uint64 // start by PID
	// probed is true where its command may be one that the container declares, named
	// once it is known, and fits where it is declared word for word.
	probed, named, fits bool
	declared            bool // it was counted as a probe or hook: nothing is told
	told                bool
	rootPID             int
	rootTick            uint64
	lastAt              time.Time
}

// shown is a copy that stays as it is.
func (s *session) shown() Session {
	c := s.Session
	c.Alive = len(s.members)
	c.Tree = slices.Clone(s.Tree)
	return c
}

// Member is a process of a session, to be killed if it is still the same.
type Member struct {
	PID   int
	Start uint64
}

// all returns the members, by PID.
func (s *session) all() []Member {
	out := make([]Member, 0, len(s.members))
	for _, pid := range slices.Sorted(maps.Keys(s.members)) {
		out = append(out, Member{pid, s.members[pid]})
	}
	return out
}
