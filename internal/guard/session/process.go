package session

import (
	"path"
	"strings"
)

// Process is what is known of a process. Zero stands for what is not known.
type Process struct {
	PID int // as the node counts
	// Start is when it began, in ticks of 10 ms since the node was booted
	// (proc(5), field 22 of stat). It tells a process from an earlier one of its PID.
	Start    uint64
	Parent   int
	InnerPID int // in its own PID namespace
	// Subject is that of its control group; 0 where it is in none that is known.
	Subject uint64
	// PIDNamespace and MountNamespace are its namespaces' inodes.
	PIDNamespace, MountNamespace uint64
	UID                          int
	Path                         string // of its program
	Comm                         string // its name, as in /proc/PID/comm
	// Command is not redacted; Cut says that it is but the beginning.
	Command []string
	Cut     bool
	TTY     string // "pts/0"; "" for none
	SID     int    // leader of its session, in the kernel's sense
	// Peer is the address and port at the other end of its connection, for a
	// process of a door; "" for none.
	Peer string
}

// Looker tells of processes as they are now.
type Looker interface {
	// Look returns a process; false where there is none of this PID.
	Look(pid int) (Process, bool)
}

// program returns the name of what a process runs. For a binary that is many
// programs it is the one that was called.
func (p *Process) program() string {
	name := strings.TrimSuffix(path.Base(p.Path), " (deleted)")
	if name == "." || name == "/" {
		name = p.Comm
	}
	switch name {
	case "busybox", "toybox", "dropbearmulti", "coreutils":
		called := p.Command
		if len(called) > 1 && strings.TrimPrefix(path.Base(called[0]), "-") == name {
			called = called[1:] // "busybox telnetd"
		}
		if len(called) > 0 {
			return strings.TrimPrefix(path.Base(called[0]), "-")
		}
	}
	return name
}

// runtime reports whether the process is a container runtime, or its shim.
func (p *Process) runtime() bool {
	name := p.program()
	switch name {
	case "runc", "crun", "youki", "runsc", "docker-runc", "conmon", "conmonrs", "exe":
		// Of runc's copy of itself, which is mounted nowhere, the path is that of a root.
		return name != "exe" || strings.HasPrefix(p.Comm, "runc") || p.Path == "/"
	}
	// runc runs as a copy of itself in memory, and its first process has a name of its own.
	return p.shim() || strings.Contains(p.Path, "runc_cloned") || strings.HasPrefix(p.Comm, "runc:[")
}

// shim reports whether the process stays with a container: it is the parent of
// whatever in it has lost its own, where the container has no PID namespace.
func (p *Process) shim() bool {
	name := p.program()
	return strings.HasPrefix(name, "containerd-shim") || strings.HasPrefix(name, "conmon") || strings.HasPrefix(p.Comm, "containerd-shim")
}
