package session

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"time"

	"touchstone.dev/touchstone"
)

// Snapshot is every process of the node, at one time.
type Snapshot struct {
	At time.Time
	// Began is when reading it began, in ticks since the node was booted: what has
	// started later may be missing.
	Began     uint64
	Processes []Process
}

// Resync takes in how it is, after events were lost and from time to time: what has
// ended, what has come, and what is not seen by events.
func (t *Tracker) Resync(s Snapshot) []Event {
	return t.do(func() {
		there := make(map[int]uint64, len(s.Processes))
		for i := range s.Processes {
			there[s.Processes[i].PID] = s.Processes[i].Start
		}
		for _, pid := range t.sorted() {
			p := t.processes[pid]
			start, is := there[pid]
			if is && (p.Start == 0 || start == p.Start) || p.Start >= s.Began && p.Start != 0 {
				continue
			}
			t.exit(pid, s.At)
		}
		// Who made others comes before them.
		order := slices.Clone(s.Processes)
		slices.SortStableFunc(order, func(a, b Process) int {
			return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID))
		})
		for i := range order {
			t.compare(order[i], s.At)
		}
		t.silent(order, s.At)
		t.expire(s.At)
		t.settle(s.At)
	})
}

// compare takes in one process of a snapshot.
func (t *Tracker) compare(facts Process, at time.Time) {
	known := t.processes[facts.PID]
	// Layers name a program's folder differently, so that names alone are compared.
	if known == nil || path.Base(known.Path) != path.Base(facts.Path) && facts.Path != "" {
		if t.where(&facts) != t.c.Host && !t.current(&facts) {
			return
		}
		t.exec(Exec{At: at, Process: facts}, true)
		return
	}
	now := t.where(&facts)
	if now == nowhere || now == t.at(known) {
		return
	}
	// It has gone somewhere else and executed nothing there.
	in, from := t.subjects[now], t.at(known)
	if !t.entered(in, &facts, arrival{from: from, known: true}) {
		return
	}
	within, kind := known.session, touchstone.LoginNsenter
	if known.through {
		return // the runtime on its way
	}
	known.learn(facts)
	known.subject = now
	if s := t.begin(known, facts, kind, within, at, from); s != nil {
		s.Found = true
		t.start(s, at)
	}
}

// current looks once more at a process of a container that a snapshot has and no event
// told of: events have gone on since it was taken, and its end may have been one of
// them. It reports whether the process is there.
func (t *Tracker) current(facts *Process) bool {
	if _, blind := t.c.Look.(nobody); blind {
		return true
	}
	now, ok := t.c.Look.Look(facts.PID)
	if !ok || now.Start != facts.Start {
		return false
	}
	*facts = now
	return true
}

// silent finds the connections of sshd that run no command: those that did not
// the last time either, for each one is so while it begins.
func (t *Tracker) silent(all []Process, at time.Time) {
	busy := make(map[int]bool)
	for _, p := range t.processes {
		if p.session != nil {
			busy[p.Parent] = true
		}
	}
	before := t.quiet
	t.quiet = make(map[int]uint64)
	for i := range all {
		facts := &all[i]
		p := t.processes[facts.PID]
		name, ok := titleOf(facts.Command)
		if p == nil || !ok || name.between || name.user == "" || p.door != touchstone.LoginSSH || p.session != nil || busy[p.PID] {
			continue
		}
		if t.quiet[p.PID] = p.Start; before[p.PID] != p.Start {
			continue
		}
		if s := t.begin(p, *facts, touchstone.LoginSSH, nil, at, nowhere); s != nil {
			s.By, s.From, s.Found, s.Command, s.TTY = name.user, facts.Peer, true, nil, ""
			t.start(s, at)
		}
	}
}

func sortedKeys[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }
