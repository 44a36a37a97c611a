package session

import (
	"os"

	"touchstone.dev/touchstone/internal/inspect/secrets"
)

// Config says how a Tracker works. The zero value does, without a Looker less
// well: it then learns of a process from events alone.
type Config struct {
	// Host is the subject of the node itself; 0 where logins there are not asked for.
	Host uint64
	// HostPIDNamespace and HostMountNamespace are the node's own; 0 has them looked
	// up: those of process 1, or, where it does not let itself be looked at, the
	// kernel's first PID namespace and the guard's own mount namespace.
	HostPIDNamespace, HostMountNamespace uint64
	// Look tells of processes that no event told of; nil for nobody.
	Look Looker
	// Redact takes the secrets out of a command; nil means secrets.Command.
	Redact func([]string) []string
	// User returns the name of a user of a subject; nil, or "", where nobody knows.
	User func(subject uint64, uid int) string
	// Sessions is how many can be alive at a time, 0 means 4096; what is above is
	// counted, and its processes belong to the session around them, if any.
	Sessions int
	// Processes is how many are remembered, 0 means 65536, about 300 bytes each; one
	// subject has a quarter at most. What is above is counted, and forgotten.
	Processes int
	// Tree bounds Session.Tree; 0 means 128.
	Tree int
}

func (c Config) withDefaults() Config {
	if c.Look == nil {
		c.Look = nobody{}
	}
	if c.HostPIDNamespace == 0 && c.HostMountNamespace == 0 {
		host, _ := c.Look.Look(1)
		if host.PIDNamespace == 0 {
			host, _ = c.Look.Look(os.Getpid())
			host.PIDNamespace = firstPIDNamespace
		}
		c.HostPIDNamespace, c.HostMountNamespace = host.PIDNamespace, host.MountNamespace
	}
	if c.Redact == nil {
		c.Redact = secrets.Command
	}
	if c.User == nil {
		c.User = func(uint64, int) string { return "" }
	}
	if c.Sessions == 0 {
		c.Sessions = 4096
	}
	if c.Processes == 0 {
		c.Processes = 1 << 16
	}
	if c.Tree == 0 {
		c.Tree = 128
	}
	return c
}

// firstPIDNamespace is the inode of the PID namespace that the kernel itself makes
// (PROC_PID_INIT_INO in its include/linux/proc_ns.h).
const firstPIDNamespace = 0xEFFFFFFC

type nobody struct{}

func (nobody) Look(int) (Process, bool) { return Process{}, false }
