package guard

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/secrets"
)

// process describes a process as it may be told; nil where it is gone.
func (g *Guard) process(pid int) *touchstone.Process {
	p := readProcess(pid)
	if p != nil {
		p.Command = secrets.Command(p.Command)
	}
	return p
}

// mostCommand is how much of a command line is looked at.
const mostCommand = 8 << 10

// readProcess reads /proc/PID (proc(5)). The command is not redacted.
func readProcess(pid int) *touchstone.Process {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	parent, ticks, ok := statOf(dir)
	if !ok {
		return nil
	}
	started := bootTime().Add(time.Duration(ticks) * tick)
	p := &touchstone.Process{PID: pid, Parent: parent, Started: started, UID: -1}
	if data, err := os.ReadFile(dir + "/status"); err == nil {
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
				if f := strings.Fields(rest); len(f) > 0 {
					p.UID, _ = strconv.Atoi(f[0])
				}
				break
			}
		}
	}
	p.Path, _ = os.Readlink(dir + "/exe")
	if f, err := os.Open(dir + "/cmdline"); err == nil {
		buffer := make([]byte, mostCommand)
		n, _ := f.Read(buffer)
		_ = f.Close()
		if words := strings.TrimRight(string(buffer[:n]), "\x00"); words != "" {
			p.Command = strings.Split(words, "\x00")
		}
	}
	return p
}

// statOf reads the parent and the start of a process, in ticks since the machine was
// started, out of /proc/PID/stat. Its second field is in brackets and may hold
// anything.
func statOf(dir string) (parent int, ticks int64, ok bool) {
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, 0, false
	}
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, 0, false
	}
	f := strings.Fields(string(data[end+1:]))
	const parentAt, startAt = 1, 19 // counted from the third field
	if len(f) <= startAt {
		return 0, 0, false
	}
	parent, _ = strconv.Atoi(f[parentAt])
	ticks, err = strconv.ParseInt(f[startAt], 10, 64)
	return parent, ticks, err == nil
}

// stopped reports whether a process was stopped by a signal.
func stopped(pid int) bool { return stateOf(pid) == 'T' }

// ended reports whether nothing is left of a process but what its parent has to ask
// for, or not even that.
func ended(pid int) bool {
	s := stateOf(pid)
	return s == 0 || s == 'Z' || s == 'X'
}

// stateOf is the letter of a process's state (proc_pid_stat(5)); 0 where it is gone.
func stateOf(pid int) byte {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	end := bytes.LastIndexByte(data, ')')
	if err != nil || end < 0 || len(data) < end+3 {
		return 0
	}
	return data[end+2]
}

// tick is 1/USER_HZ, which is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// startTicks is when a process began, in ticks since the machine was started.
func startTicks(pid int) (int64, bool) {
	_, ticks, ok := statOf(filepath.Join("/proc", strconv.Itoa(pid)))
	return ticks, ok
}

// ticksOf turns a time since the machine was started into ticks, as the kernel does.
func ticksOf(d time.Duration) int64 { return int64(d / tick) }

// bootTime is when the machine was started, by the clock that it has now. It is read
// each time: somebody may set the clock.
func bootTime() time.Time {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}
	}
	for line := range strings.Lines(string(data)) {
		var seconds int64
		if _, err := fmt.Sscanf(line, "btime %d", &seconds); err == nil {
			return time.Unix(seconds, 0)
		}
	}
	return time.Time{}
}

// mostAncestors bounds how far up a process tree is told.
const mostAncestors = 16

// ancestors are the processes above one, the nearest first, up to the first of its
// container or of the machine.
func (g *Guard) ancestors(p *touchstone.Process) []touchstone.Process {
	var out []touchstone.Process
	for parent := p.Parent; parent > 1 && len(out) < mostAncestors; {
		above := g.process(parent)
		if above == nil {
			break
		}
		out = append(out, *above)
		parent = above.Parent
	}
	return out
}

// processes are those in the control group of a container and below it.
func (g *Guard) processes(s *subject) []int {
	if s.host {
		return nil
	}
	var out []int
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/systemd"} {
		if s.container.Cgroup == "" || s.container.Cgroup == "/" {
			break
		}
		out = appendGroup(out, filepath.Join(root, s.container.Cgroup), 0)
		if len(out) > 0 {
			return out
		}
	}
	return []int{s.container.Init.PID}
}

// mostProcesses bounds how many processes of one container are looked at.
const mostProcesses = 4096

func appendGroup(out []int, dir string, depth int) []int {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return out
	}
	for _, word := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(word); err == nil && len(out) < mostProcesses {
			out = append(out, pid)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || depth > 8 {
		return out
	}
	for _, e := range entries {
		if e.IsDir() && len(out) < mostProcesses {
			out = appendGroup(out, filepath.Join(dir, e.Name()), depth+1)
		}
	}
	return out
}
