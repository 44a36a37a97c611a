package bpf

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// Event is one thing that the kernel saw in a subject. Every string in it was
// written by whoever ran it: escape it where it is shown.
type Event struct {
	Subject uint64
	At      time.Duration // since the machine started, its sleep included
	Kind    Kind
	// Verdict is what was done, Why for what reason, and Part about which file: that
	// of File and Path.
	Verdict Verdict
	Why     Why
	Part    Part
	File    Stamp
	// Path is that in the file's own file system, from its root on, without a
	// leading slash: in an overlay as the container sees it, on a volume below its
	// mount point. It starts with "…/" where it was too long. Empty for none.
	Path    string
	Name    string        // what exec was given: for a descriptor "/dev/fd/N"
	Args    []string      // the program's arguments, the first 4 kB
	Cut     bool          // there were more arguments
	Address uint64        // where it is mapped, see Open
	Code    int           // the wait status of an Exit
	Process Process       // who did it; for a Fork, the new process
	Parent  ParentProcess // who made that
}

// Open opens the file that the event is about, by its mapping in the process: it is
// certainly that one, whatever the path leads to by now. The process must be held, or
// may have gone on. What is judged by its content must have the stamp of File before
// it was read and after; only then is File to be verified.
func (e Event) Open() (*os.File, error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", e.Process.PID))
	if err != nil {
		return nil, fmt.Errorf("looking for a mapped file: %w", err)
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		area, _, _ := strings.Cut(lines.Text(), " ")
		var start, end uint64
		if _, err := fmt.Sscanf(area, "%x-%x", &start, &end); err != nil {
			return nil, fmt.Errorf("reading the mappings of process %d: %w", e.Process.PID, err)
		}
		if start <= e.Address && e.Address < end {
			name := fmt.Sprintf("/proc/%d/map_files/%x-%x", e.Process.PID, start, end)
			f, err := os.Open(name)
			if err != nil {
				return nil, fmt.Errorf("opening a mapped file: %w", err)
			}
			return f, nil
		}
	}
	return nil, fmt.Errorf("process %d has nothing mapped at %#x: %w", e.Process.PID, e.Address, os.ErrNotExist)
}

// Process is one, as the host counts. Start tells it from another that had its PID.
type Process struct {
	PID, TID int
	InnerPID int           // in its own PID namespace
	Start    time.Duration // since the machine started
	UID      int
	MountNS  uint32 // inode numbers of its namespaces
	PIDNS    uint32
	Session  int    // the PID of its session's leader
	TTY      string // its terminal, as "pts0"; empty for none
	Comm     string
}

// ParentProcess is what is known of a process' parent.
type ParentProcess struct {
	PID   int
	Start time.Duration
	PIDNS uint32
}

// Kind is what an Event is about.
type Kind uint8

// The kinds.
const (
	Exec    Kind = iota + 1 // a program was executed
	Fork                    // a process was made
	Exit                    // a process ended
	Mapping                 // a file was mapped to be executed
)

func (k Kind) String() string { return name("kind", int(k), "", "exec", "fork", "exit", "mapping") }

// Verdict is what was done about what an Event tells.
type Verdict uint8

// The verdicts. Held waits for SIGCONT or SIGKILL from the agent. LetRun should
// have been held, but nobody beat; Unstopped could not be stopped, as PID 1 of the
// host cannot.
const (
	Fine Verdict = iota
	Reported
	Held
	Killed
	LetRun
	Unstopped
)

func (v Verdict) String() string {
	return name("verdict", int(v), "fine", "reported", "held", "killed", "let run", "unstopped")
}

// Why is the reason of a verdict.
type Why uint8

// The reasons.
const (
	IsVerified Why = iota
	Unverified     // this state of the file has not been verified
	Nameless       // the file has no name any more, or never had one
	Written        // the file is verified, but somebody has it open for writing
	Odd            // what is mapped is not what was executed, or the first instruction lies in no file
	Busy           // the kernel could not look, another thread held the lock
	Foreign        // the file lies on FUSE, whose server can change it unseen
	Continued      // it was held, and somebody else than the guard let it go on
)

func (w Why) String() string {
	return name("reason", int(w), "verified", "unverified", "nameless", "written", "odd", "busy", "foreign", "continued")
}

// Part is the file of a process that an Event is about.
type Part uint8

// The parts.
const (
	Program Part = iota
	Loader       // the ELF interpreter
	Library      // anything mapped later
)

func (p Part) String() string { return name("part", int(p), "program", "loader", "library") }

const (
	eventSize = int(unsafe.Sizeof(kernelEvent{}))
	argsLimit = 4096
	pathLimit = 1024 - 256 // a path that is longer may have been cut
	pathDepth = 32
)

var errShortEvent = errors.New("an event is shorter than it says")

// parseEvent reads what the programs put into the ring.
func parseEvent(raw []byte) (Event, error) {
	var k kernelEvent
	if len(raw) < eventSize {
		return Event{}, errShortEvent
	}
	if _, err := binary.Decode(raw, binary.NativeEndian, &k); err != nil {
		return Event{}, fmt.Errorf("reading an event: %w", err)
	}
	data := raw[eventSize:]
	path, name := int(k.Path), int(k.Path)+int(k.Name)
	args := name + int(k.Args)
	if args > len(data) {
		return Event{}, errShortEvent
	}
	e := Event{
		Subject: k.Subject,
		At:      time.Duration(k.At),
		Kind:    Kind(k.Kind),
		Verdict: Verdict(k.Verdict),
		Why:     Why(k.Why),
		Part:    Part(k.Part),
		File:    stampOf(k.File),
		Path:    joinPath(data[:path]),
		Name:    string(bytes.TrimRight(data[path:name], "\x00")),
		Address: k.Address,
		Code:    int(k.Code),
		Cut:     k.Args == argsLimit,
		Process: Process{
			PID: int(k.Pid), TID: int(k.Tid), InnerPID: int(k.InnerPid), Start: time.Duration(k.Start), UID: int(k.Uid),
			MountNS: k.MountNs, PIDNS: k.PidNs, Session: int(k.Session), TTY: text(k.Tty[:]), Comm: text(k.Comm[:]),
		},
		Parent: ParentProcess{PID: int(k.Parent), Start: time.Duration(k.ParentStart), PIDNS: k.ParentPidNs},
	}
	if k.Args > 0 {
		e.Args = strings.Split(strings.TrimSuffix(string(data[name:args]), "\x00"), "\x00")
	}
	return e, nil
}

// joinPath turns names, the deepest first, into a path.
func joinPath(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	names := strings.Split(string(data[:len(data)-1]), "\x00")
	slices.Reverse(names)
	if names[0] == "/" || len(names) == 1 {
		return strings.Join(names[len(names)-max(len(names)-1, 1):], "/")
	}
	return "…/" + strings.Join(names, "/")
}

// text reads a string that ends with a zero byte, or with its room.
func text(s []int8) string {
	b := make([]byte, 0, len(s))
	for _, c := range s {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
