package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// Process is one process of the node. A process id alone may soon stand for
// another process.
type Process struct {
	PID int
	// Start is when it began, in ticks of 10 ms since the node was booted
	// (proc(5), field 22 of stat).
	Start uint64
}

// Namespaces are those of a process, by the inode of each (namespaces(7)).
type Namespaces struct {
	PID, Mount, Network, IPC, User, Cgroup uint64
}

// Exec is a process that the runtime has started in a container besides the
// first one.
type Exec struct {
	ID      string // the runtime's
	Process Process
	// Terminal tells whether it has one; known for what an event told of.
	Terminal bool
	// Command is what /proc says that it runs, not redacted; empty where it was
	// over before it could be read. containerd does not give it out.
	Command []string
}

// Processes returns the processes of a container: of those that the runtime has
// started by exec, with their id. What they have started themselves is among
// them. ErrGone where the container does not run.
func (r *Runtime) Processes(ctx context.Context, c *Container) ([]Exec, error) {
	doing := "listing the processes of container " + c.ID
	if c.Init.PID != 0 && !r.alive(c.Init) {
		return nil, fmt.Errorf("%s: %w", doing, ErrGone)
	}
	ctx, cancel := r.in(ctx, c.Namespace)
	defer cancel()
	resp, err := r.tasks.ListPids(ctx, &tasksapi.ListPidsRequest{ContainerID: c.ID})
	if err != nil {
		return nil, explain(doing, err)
	}
	var out []Exec
	for _, p := range resp.GetProcesses() {
		process, err := r.process(int(p.GetPid()))
		if err != nil {
			continue // it has ended
		}
		e := Exec{Process: process, Command: r.commandOf(process.PID)}
		if info := p.GetInfo(); strings.HasSuffix(info.GetTypeUrl(), "ProcessDetails") {
			var details runcoptions.ProcessDetails
			if proto.Unmarshal(info.GetValue(), &details) == nil {
				e.ID = clip(details.GetExecID(), maxName)
			}
		}
		out = append(out, e)
	}
	if c.Init.PID != 0 && !r.alive(c.Init) { // they may be another container's
		return nil, fmt.Errorf("%s: %w", doing, ErrGone)
	}
	return out, nil
}

// execOf describes one process that the runtime has started.
func (r *Runtime) execOf(ctx context.Context, c *Container, id string, pid int) Exec {
	e := Exec{ID: clip(id, maxName), Process: Process{PID: pid}}
	if p, err := r.process(pid); err == nil {
		e.Process, e.Command = p, r.commandOf(pid)
	}
	ctx, cancel := r.in(ctx, c.Namespace)
	defer cancel()
	if resp, err := r.tasks.Get(ctx, &tasksapi.GetRequest{ContainerID: c.ID, ExecID: id}); err == nil {
		e.Terminal = resp.GetProcess().GetTerminal()
	}
	return e
}

// process returns the process that has the id now.
func (r *Runtime) process(pid int) (Process, error) {
	if pid <= 0 {
		return Process{}, os.ErrNotExist
	}
	stat, err := r.readProc(pid, "stat", 1024)
	if err != nil {
		return Process{}, err
	}
	fields, err := statFields(stat)
	if err != nil {
		return Process{}, fmt.Errorf("reading of process %d: %w", pid, err)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return Process{}, fmt.Errorf("reading of process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: start}, nil
}

// statFields returns the fields of /proc/PID/stat from the third on, the state.
// The name before them may hold anything, brackets and blanks included.
func statFields(stat []byte) ([]string, error) {
	i := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[i+1:]))
	if i < 0 || len(fields) < 20 {
		return nil, errors.New("stat is not as proc(5) says")
	}
	return fields, nil
}

// alive reports whether the process is there and has not ended. A zombie has.
func (r *Runtime) alive(p Process) bool {
	stat, err := r.readProc(p.PID, "stat", 1024)
	if err != nil {
		return false
	}
	fields, err := statFields(stat)
	return err == nil && fields[19] == strconv.FormatUint(p.Start, 10) && fields[0] != "Z" && fields[0] != "X"
}

func (r *Runtime) procPath(pid int, name string) string {
	return filepath.Join(r.c.Proc, strconv.Itoa(pid), name)
}

// readProc reads at most limit bytes.
func (r *Runtime) readProc(pid int, name string, limit int64) ([]byte, error) {
	f, err := os.Open(r.procPath(pid, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// startedAt returns the moment by the guard's clock.
func (r *Runtime) startedAt(p Process) time.Time {
	var boot unix.Timespec
	if p.Start == 0 || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return time.Time{}
	}
	age := time.Duration(boot.Nano()) - time.Duration(p.Start)*(10*time.Millisecond)
	return r.c.Now().Add(-age)
}

func (r *Runtime) namespacesOf(pid int) Namespaces {
	inode := func(name string) uint64 {
		link, err := os.Readlink(r.procPath(pid, "ns/"+name)) // "pid:[4026531836]"
		if err != nil {
			return 0
		}
		_, number, _ := strings.Cut(strings.TrimSuffix(link, "]"), "[")
		n, _ := strconv.ParseUint(number, 10, 64)
		return n
	}
	return Namespaces{PID: inode("pid"), Mount: inode("mnt"), Network: inode("net"), IPC: inode("ipc"), User: inode("user"), Cgroup: inode("cgroup")}
}

// hostNamespaces returns the node's own, as far as they can be known: a first
// process that does not let itself be looked at leaves those whose number the
// kernel fixes (include/linux/proc_ns.h).
func (r *Runtime) hostNamespaces() Namespaces {
	n := r.namespacesOf(1)
	if n.PID == 0 {
		n = Namespaces{IPC: 0xEFFFFFFF, User: 0xEFFFFFFD, PID: 0xEFFFFFFC, Cgroup: 0xEFFFFFFB}
	}
	return n
}

// lone reports whether the process is the first of a PID namespace.
func (r *Runtime) lone(pid int) bool {
	text, err := r.readProc(pid, "status", 16<<10)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(numbers)
			return len(fields) > 1 && fields[len(fields)-1] == "1"
		}
	}
	return false
}

// commandOf returns the command of a process; none while it is the runtime's own, on
// its way to become what that was told to start.
func (r *Runtime) commandOf(pid int) []string {
	name, err := r.readProc(pid, "comm", 64) // first, for it may become the other meanwhile
	if err != nil || entering(strings.TrimSpace(string(name))) {
		return nil
	}
	line, err := r.readProc(pid, "cmdline", maxWord*4)
	if err != nil || len(line) == 0 {
		return nil
	}
	words, _ := keptWords(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"))
	return words
}

// entering reports whether a process of this name (proc_pid_comm(5)) is a runtime's
// before it has executed anything in the container: runc's first process goes through
// "runc:[1:CHILD]" and "runc:[2:INIT]", others keep their own name.
func entering(comm string) bool {
	return strings.HasPrefix(comm, "runc:[") || comm == "crun" || comm == "youki"
}

// cgroupOf returns the control group of a process that must lie in the one that
// the spec names, and whether it does. A spec that names none is satisfied by any
// but the root.
func (r *Runtime) cgroupOf(pid int, named string) (group string, inside bool) {
	text, err := r.readProc(pid, "cgroup", 64<<10)
	if err != nil {
		return "", false
	}
	last := lastOfGroup(named)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[2] == "/" {
			continue
		}
		if last == "" {
			return clip(parts[2], maxPath), true
		}
		// What runs inside may have moved into a group below.
		if i := strings.Index(parts[2]+"/", "/"+last+"/"); i >= 0 {
			return clip(path.Clean(parts[2][:i+1+len(last)]), maxPath), true
		}
	}
	return "", false
}

// lastOfGroup returns the last part of the path of a cgroup by the spec's
// "cgroupsPath": a path, or "slice:prefix:name" for systemd.
func lastOfGroup(named string) string {
	if slice, rest, ok := strings.Cut(named, ":"); ok && !strings.Contains(slice, "/") {
		prefix, name, _ := strings.Cut(rest, ":")
		switch {
		case name == "":
			return ""
		case strings.HasSuffix(name, ".slice"):
			return name
		case prefix == "":
			return name + ".scope"
		}
		return prefix + "-" + name + ".scope"
	}
	if base := path.Base(named); base != "." && base != "/" {
		return base
	}
	return ""
}
