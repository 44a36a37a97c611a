package bpf

import "fmt"

// Answer is what is done about what has not been verified.
type Answer uint8

// The answers, mild to hard.
const (
	Ignore Answer = iota
	Report        // tell, and let it run
	// Hold stops it (SIGSTOP) until the agent has judged it, and sends SIGCONT or
	// SIGKILL; the agent is the process that opened the Layer. When somebody else lets
	// it go on, it is killed (before Linux 6.13, that is told only). A process that is
	// traced is killed at once, and one that comes to be traced, if the Layer looks at
	// mappings. Its parent may see it stop: an interactive shell takes it for a stopped
	// job.
	Hold
	Kill // SIGKILL
)

func (a Answer) String() string { return name("answer", int(a), "ignore", "report", "hold", "kill") }

// Mode says how one subject is treated.
type Mode struct {
	// Unverified is for a program, or its ELF interpreter, whose state is not
	// verified; Nameless for one whose file has no name any more (unlinked) or never
	// had one (memfd); Mapping for a file that is mapped to be executed, if the
	// Layer looks at those.
	Unverified, Nameless, Mapping Answer
	// Implied is for a file that is mapped to be read only, where the process'
	// personality makes that executable: old programs map their data so.
	Implied Answer
	// Unjudged is for what the kernel could not look at, because another thread of
	// the process held the lock of its memory.
	Unjudged Answer
	// Closed says that, while nobody beats, what should be held is killed; else it
	// runs, and is reported as LetRun.
	Closed bool
	// TrustServers says that a file on FUSE can be verified, though its server can
	// change it without a trace in its stamp; else it is Foreign, and unverified.
	TrustServers bool
	// Execs, Forks and Exits say which events are wanted besides those about what
	// was not verified: of each program executed, process made, process ended.
	Execs, Forks, Exits bool
}

func (m Mode) toKernel() kernelSubject {
	return kernelSubject{
		Unverified: uint8(m.Unverified),
		Nameless:   uint8(m.Nameless),
		Mapping:    uint8(m.Mapping),
		Unjudged:   uint8(m.Unjudged),
		Implied:    uint8(m.Implied),
		Closed:     flag(m.Closed),
		Trusting:   flag(m.TrustServers),
		Execs:      flag(m.Execs),
		Forks:      flag(m.Forks),
		Exits:      flag(m.Exits),
	}
}

func modeOf(k kernelSubject) Mode {
	return Mode{
		Unverified:   Answer(k.Unverified),
		Nameless:     Answer(k.Nameless),
		Mapping:      Answer(k.Mapping),
		Unjudged:     Answer(k.Unjudged),
		Implied:      Answer(k.Implied),
		Closed:       k.Closed != 0,
		TrustServers: k.Trusting != 0,
		Execs:        k.Execs != 0,
		Forks:        k.Forks != 0,
		Exits:        k.Exits != 0,
	}
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// name returns the nth of names, for a String method.
func name(kind string, n int, names ...string) string {
	if n < len(names) {
		return names[n]
	}
	return fmt.Sprintf("%s %d", kind, n)
}
