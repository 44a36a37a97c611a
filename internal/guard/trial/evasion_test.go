package trial

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

// layer says what stops an evasion where it is the only layer.
type layer int

const (
	neither  layer = 0
	fanotify layer = 1
	bpfLayer layer = 2
	either         = fanotify | bpfLayer
)

// evasion is a way to run what is not in the image. DIR in it is a folder of its own
// in the box.
type evasion struct {
	name string
	// deeds are done in order; the last one runs it.
	deeds [][]string
	env   []string // of the last
	// stopped says which layers stop it, each alone; both together stop what one of
	// them does.
	stopped layer
	kind    touchstone.ExecutionKind
	path    string // the end of that which is told
	// output is what it prints when it runs; empty where it ends with ranUnknown.
	output string
	// unhashed is true where what is told has no hash: it has no bytes to be read, or
	// its size alone tells.
	unhashed bool
	// late is true where fanotify alone learns of a mount after it was made, so that what
	// runs at once gets by.
	late bool
	// loose is true where fanotify may or may not be asked, as the kernel opens a file
	// below, and tells of that one.
	loose bool
	// unjudged is true where nobody could tell in time, so that another rule stops it.
	unjudged bool
}

const (
	ld      = "/lib/ld-musl-x86_64.so.1"
	program = touchstone.ExecuteProgram
	script  = touchstone.ExecuteScript
	library = touchstone.ExecuteLibrary
	memory  = touchstone.ExecuteMemory
)

// drop writes a program that is not in the image.
func drop(path string) []string { return []string{"/actor", "tiny", path, "83"} }

// evasions are those of RUNTIME.md, numbered as there, and others. What is left open
// by both layers stands here as well, with neither.
var evasions = []evasion{
	{name: "1 dropped", deeds: [][]string{drop("DIR/x"), {"DIR/x"}}, stopped: either, kind: program, path: "DIR/x"},
	{name: "1 descriptor", deeds: [][]string{drop("DIR/x"), {"/actor", "fd", "DIR/x"}}, stopped: either, kind: program, path: "DIR/x"},
	{name: "1 path descriptor", deeds: [][]string{drop("DIR/x"), {"/actor", "path", "DIR/x"}}, stopped: either, kind: program, path: "DIR/x"},
	{name: "1 by a link", deeds: [][]string{drop("DIR/x"), {"/bin/ln", "-s", "DIR/x", "DIR/known"}, {"DIR/known"}}, stopped: either, kind: program, path: "DIR/x"},
	{name: "1 by proc", deeds: [][]string{drop("DIR/x"), {"/proc/1/root/DIR/x"}}, stopped: either, kind: program, path: "DIR/x"},
	{name: "1 over a file of the image", deeds: [][]string{drop("/usr/bin/getent"), {"/usr/bin/getent"}}, stopped: either, kind: program, path: "usr/bin/getent"},
	{name: "1 renamed", deeds: [][]string{drop("DIR/x"), {"/bin/mv", "DIR/x", "DIR/y"}, {"DIR/y"}}, stopped: either, kind: program, path: "DIR/y"},
	{name: "1 another user", deeds: [][]string{drop("DIR/x"), {"/actor", "as", "1000", "DIR/x"}}, stopped: either, kind: program, path: "DIR/x"},
	{name: "3 memory file system", deeds: [][]string{drop("/shm/x"), {"/shm/x"}}, stopped: either, kind: program, path: "shm/x"},
	{name: "3 bind volume", deeds: [][]string{drop("/volume/x"), {"/volume/x"}}, stopped: either, kind: program, path: "volume/x"},
	{name: "3 memory mounted later", deeds: [][]string{{"/actor", "tmpfs", "DIR/t"}, drop("DIR/t/x"), {"DIR/t/x"}}, stopped: either, late: true, kind: program, path: "DIR/t/x"},
	{
		name: "3 nested overlay", deeds: [][]string{{"/actor", "overlay", "/etc", "DIR/o"}, drop("DIR/o/merged/x"), {"DIR/o/merged/x"}},
		stopped: bpfLayer, loose: true, kind: program, path: "/x", // fanotify would wait for itself
	},
	{
		name: "3 nested overlay's lower layer", deeds: [][]string{drop("DIR/l/x"), {"/actor", "overlay", "DIR/l", "DIR/o"}, {"DIR/o/merged/x"}},
		stopped: either, late: true, kind: program, path: "x", // fanotify tells it as it lies in the lower layer
	},
	{name: "4 memfd", deeds: [][]string{drop("DIR/x"), {"/actor", "memfd", "DIR/x"}}, stopped: bpfLayer, kind: memory, path: "", unhashed: true},
	{name: "4 memfd of the image's content", deeds: [][]string{{"/actor", "memfd", "/bin/known"}}, stopped: bpfLayer, kind: memory, path: "", unhashed: true},
	{name: "5 unlinked", deeds: [][]string{drop("DIR/x"), {"/actor", "unlinked", "DIR/x"}}, stopped: either, kind: memory, path: "", unhashed: true},
	{
		name: "6 folder bound elsewhere", deeds: [][]string{drop("DIR/a/x"), {"/actor", "bind", "DIR/a", "DIR/b"}, {"DIR/b/x"}},
		stopped: either, kind: program, path: "/x",
	},
	{
		name: "7 the loader is given a program", deeds: [][]string{{"/actor", "copy", "/bin/busybox", "DIR/x", "more"}, {ld, "DIR/x", "echo", "it ran"}},
		stopped: either, kind: library, path: "DIR/x", output: "applet not found", unhashed: true,
	},
	{
		name: "7 preloaded", deeds: [][]string{{"/actor", "copy", "/lib/libz.so.1", "DIR/x.so", "more"}, {"/bin/cat", "/proc/self/maps"}}, env: []string{"LD_PRELOAD=DIR/x.so"},
		stopped: either, kind: library, path: "DIR/x.so", output: "DIR/x.so", unhashed: true,
	},
	{name: "7 mapped", deeds: [][]string{drop("DIR/x"), {"/actor", "map", "DIR/x"}}, stopped: bpfLayer, kind: library, path: "DIR/x"},
	{name: "7 made executable", deeds: [][]string{drop("DIR/x"), {"/actor", "protect", "DIR/x"}}, stopped: bpfLayer, kind: library, path: "DIR/x"},
	{
		name: "7 found by its folder", deeds: [][]string{{"/actor", "copy", "/lib/libz.so.1", "DIR/libz.so.1", "more"}, {"/sbin/apk", "--version"}}, env: []string{"LD_LIBRARY_PATH=DIR"},
		stopped: either, kind: library, path: "DIR/libz.so.1", output: "apk-tools", unhashed: true,
	},
	{
		name: "8 script", deeds: [][]string{{"/actor", "write", "DIR/x", "755", "#!/bin/sh\necho it ran\n"}, {"DIR/x"}},
		stopped: fanotify, kind: script, path: "DIR/x", output: "it ran", unhashed: true,
	},
	{
		name: "8 script with an interpreter of its own", deeds: [][]string{{"/actor", "write", "DIR/s", "755", "#!DIR/x\n"}, drop("DIR/x"), {"DIR/s"}},
		stopped: either, kind: "", path: "", unhashed: true,
	},
	{
		name: "9 interpreter is given a script", deeds: [][]string{{"/actor", "write", "DIR/x.sh", "644", "echo it ran\n"}, {"/bin/sh", "DIR/x.sh"}},
		stopped: fanotify, kind: script, path: "DIR/x.sh", output: "it ran", unhashed: true,
	},
	{
		name: "9 interpreter's own folder", deeds: [][]string{{"/actor", "write", "/volume/x.sh", "644", "echo it ran\n"}, {"/bin/busybox", "ash", "/volume/x.sh"}},
		stopped: fanotify, kind: script, path: "volume/x.sh", output: "it ran", unhashed: true,
	},
	{
		name: "9 script that is read by a command", deeds: [][]string{{"/actor", "write", "DIR/x.sh", "644", "echo it ran\n"}, {"/bin/sh", "-c", ". DIR/x.sh"}},
		stopped: neither, output: "it ran",
	},
	{
		name: "9 script through a pipe", deeds: [][]string{{"/actor", "write", "DIR/x.sh", "644", "echo it ran\n"}, {"/bin/sh", "-c", "cat DIR/x.sh | sh"}},
		stopped: neither, output: "it ran",
	},
	{
		name: "10 mapped and written to after it was verified", deeds: [][]string{{"/actor", "copy", "/bin/known", "DIR/x"}, {"DIR/x"}, {"/actor", "patch", "DIR/x", "83"}, {"DIR/x"}},
		stopped: either, kind: program, path: "DIR/x",
	},
	{
		name: "10 in memory", deeds: [][]string{{"/actor", "copy", "/bin/known", "/shm/k"}, {"/shm/k"}, {"/actor", "patch", "/shm/k", "83"}, {"/shm/k"}},
		stopped: either, kind: program, path: "shm/k",
	},
	{
		name: "11 another loader", deeds: [][]string{
			{"/actor", "copy", "/bin/busybox", "DIR/r/bin/busybox"}, {"/actor", "copy", ld, "DIR/r" + ld, "more"}, {"/actor", "chroot", "DIR/r", "/bin/busybox", "echo", "it ran"},
		},
		stopped: either, kind: "", path: "ld-musl-x86_64.so.1", output: "it ran", unhashed: true,
	},
	{name: "12 nested namespaces", deeds: [][]string{drop("DIR/x"), {"/actor", "unshare", "DIR/x"}}, stopped: either, kind: program, path: "DIR/x"},
	{name: "13 written to while it is judged", deeds: [][]string{{"/actor", "race", "DIR/x", "1500ms"}}, stopped: either, kind: program, path: "DIR/x", unhashed: true, unjudged: true},
}

// Every evasion runs without the guard, and is stopped by the layers that it says:
// by each alone, and by both. What is stopped is told, and what is.
func TestEvasions(t *testing.T) {
	for _, mode := range []struct {
		name    string
		without []string // nil for no guard
		layers  layer
	}{
		{"no guard", nil, neither},
		{"fanotify", []string{"bpf"}, fanotify},
		{"bpf", []string{"fanotify"}, bpfLayer},
		{"both", []string{}, either},
	} {
		t.Run(mode.name, func(t *testing.T) {
			b := newBox(t)
			var g *guarded
			if mode.without != nil {
				g = startGuard(t, "rules:\n  run-unknown: {others: allow, prod: block}\n  run-unjudged: {others: block}\n", without(mode.without...))
				g.watches(b, touchstone.EffectBlock)
			}
			for i, e := range evasions {
				t.Run(e.name, func(t *testing.T) {
					ran := e.in(fmt.Sprintf("/tmp/%d", i)).try(t, b)
					if ran && e.late && mode.layers == fanotify {
						last := e.in(fmt.Sprintf("/tmp/%d", i)).deeds
						within(t, 5*time.Second, "the mount is watched", func() bool { return b.do(last[len(last)-1]...).Code != ranUnknown })
						ran = false
					}
					if want := e.stopped&mode.layers == 0; ran != want && (!e.loose || mode.layers != fanotify) {
						t.Errorf("it ran: %t, want %t", ran, want)
					}
					if g != nil && !ran {
						e.in(fmt.Sprintf("/tmp/%d", i)).told(t, g, b)
					}
				})
			}
		})
	}
}

// in is the evasion with its folder.
func (e evasion) in(dir string) evasion {
	deeds := make([][]string, len(e.deeds))
	for i, deed := range e.deeds {
		for _, word := range deed {
			deeds[i] = append(deeds[i], strings.ReplaceAll(word, "DIR", dir))
		}
	}
	e.deeds = deeds
	e.path, e.output = strings.ReplaceAll(e.path, "DIR", dir), strings.ReplaceAll(e.output, "DIR", dir)
	e.env = append([]string(nil), e.env...)
	for i := range e.env {
		e.env[i] = strings.ReplaceAll(e.env[i], "DIR", dir)
	}
	return e
}

// try does it, and reports whether it ran.
func (e evasion) try(t *testing.T, b *box) bool {
	t.Helper()
	for i, deed := range e.deeds {
		if i == len(e.deeds)-1 {
			break
		}
		if o := b.do(deed...); o.Code != 0 && o.Code != knownRan {
			t.Fatalf("%s: %s", strings.Join(deed, " "), o)
		}
	}
	o := b.order(order{Args: e.deeds[len(e.deeds)-1], Env: e.env})
	t.Log(o)
	if o.Err != "" && !strings.Contains(o.Err, "operation not permitted") {
		t.Errorf("%s", o)
	}
	if e.output != "" {
		return strings.Contains(o.Output, e.output)
	}
	return o.Code == ranUnknown || e.kind == memory && o.Code == knownRan
}

// knownRan is the status of the image's own small program.
const knownRan = 42

// told waits until it was told, and looks at what was.
func (e evasion) told(t *testing.T, g *guarded, b *box) {
	t.Helper()
	g.t = t
	event := g.awaitFor(5*time.Second, e.name, func(x *touchstone.RuntimeEvent) bool {
		return ofRun(b, strings.TrimPrefix(e.path, "/"))(x) && (e.kind == "" || x.Execution.Kind == e.kind)
	})
	x := event.Execution
	switch {
	case e.unjudged:
	case x.Unjudged != "":
		t.Errorf("unjudged: %s", x.Unjudged)
	case !e.unhashed && !x.SHA256.Valid():
		t.Errorf("it was told without a hash: %+v", x)
	case event.Process == nil || event.Process.PID < 2 || event.Process.Path == "":
		t.Errorf("it was told without a process: %+v", event.Process)
	case event.Action != touchstone.EffectBlock || event.Reason.Rule != touchstone.RuleRunUnknown:
		t.Errorf("it was told with %s by %q", event.Action, event.Reason.Rule)
	case !has(event.Steps, touchstone.DeedDenied, "fanotify") && !has(event.Steps, touchstone.DeedKilled, "bpf"):
		t.Errorf("it was told with the steps %+v", event.Steps)
	}
}
