package session

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is heard of a probe, in whatever order, and however much of it is over by
// then: it is never told as a login. What anybody else executes is told whenever its
// command was heard.
func TestProbesAreNobody(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		command := rapid.SampledFrom([]string{"/bin/check -q", "/bin/check -v"}).Draw(r, "command")
		lost := rapid.IntRange(0, 3).Draw(r, "lost") // one of the kernel's events, or none
		if rapid.Bool().Draw(r, "the runtime is there") {
			w.fork(100, 500, nil)
			w.exec(500, "/usr/bin/runc exec", nil)
			if rapid.Bool().Draw(r, "as a copy of itself") {
				w.exec(500, "/ init", func(p *Process) { p.Comm = "exe" })
			}
		}
		p := Process{PID: 501, Parent: 500, InnerPID: 30, Path: "/", Comm: "runc:[2:INIT]", Command: []string{"runc", "init"}} // a copy that no folder holds
		into(&p)
		p = w.put(p)
		ran := p
		ran.Path, ran.Comm, ran.Command = "/bin/check", "check", strings.Fields(command)
		blank := ran
		blank.Command = nil // the kernel has not laid it down yet
		const runs, over = 2, 3
		phase, step, announced, heard := 0, 0, false, false
		begun := w.snapshot() // one that is read for long
		for phase < over || step < 3 || !announced {
			switch rapid.SampledFrom([]string{"time", "kernel", "runtime", "look", "begin a look", "end a look", "late look", "settle"}).Draw(r, "what") {
			case "time":
				phase = min(phase+1, over)
				w.alive[501] = []Process{p, blank, ran, {}}[phase]
				if phase == over {
					delete(w.alive, 501)
				}
			case "kernel":
				if step > 2 || phase < []int{0, runs, over}[step] {
					continue
				}
				if step++; step == lost {
					continue
				}
				switch step {
				case 1:
					w.hear(w.tracker.Fork(Fork{At: w.now(), Process: p, ParentPIDNamespace: hostPID}))
				case 2:
					heard = true
					w.hear(w.tracker.Exec(Exec{At: w.now(), Process: ran}))
				case 3:
					w.hear(w.tracker.Exit(501, ran.Start, w.now()))
				}
			case "runtime":
				if announced {
					continue
				}
				announced = true
				w.runtime(web, 501, "p", false)
			case "look":
				w.resync()
			case "begin a look":
				begun = w.snapshot()
			case "end a look":
				w.hear(w.tracker.Resync(begun))
			case "late look":
				s := w.snapshot()
				delete(w.alive, 501)
				phase = over
				w.hear(w.tracker.Resync(s))
			case "settle":
				w.hear(w.tracker.Settle(w.now()))
			}
		}
		w.wait()
		w.resync()
		told := slices.ContainsFunc(w.told, func(e Event) bool { return e.Kind == EventStarted })
		if probe := command == "/bin/check -q"; told && probe {
			r.Fatalf("a probe was told: %q", w.lines())
		} else if !told && !probe && heard {
			r.Fatalf("a login was not told; %+v", w.tracker.Figures())
		}
		lives(r, w.told)
		consistent(r, w.tracker)
	})
}

// What happened on busy machines, one by one.
func TestUncertain(t *testing.T) {
	for _, story := range []struct {
		name string
		tell func(w *world, probe Process)
		want Figures
	}{
		{"the runtime tells while the kernel has not laid down the command yet", func(w *world, probe Process) {
			blank := probe
			blank.Command = nil
			w.alive[501] = blank
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
		}, Figures{Declared: 1}},
		{"nobody but the runtime tells, at that moment", func(w *world, probe Process) {
			blank := probe
			blank.Command = nil
			w.alive[501] = blank
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
			w.alive[501] = probe
		}, Figures{Declared: 1}},
		{"everything is over before anything is heard", func(w *world, probe Process) {
			w.hear(w.tracker.Fork(Fork{At: w.now(), Process: Process{
				PID: 501, Start: probe.Start, Parent: 500, InnerPID: 30, PIDNamespace: 2000, MountNamespace: 2001, Comm: "runc:[1:CHILD]",
			}, ParentPIDNamespace: hostPID}))
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
			w.hear(w.tracker.Exit(501, probe.Start, w.now()))
		}, Figures{Declared: 1}},
		{"the same without a word of its fork", func(w *world, probe Process) {
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
			w.hear(w.tracker.Exit(501, probe.Start, w.now()))
		}, Figures{Declared: 1}},
		{"its command is never heard", func(w *world, probe Process) {
			probe.Command = nil
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
			w.hear(w.tracker.Exit(501, probe.Start, w.now()))
		}, Figures{Unseen: 1}},
		{"a snapshot has it that is older than its end", func(w *world, probe Process) {
			probe.Parent = 100
			w.put(probe)
			s := w.snapshot()
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
			delete(w.alive, 501)
			w.hear(w.tracker.Exit(501, probe.Start, w.now()))
			w.hear(w.tracker.Resync(s))
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
		}, Figures{Declared: 1}},
		{"the runtime has another name", func(w *world, probe Process) {
			w.fork(1, 400, nil)
			w.exec(400, "/opt/lately/oci", nil)
			probe.Parent = 400
			w.alive[501] = probe
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501, Command: probe.Command}))
		}, Figures{Declared: 1}},
		{"it is longer than the kernel tells", func(w *world, probe Process) {
			w.alive[501] = probe
			probe.Command, probe.Cut = []string{"/bin/check", "-"}, true
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
		}, Figures{Declared: 1}},
		{"it is longer than the kernel tells, and over", func(w *world, probe Process) {
			probe.Command, probe.Cut = []string{"/bin/check", "-"}, true
			w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "p", PID: 501}))
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
			w.hear(w.tracker.Exit(501, probe.Start, w.now()))
		}, Figures{Unseen: 1}},
		{"it was found when its container became known, and is over", func(w *world, probe Process) {
			probe.PIDNamespace, probe.MountNamespace, probe.Parent, probe.Subject = 5000, 5001, 100, 5
			w.put(Process{PID: 700, Parent: 100, InnerPID: 1, PIDNamespace: 5000, MountNamespace: 5001, Subject: 5, Path: "/app"})
			w.hear(w.tracker.Exec(Exec{At: w.now(), Process: probe}))
			w.hear(w.tracker.Add(Subject{ID: 5, Init: w.alive[700], PIDNamespace: 5000, MountNamespace: 5001, Declared: [][]string{{"/bin/check", "-q"}}}, w.now()))
			w.hear(w.tracker.Exit(501, probe.Start, w.now()))
		}, Figures{Unseen: 1}},
	} {
		t.Run(story.name, func(t *testing.T) {
			w := newWorld(t)
			probe := Process{PID: 501, Start: 50, Parent: 500, InnerPID: 30, Path: "/bin/check", Comm: "check", Command: []string{"/bin/check", "-q"}}
			into(&probe)
			story.tell(w, probe)
			w.want()
			w.wait()
			w.want()
			if f := w.tracker.Figures(); f.Declared != story.want.Declared || f.Unseen != story.want.Unseen {
				t.Errorf("%+v, want %+v", f, story.want)
			}
		})
	}
}

// What only begins like a probe is none.
func TestLongerThanAProbe(t *testing.T) {
	for _, cut := range [][]string{{"/bin/check", "-x"}, {"/bin/check", "-q", "and"}} {
		w := newWorld(t)
		p := Process{PID: 501, Parent: 100, InnerPID: 30, Path: "/bin/check", Comm: "check", Command: cut, Cut: true}
		into(&p)
		p = w.put(p)
		delete(w.alive, 501)
		w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "x", PID: 501}))
		w.hear(w.tracker.Exec(Exec{At: w.now(), Process: p}))
		w.want("started 1 exec in 2: " + strings.Join(cut, " ") + " …")
	}
}

// Who hides a command is told nevertheless, as long as anything of it is there.
func TestHiddenCommand(t *testing.T) {
	w := newWorld(t)
	p := Process{PID: 501, Parent: 100, InnerPID: 30, Path: "/bin/sh", Comm: "sh"}
	into(&p)
	w.put(p)
	w.hear(w.tracker.RuntimeExec(RuntimeExec{At: w.now(), Subject: web, ExecID: "x", PID: 501}))
	w.want()
	w.wait()
	w.exit(501)
	w.want("started 1 exec in 2: ", "ended 1 exec after 1")
}
