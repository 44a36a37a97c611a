package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/eintr"
)

// Proc is a Looker that reads procfs (proc(5)). Its fields may be left empty.
type Proc struct {
	// Root is where procfs of the node's PID namespace is mounted; "" means /proc.
	Root string
	// Subject returns that of a control group, given by its path below the root of its
	// hierarchy, "/kubepods/pod1/abc"; 0 where it is none's. It is asked for each
	// hierarchy that the process is in, until it knows one; nil knows none.
	Subject func(cgroup string) uint64
}

// Bounds of what is read of one process.
const (
	maxStat    = 1 << 10
	maxStatus  = 16 << 10
	maxCommand = 32 << 10
	maxCgroup  = 16 << 10
)

// Look implements Looker.
func (r Proc) Look(pid int) (Process, bool) {
	p, there, whole := r.look(pid)
	for tries := 0; there && !whole && tries < 3; tries++ { // one that changes its name all the time is there too
		p, there, whole = r.look(pid)
	}
	return p, there
}

// look reads a process once. It is not whole if the process has executed something
// meanwhile: half of it is then the runtime on its way, and half what that has become.
func (r Proc) look(pid int) (p Process, there, whole bool) {
	p = Process{PID: pid}
	if pid <= 0 || r.stat(&p) != nil {
		return Process{}, false, false
	}
	r.status(&p)
	p.Path, _ = os.Readlink(r.file(pid, "exe"))
	p.PIDNamespace, p.MountNamespace = r.namespace(pid, "pid"), r.namespace(pid, "mnt")
	p.Command = r.command(pid)
	if r.Subject != nil {
		p.Subject = r.subject(pid)
	}
	if door := doorOf(p.program()); door == touchstone.LoginSSH || door == touchstone.LoginTelnet {
		p.Peer = r.peer(pid)
	}
	again := Process{PID: pid}
	if r.stat(&again) != nil || again.Start != p.Start { // it has ended, and its PID may be another's
		return Process{}, false, false
	}
	path, _ := os.Readlink(r.file(pid, "exe"))
	return p, true, again.Comm == p.Comm && path == p.Path
}

// again is Look at a process that was read before: what cannot change without its
// program or its namespaces being others is taken over, and so is its user, which
// nobody is told apart by.
func (r Proc) again(before *Process) (Process, bool) {
	p := *before
	if r.stat(&p) != nil {
		return Process{}, false
	}
	path, _ := os.Readlink(r.file(p.PID, "exe"))
	if p.Start != before.Start || p.Comm != before.Comm || path != before.Path ||
		r.namespace(p.PID, "pid") != p.PIDNamespace || r.namespace(p.PID, "mnt") != p.MountNamespace {
		return r.Look(p.PID)
	}
	if p.Subject == 0 && r.Subject != nil { // its group may be known by now
		p.Subject = r.subject(p.PID)
	}
	if len(p.Command) == 0 || doorOf(p.program()) != "" { // it was not laid down yet; or says in its title what it does
		p.Command = r.command(p.PID)
	}
	return p, true
}

// All reads every process; of those that were there before, what can have changed
// since. What comes or goes meanwhile may be missing.
func (r Proc) All(now time.Time, before Snapshot) (Snapshot, error) {
	known := make(map[int]*Process, len(before.Processes))
	for i := range before.Processes {
		known[before.Processes[i].PID] = &before.Processes[i]
	}
	s := Snapshot{At: now}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return s, fmt.Errorf("reading the time since the node was booted: %w", err)
	}
	s.Began = uint64(time.Duration(boot.Nano()) / (10 * time.Millisecond))
	dir, err := os.Open(r.root())
	if err != nil {
		return s, fmt.Errorf("reading the processes of the node: %w", err)
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			look := r.Look
			if p := known[pid]; p != nil {
				look = func(int) (Process, bool) { return r.again(p) }
			}
			if p, ok := look(pid); ok {
				s.Processes = append(s.Processes, p)
			}
		}
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, fmt.Errorf("reading the processes of the node: %w", err)
		}
	}
}

// subject asks for each control group of a process: "4:memory:/kubepods/pod1".
func (r Proc) subject(pid int) uint64 {
	text, err := r.read(pid, "cgroup", maxCgroup)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 || parts[2] == "/" {
			continue
		}
		if id := r.Subject(parts[2]); id != 0 {
			return id
		}
	}
	return 0
}

func (r Proc) root() string {
	if r.Root == "" {
		return "/proc"
	}
	return r.Root
}

func (r Proc) file(pid int, name string) string {
	return filepath.Join(r.root(), strconv.Itoa(pid), name)
}

// read reads a file of procfs, up to a limit. The kernel writes each of these at once:
// what does not fill the room is the end.
func (r Proc) read(pid int, name string, limit int) ([]byte, error) {
	path := r.file(pid, name)
	fd, err := eintr.Retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	text := make([]byte, 0, min(limit, 2048))
	for {
		n, err := eintr.Retry(func() (int, error) { return unix.Read(fd, text[len(text):cap(text)]) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		text = text[:len(text)+n]
		if len(text) < cap(text) || len(text) >= limit {
			return text, nil
		}
		text = slices.Grow(text, min(len(text), limit-len(text)))
		text = text[:len(text):min(cap(text), limit)]
	}
}

// stat reads what /proc/PID/stat has: the name, which may hold anything, and
// numbers after it.
func (r Proc) stat(p *Process) error {
	text, err := r.read(p.PID, "stat", maxStat)
	if err != nil {
		return err
	}
	return parseStat(text, p)
}

func parseStat(text []byte, p *Process) error {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return errors.New("stat has no name")
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return errors.New("stat has too few fields")
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return errors.New("it has ended")
	}
	p.Comm = string(text[open+1 : end])
	p.Parent, _ = strconv.Atoi(fields[1])
	p.SID, _ = strconv.Atoi(fields[3])
	terminal, _ := strconv.ParseInt(fields[4], 10, 64)
	p.TTY = terminalName(uint64(uint32(terminal)))
	var err error
	p.Start, err = strconv.ParseUint(fields[19], 10, 64)
	return err
}

// terminalName names a terminal by its device number (Linux,
// Documentation/admin-guide/devices.txt).
func terminalName(device uint64) string {
	major, minor := unix.Major(device), unix.Minor(device)
	switch {
	case device == 0:
		return ""
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", (major-136)<<20|minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	case major == 4:
		return fmt.Sprintf("ttyS%d", minor-64)
	case major == 5 && minor == 1:
		return "console"
	case major == 229:
		return fmt.Sprintf("hvc%d", minor)
	}
	return fmt.Sprintf("%d:%d", major, minor)
}

// status reads what only /proc/PID/status has.
func (r Proc) status(p *Process) {
	text, err := r.read(p.PID, "status", maxStatus)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch name {
		case "Uid":
			p.UID, _ = strconv.Atoi(fields[0])
		case "NSpid":
			p.InnerPID, _ = strconv.Atoi(fields[len(fields)-1])
			return
		}
	}
}

// namespace returns a namespace's inode (namespaces(7)).
func (r Proc) namespace(pid int, name string) uint64 {
	link, err := os.Readlink(r.file(pid, "ns/"+name))
	if err != nil {
		return 0
	}
	_, number, _ := strings.Cut(strings.TrimSuffix(link, "]"), "[")
	inode, _ := strconv.ParseUint(number, 10, 64)
	return inode
}

// command returns the command line; none where it is longer than what is read.
// Programs that write a title there leave zero bytes behind it.
func (r Proc) command(pid int) []string {
	text, err := r.read(pid, "cmdline", maxCommand+1)
	if err != nil || len(text) == 0 || len(text) > maxCommand {
		return nil
	}
	trimmed := bytes.TrimRight(text, "\x00")
	words := strings.Split(string(trimmed), "\x00")
	// Empty words at the end are words; what a title leaves behind is not.
	if _, title := titleOf(words); !title {
		for range len(text) - len(trimmed) - 1 {
			words = append(words, "")
		}
	}
	return words
}
