package session

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happens on a node, and whatever of it is heard: a process is in one
// session at most, a session lives as long as its last process, and is told of
// once, from its beginning to its end.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		hearing := rapid.IntRange(50, 100).Draw(r, "percent heard")
		next := 1000
		commands := []string{"sh", "/bin/check -q", "su x", "sudo id", "/usr/sbin/sshd", "login", "/usr/bin/runc exec", "nsenter", "work", "/usr/sbin/in.telnetd", "/sbin/agetty"}
		for range rapid.IntRange(1, 80).Draw(r, "steps") {
			w.deaf = rapid.IntRange(0, 99).Draw(r, "heard") >= hearing
			pids := slices.Sorted(maps.Keys(w.alive))
			pid := rapid.SampledFrom(pids).Draw(r, "pid")
			move := func(p *Process) {
				switch rapid.IntRange(0, 9).Draw(r, "move") {
				case 0:
					into(p)
				case 1:
					p.MountNamespace = 3001
				case 2:
					p.MountNamespace = hostMount
				case 3:
					p.TTY = "pts/9"
				}
			}
			switch rapid.SampledFrom([]string{"fork", "fork", "exec", "exec", "exit", "runtime", "resync", "reuse"}).Draw(r, "what") {
			case "fork":
				next++
				w.fork(pid, next, move)
			case "exec":
				w.exec(pid, rapid.SampledFrom(commands).Draw(r, "command"), move)
			case "exit":
				if pid > 300 {
					w.exit(pid)
				}
			case "reuse":
				if pid > 300 {
					w.exit(pid)
					w.fork(1, pid, nil)
				}
			case "runtime":
				w.runtime(web, pid, "e", false)
			case "resync":
				w.resync()
				if len(w.tracker.processes) != len(w.alive) {
					r.Fatalf("after a look at everything %d processes are known, and %d are there", len(w.tracker.processes), len(w.alive))
				}
			}
			consistent(r, w.tracker)
		}
		w.deaf = false
		w.tick += 1000 // for what the runtime told of
		w.resync()
		for _, pid := range slices.Sorted(maps.Keys(w.alive)) {
			if _, there := w.alive[pid]; there {
				w.exit(pid)
			}
			consistent(r, w.tracker)
		}
		w.resync()
		if f := w.tracker.Figures(); f.Sessions != 0 || f.Processes != 0 || len(w.tracker.sessions) != 0 {
			r.Fatalf("everything has ended, and left is %+v", f)
		}
		for _, s := range w.tracker.subjects {
			if s.processes != 0 {
				r.Fatalf("subject %d is said to have %d processes", s.ID, s.processes)
			}
		}
		lives(r, w.told)
	})
}

// consistent checks a Tracker's books against each other.
func consistent(r *rapid.T, t *Tracker) {
	r.Helper()
	in := make(map[int]uint64)
	for id, s := range t.sessions {
		if len(s.members) == 0 {
			r.Fatalf("session %d has no process", id)
		}
		for pid := range s.members {
			if in[pid] != 0 {
				r.Fatalf("process %d is in the sessions %d and %d", pid, in[pid], id)
			}
			in[pid] = id
			if p := t.processes[pid]; p == nil || p.session != s {
				r.Fatalf("process %d of session %d does not know of it", pid, id)
			}
		}
	}
	for pid, p := range t.processes {
		if p.session != nil && in[pid] != p.session.ID {
			r.Fatalf("process %d says that it is in session %d, which does not know of it", pid, p.session.ID)
		}
	}
}

// lives checks that each session is told of from its beginning to its end.
func lives(r *rapid.T, told []Event) {
	r.Helper()
	state := make(map[uint64]EventKind)
	for _, e := range told {
		id, before := e.Session.ID, state[e.Session.ID]
		ok := before != "" && before != EventEnded
		if e.Kind == EventStarted {
			ok = before == ""
		}
		if !ok {
			r.Fatalf("of session %d %q was told after %q", id, e.Kind, before)
		}
		if e.Kind == EventEnded && (e.Session.Ended.IsZero() || e.Session.Lasted < 0 || e.Session.Alive != 0) {
			r.Fatalf("session %d has ended as %+v", id, e.Session)
		}
		state[id] = e.Kind
	}
	for id, kind := range state {
		if kind != EventEnded {
			r.Fatalf("of session %d %q was told last", id, kind)
		}
	}
}

// When all is heard, the children of a session's processes are in it, whatever
// becomes of those who made them.
func TestDescendantsStay(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		w.enter(500, web, "/bin/sh", "")
		inside := map[int]bool{501: true}
		next := 1000
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			pid := rapid.SampledFrom(slices.Sorted(maps.Keys(inside))).Draw(r, "pid")
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0, 1:
				next++
				w.fork(pid, next, nil)
				inside[next] = true
			case 2:
				w.exec(pid, "work", nil)
			case 3:
				if len(inside) > 1 {
					w.exit(pid)
					delete(inside, pid)
				}
			}
			members := w.tracker.Members(1)
			if len(members) != len(inside) {
				r.Fatalf("session has %v, and %v are there", members, slices.Sorted(maps.Keys(inside)))
			}
			for _, m := range members {
				if !inside[m.PID] {
					r.Fatalf("process %d is not of the session", m.PID)
				}
			}
		}
	})
}

// What a flood costs is bounded, and counted.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	w.tracker = New(Config{Host: theHost, Look: w, Redact: func(c []string) []string { return c }, Processes: 400, Sessions: 10, Tree: 5})
	w.hear(w.tracker.Add(Subject{ID: web, Init: w.alive[200], PIDNamespace: 2000, MountNamespace: 2001}, w.now()))
	for i := range 20 {
		w.enter(1000+2*i, web, "/bin/sh", "")
	}
	if f := w.tracker.Figures(); f.Sessions != 10 || f.DroppedSessions != 10 {
		t.Errorf("%+v", f)
	}
	for i := range 1000 {
		w.fork(1001, 5000+i, nil)
		w.exec(5000+i, "bomb", nil)
	}
	f := w.tracker.Figures()
	if f.Processes > 200 || f.DroppedProcess < 900 {
		t.Errorf("%+v", f)
	}
	if s, _ := w.tracker.Of(1001); len(s.Tree) != 5 {
		t.Errorf("the tree has %d programs", len(s.Tree))
	}
	// Another container is still looked after.
	w.hear(w.tracker.Add(Subject{ID: agent, Init: w.alive[300], MountNamespace: 3001}, w.now()))
	for i := range 10 {
		w.exit(1001 + 2*i)
	}
	w.told = nil
	w.enter(9000, agent, "/bin/sh", "")
	if got := w.lines(); len(got) != 1 || got[0] != "started 11 exec in 3: /bin/sh" {
		t.Errorf("told %q", got)
	}
}

// A clock that is set back makes no session last less than nothing.
func TestClockJumps(t *testing.T) {
	w := newWorld(t)
	w.enter(500, web, "/bin/sh", "")
	w.hear(w.tracker.Exit(501, 0, w.now().Add(-time.Hour)))
	if s := w.told[len(w.told)-1].Session; s.Lasted != 0 || s.Ended.IsZero() {
		t.Errorf("it is said to have taken %s", s.Lasted)
	}
}

func BenchmarkExec(b *testing.B) {
	w := newWorld(b)
	for i := range 10_000 {
		w.fork(1, 10_000+i, nil)
	}
	w.fork(200, 900, nil)
	e := Exec{At: w.now(), Process: w.alive[900]}
	e.Process.Command = []string{"work"}
	for b.Loop() {
		w.tracker.Exec(e)
	}
}

func ExampleTracker() {
	t := New(Config{HostPIDNamespace: 1, HostMountNamespace: 2})
	t.Add(Subject{ID: 7, Init: Process{PID: 200, Start: 1}, PIDNamespace: 3, MountNamespace: 4}, epoch)
	runc := Process{PID: 500, Start: 2, Path: "/usr/bin/runc", PIDNamespace: 1, MountNamespace: 2, Command: []string{"runc"}}
	t.Exec(Exec{At: epoch, Process: runc})
	shell := Process{PID: 501, Start: 3, Parent: 500, Path: "/bin/sh", PIDNamespace: 3, MountNamespace: 4, TTY: "pts/0", Command: []string{"sh", "-l"}}
	for _, e := range t.Exec(Exec{At: epoch, Process: shell}) {
		fmt.Println(e.Kind, e.Session.Kind, e.Session.Command)
	}
	// Output: started exec [sh -l]
}
