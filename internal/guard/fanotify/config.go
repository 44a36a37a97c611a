//go:build linux

package fanotify

import (
	"errors"
	"log/slog"
	"runtime"
	"time"

	"touchstone.dev/touchstone"
)

// Config is what a Layer needs. Judge must be set.
type Config struct {
	Judge Judge
	// Written is told which files were closed after writing; nil where nobody wants
	// to know. It is called by one goroutine, which it may hold up: what happens
	// meanwhile is put together, and in the end "anything".
	Written func(Written)
	// Writer is told at once who has closed a file after writing, and how it was then;
	// nil where nobody wants to know. It must be quick. The process may have ended.
	Writer func(subject uint64, pid int, file Stamp)
	// Interpreter says which interpreter a program is, by one of the names of
	// Interpreters, or none. It is asked once for each program of a subject, by its
	// content where that is known. Nil: by the name of its file.
	Interpreter func(Program) string
	// After is told of each exec that was let through although the file may be
	// written to: the process, and what was judged. It is called as soon as the
	// process has been let go. It may be nil.
	After func(subject uint64, pid int, stamp Stamp)
	// Trouble is told of what the layer cannot do for a subject (0: for any), in a
	// sentence. It must not block. It may be nil.
	Trouble func(subject uint64, sentence string)

	// Bound is the time after which an event is answered by the subject's fail
	// setting: 2 s. It should exceed the hashing of the largest executable, at some
	// 400 MB a second.
	Bound time.Duration
	// Workers hash and ask the judge: one for each processor, but 2 at least and 4 at most.
	Workers int
	// Pending is how many events of one subject may wait; the next is answered by
	// the fail setting at once. Each holds a descriptor and a few hundred bytes. 1024.
	Pending int
	// Mounts is how many mounts of one mount namespace are looked at: 4096. Beyond
	// that it is a storm, and Trouble is told.
	Mounts int
	// Namespaces is how many mount namespaces of one subject are watched: 32.
	Namespaces int
	// Gather is how long writes are put together before Written is told: 100 ms.
	Gather time.Duration

	Now func() time.Time // time.Now
	Log *slog.Logger     // slog.Default()
}

var errNoJudge = errors.New("starting fanotify: there is no judge")

// complete returns the configuration with its defaults filled in.
func (c Config) complete() (Config, error) {
	if c.Judge == nil {
		return c, errNoJudge
	}
	set := func(to *int, value int) {
		if *to <= 0 {
			*to = value
		}
	}
	set(&c.Workers, min(max(runtime.NumCPU(), 2), 4))
	set(&c.Pending, 1024)
	set(&c.Mounts, 4096)
	set(&c.Namespaces, 32)
	if c.Bound <= 0 {
		c.Bound = 2 * time.Second
	}
	if c.Gather <= 0 {
		c.Gather = 100 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Interpreter == nil {
		c.Interpreter = func(p Program) string { return InterpreterNamed(p.Path) }
	}
	if c.Trouble == nil {
		c.Trouble = func(uint64, string) {}
	}
	return c, nil
}

// Subject is something whose execs are asked about: a container, or the host.
type Subject struct {
	// ID is the agent's, not 0, and never used again while the layer runs.
	ID uint64
	// PID is a process whose root and mount namespace are the subject's, as the
	// agent's own /proc counts: the first of a container, 1 for the host.
	PID int
	// FailClosed makes what cannot be judged in time denied instead of allowed.
	FailClosed bool
	// Opens makes opens asked about, which is how scripts given to interpreters and
	// preloaded libraries are seen. It costs each first open of a file some 30 µs.
	Opens bool
}

// Stamp tells one state of one file's content from another, as stat reports it.
type Stamp struct {
	Dev, Ino     uint64 // Dev as stat(2) has it (makedev)
	Size         int64
	Mtime, Ctime int64 // nanoseconds since 1970
}

// Access is something that is about to be executed, interpreted or preloaded.
type Access struct {
	Subject uint64
	// PID is the process that wants to, as the agent's /proc counts. It waits until
	// the answer; PIDFD refers to it (-1 where it could not be had) and is closed
	// once the judge has answered. Both may denote somebody else if the process was
	// killed meanwhile: Answer.After tells.
	PID, PIDFD int
	Kind       touchstone.ExecutionKind
	// Path is the file's in its own mount namespace, with " (deleted)" behind it as the
	// kernel does where it has no name; every byte of it is chosen by a stranger.
	Path string
	// File is the descriptor to read the file by, until the judge has answered.
	File  int
	Stamp Stamp
	Links uint32 // 0: the file has no name any more
	// Program is that of the interpreter for what one was given; empty for an exec.
	Program string
	SHA256  [32]byte // where Hashed
	Hashed  bool     // false: the size alone told, or it could not be read
	// Unjudged says why it could not be told whether the content is known; empty where
	// it is certain that it is not. To Unknown it says that somebody is writing.
	Unjudged string
	// Late: an answer had to be given before this was known (Unjudged was called),
	// and Allowed says which. The process may be running.
	Late, Allowed bool
}

// Answer is what is to be done about an Access.
type Answer struct {
	Deny bool // the act fails with EPERM
	// Known takes back what Has has said: the content is the subject's. Nothing is denied
	// then, and After not called.
	Known bool
	// After is called once the kernel has been told; delivered is false where nobody
	// waited any more: the process was killed, and its PID may be another's. It may
	// be nil.
	After func(delivered bool)
}

// Judge knows contents and rules. Its methods are called by several goroutines at
// once; they must not wait for a network, nor open files of subjects. What they hold
// up is answered by the fail setting.
type Judge interface {
	// HasSize reports whether any content of the subject has the size. Where none
	// has, nothing is hashed.
	HasSize(subject uint64, size int64) bool
	// Has reports whether a content is the subject's.
	Has(subject uint64, size int64, sha256 [32]byte) bool
	// Verified is told of a file whose content is the subject's, before it is let
	// run: once, and again when it has been forgotten meanwhile.
	Verified(subject uint64, stamp Stamp)
	// Unknown says what is to be done about content that is not the subject's, or that
	// somebody is writing while it is to be executed. If
	// the access is Late the answer comes to nothing, and After is not called.
	Unknown(*Access) Answer
	// Unjudged is told what was answered by the fail setting.
	Unjudged(*Access)
}

// Program is the program of a process that opens files.
type Program struct {
	Subject uint64
	Path    string // in its own mount namespace; chosen by a stranger
	Stamp   Stamp
	SHA256  [32]byte // where Hashed: it was seen to be executed
	Hashed  bool
}

// Written says which files of a subject were closed after they had been open for
// writing.
type Written struct {
	Subject uint64
	// Paths are as in Access, in no order; files that are gone are left out.
	Paths []string
	// Any: there were more than could be kept, or the kernel has lost some. Whatever
	// the subject can write to may have changed.
	Any bool
}
