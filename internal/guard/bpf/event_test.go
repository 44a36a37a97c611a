package bpf

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func TestEventsOfALogin(t *testing.T) {
	l := openLayer(t, nil)
	h := listen(t, l)
	c := watched(t, l, Mode{Execs: true, Forks: true, Exits: true})
	if got := c.act("terminal", "/bin/known", "one", "two words", strings.Repeat("x", 5000)); got.Code != 7 {
		t.Fatalf("it ended with %+v", got)
	}
	exec := h.wait(c.id, func(e Event) bool { return e.Kind == Exec && e.Path == "bin/known" })
	id, err := l.Identify(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	want := Event{
		Subject: c.id, Kind: Exec, File: c.stamp("/bin/known"), Path: "bin/known", Name: "/bin/known", Cut: true,
		Args:    []string{"/bin/known", "one", "two words", strings.Repeat("x", 4096-len("/bin/known one two words "))},
		Process: Process{Session: exec.Process.PID, PIDNS: id.PIDNS.Inode, TID: exec.Process.PID, Comm: "known"},
		Parent:  ParentProcess{PIDNS: id.PIDNS.Inode},
	}
	ignore := cmp.Options{
		cmpopts.IgnoreFields(Event{}, "At", "Address"),
		cmpopts.IgnoreFields(Process{}, "PID", "InnerPID", "Start", "MountNS", "TTY"),
		cmpopts.IgnoreFields(ParentProcess{}, "PID", "Start"),
	}
	if diff := cmp.Diff(want, exec, ignore); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(exec.Process.TTY, "pts") {
		t.Errorf("its terminal is %q", exec.Process.TTY)
	}
	same := func(k Kind) func(Event) bool {
		return func(e Event) bool { return e.Kind == k && e.Process.PID == exec.Process.PID }
	}
	fork := h.wait(c.id, same(Fork))
	exit := h.wait(c.id, same(Exit))
	if exit.Code != 7<<8 || exit.Process.Start != exec.Process.Start || exit.Process.Start != fork.Process.Start {
		t.Errorf("fork %+v and exit %+v", fork, exit)
	}
	if fork.Parent.PID != exec.Parent.PID || fork.Parent.Start != exec.Parent.Start {
		t.Errorf("the parents differ: %+v, %+v", fork.Parent, exec.Parent)
	}
}

// Names that are long, or deep, or no text, are told as far as there is room.
func TestEventsOfHostileNames(t *testing.T) {
	l := openLayer(t, nil)
	h := listen(t, l)
	c := watched(t, l, strict)
	deep := "/tmp" + strings.Repeat("/d", 50)
	long := "/tmp" + strings.Repeat("/"+strings.Repeat("n", 255), 12)
	odd := "/tmp/\x1b[31m\u00a0\n"
	for _, folder := range []string{deep, long, odd} {
		if err := os.MkdirAll(c.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
		name := c.put(folder + "/x")
		if got := c.run(name, strings.Repeat("a", 10_000)); got.Signal != unix.SIGKILL {
			t.Errorf("it ended with %+v", got)
		}
		e := h.wait(c.id, is(Killed))
		cut := strings.HasPrefix(e.Path, "…/")
		if cut && !strings.HasSuffix(name, e.Path[len("…"):]) || !cut && "/"+e.Path != name {
			t.Errorf("the path of %q is told as %q", name, e.Path)
		}
		if !e.Cut || len(e.Args) == 0 || len(e.Name) > 512 {
			t.Errorf("the event is %+v", e)
		}
		h.forget(c.id)
	}
}

// A process that comes from outside has a parent in another PID namespace.
func TestEnteredFromOutside(t *testing.T) {
	if _, err := os.Stat("/usr/bin/nsenter"); err != nil {
		t.Skip("needs nsenter")
	}
	l := openLayer(t, nil)
	h := listen(t, l)
	c := watched(t, l, Mode{Execs: true})
	enter(t, c, "--mount", "--pid")
	e := h.wait(c.id, func(e Event) bool { return e.Kind == Exec && e.Path == "bin/known" })
	if e.Process.PIDNS == e.Parent.PIDNS {
		t.Errorf("the parent is not outside: %+v", e)
	}
	for _, by := range []string{"--mount", "--pid"} {
		n := c.counters().Execs
		enter(t, c, by)
		if by == "--mount" && c.counters().Execs != n+1 {
			t.Errorf("what entered by %s was not seen", by)
		}
	}
}

func TestJoinPath(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"x\x00tmp\x00/\x00":          "tmp/x",
		"/\x00":                      "/",
		"memfd:x\x00":                "memfd:x",
		"c\x00b\x00a\x00":            "…/a/b/c",
		"with/slash\x00dir\x00/\x00": "dir/with/slash",
	} {
		if got := joinPath([]byte(in)); got != want {
			t.Errorf("joinPath(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add(make([]byte, eventSize))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		parseEvent(raw)
	})
}
