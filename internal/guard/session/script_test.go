package session

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The node of these tests: its own namespaces, and three containers.
const (
	hostPID, hostMount = 1000, 1001
	theHost            = 1
	web                = 2 // with namespaces of its own, process 1 is 200
	agent              = 3 // in the node's PID namespace, process 1 is 300
	debug              = 4 // a debug container in the PID namespace of web
)

var epoch = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// world is the node as the kernel has it, and a Tracker that is told of what
// happens there.
type world struct {
	t       testing.TB
	tracker *Tracker
	alive   map[int]Process
	tick    uint64
	told    []Event
	deaf    bool // no event is received
	unborn  bool // no fork is told of
}

// Look implements Looker.
func (w *world) Look(pid int) (Process, bool) {
	p, ok := w.alive[pid]
	return p, ok
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, alive: make(map[int]Process)}
	w.put(Process{PID: 1, Path: "/sbin/init", Comm: "init"})
	w.tracker = New(Config{Host: theHost, Look: w, Redact: func(c []string) []string { return c }})
	w.put(Process{PID: 100, Parent: 1, Path: "/usr/bin/containerd-shim-runc-v2", Comm: "containerd-shim"})
	w.put(Process{PID: 200, Parent: 100, InnerPID: 1, PIDNamespace: 2000, MountNamespace: 2001, Subject: web, Path: "/app"})
	w.put(Process{PID: 300, Parent: 100, InnerPID: 300, MountNamespace: 3001, Subject: agent, Path: "/agent"})
	w.hear(w.tracker.Add(Subject{ID: web, Init: w.alive[200], PIDNamespace: 2000, MountNamespace: 2001, Declared: [][]string{{"/bin/check", "-q"}}}, w.now()))
	w.hear(w.tracker.Add(Subject{ID: agent, Init: w.alive[300], PIDNamespace: hostPID, MountNamespace: 3001}, w.now()))
	return w
}

func (w *world) now() time.Time { return epoch.Add(time.Duration(w.tick) * 10 * time.Millisecond) }

func (w *world) hear(events []Event) { w.told = append(w.told, events...) }

// put has a process be there, on the host where nothing else is said.
func (w *world) put(p Process) Process {
	w.tick++
	if p.Start == 0 {
		p.Start = w.tick
	}
	if p.PIDNamespace == 0 {
		p.PIDNamespace = hostPID
	}
	if p.MountNamespace == 0 {
		p.MountNamespace = hostMount
	}
	if p.InnerPID == 0 {
		p.InnerPID = p.PID
	}
	w.alive[p.PID] = p
	return p
}

// fork makes a child that is like its parent, in namespaces as change says.
func (w *world) fork(parent, pid int, change func(*Process)) {
	w.t.Helper()
	p, ok := w.alive[parent]
	if !ok {
		w.t.Fatalf("process %d is not there to make %d", parent, pid)
	}
	p.PID, p.Parent, p.InnerPID, p.Start = pid, parent, pid+10_000, 0
	if change != nil {
		change(&p)
	}
	p = w.put(p)
	if !w.deaf && !w.unborn {
		w.hear(w.tracker.Fork(Fork{At: w.now(), Process: p}))
	}
}

// exec has a process run a program.
func (w *world) exec(pid int, command string, change func(*Process)) {
	w.t.Helper()
	p, ok := w.alive[pid]
	if !ok {
		w.t.Fatalf("process %d is not there to run %s", pid, command)
	}
	p.Command = strings.Fields(command)
	p.Path, p.Peer = strings.TrimPrefix(p.Command[0], "-"), ""
	p.Comm = p.Path[strings.LastIndex(p.Path, "/")+1:]
	if change != nil {
		change(&p)
	}
	w.tick++
	w.alive[pid] = p
	if !w.deaf {
		w.hear(w.tracker.Exec(Exec{At: w.now(), Process: p}))
	}
}

// entitle has a process say what it does.
func (w *world) entitle(pid int, title string) {
	p := w.alive[pid]
	p.Command = []string{title}
	w.alive[pid] = p
}

// exit ends a process; its children are given to the first of its PID
// namespace, or to the shim if that is above it.
func (w *world) exit(pid int) {
	gone := w.alive[pid]
	delete(w.alive, pid)
	w.tick++
	for _, child := range slices.Sorted(maps.Keys(w.alive)) {
		c := w.alive[child]
		if c.Parent != pid {
			continue
		}
		switch {
		case gone.PIDNamespace == 2000:
			c.Parent = 200
		case gone.MountNamespace == 3001 || gone.Parent == 100:
			c.Parent = 100
		default:
			c.Parent = 1
		}
		w.alive[child] = c
	}
	if !w.deaf {
		w.hear(w.tracker.Exit(pid, gone.Start, w.now()))
	}
}

func (w *world) runtime(subject uint64, pid int, id string, terminal bool) {
	p := w.alive[pid]
	if p.runtime() {
		p.Command = nil // as package containerd reads it
	}
	w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: subject, PID: pid, ExecID: id, Terminal: terminal, Command: p.Command}))
}

// wait has so much time pass that what is uncertain is decided.
func (w *world) wait() {
	w.tick += 1000
	w.hear(w.tracker.Settle(w.now()))
}

func (w *world) resync() { w.hear(w.tracker.Resync(w.snapshot())) }

func (w *world) snapshot() Snapshot {
	w.tick++
	s := Snapshot{At: w.now(), Began: w.tick + 1}
	for _, p := range w.alive {
		s.Processes = append(s.Processes, p)
	}
	return s
}

// into has a process be in the container web, and of its control group if the
// runtime brought it there.
func into(p *Process) {
	p.PIDNamespace, p.MountNamespace, p.Subject = 2000, 2001, web
}

// enter is an exec by the runtime: runc, its first process, and the command.
func (w *world) enter(pid int, subject uint64, command string, tty string) {
	w.fork(100, pid, nil)
	w.exec(pid, "/usr/bin/runc exec", nil)
	w.fork(pid, pid+1, func(p *Process) {
		p.Comm = "runc:[2:INIT]"
		if p.Subject = subject; subject == web {
			into(p)
		} else {
			p.MountNamespace = 3001
		}
	})
	w.exec(pid+1, command, func(p *Process) { p.TTY = tty })
	w.exit(pid)
}

// lines are what was told, in short.
func (w *world) lines() []string {
	var out []string
	for _, e := range w.told {
		s := e.Session
		line := fmt.Sprintf("%s %d %s", e.Kind, s.ID, s.Kind)
		switch e.Kind {
		case EventStarted:
			line += fmt.Sprintf(" in %d: %s", s.Subject, strings.Join(s.Command, " "))
			for _, more := range []struct {
				name, value string
				is          bool
			}{
				{"by ", s.By, s.By != ""}, {"from ", s.From, s.From != ""}, {"on ", s.TTY, s.TTY != ""},
				{"within ", fmt.Sprint(s.Within), s.Within != 0}, {"out of ", fmt.Sprint(s.FromSubject), s.FromSubject != 0}, {"found", "", s.Found},
			} {
				if more.is {
					line += ", " + more.name + more.value
				}
			}
		case EventGrew:
			line += " " + strings.Join(e.Process.Command, " ")
		case EventKnown:
			line += " " + s.ExecID
		case EventLeft:
			line += fmt.Sprintf(" %d", s.Alive)
		case EventEnded:
			line += fmt.Sprintf(" after %d", s.Executed)
		}
		out = append(out, line)
	}
	return out
}

func (w *world) want(lines ...string) {
	w.t.Helper()
	if diff := cmp.Diff(lines, w.lines()); diff != "" {
		w.t.Errorf("told (-want +got):\n%s", diff)
	}
	w.told = nil
}
