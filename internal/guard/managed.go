package guard

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/fanotify"
)

// managed are the files of the host that declared configuration management has
// written last. They go by what they are and not by name, for a program that writes
// carefully writes beside a file and puts that in its place.
type managed struct {
	mu sync.Mutex
	by map[inode]string
}

type inode struct{ device, number uint64 }

// mostManaged bounds what is remembered: beyond that, all is forgotten, and what is
// compared again then is told as drift.
const mostManaged = 1 << 16

// writtenBy notes by whom a file of the host was written last.
func (g *Guard) writtenBy(subject uint64, pid int, file fanotify.Stamp) {
	declared := g.ground.Load().Rules.Guard.Managed
	if subject != g.hostID || len(declared) == 0 {
		return
	}
	g.managed.note(inode{file.Dev, file.Ino}, managerOf(pid, declared))
}

// managerOf returns the configuration management that a process is, or was started
// by; "" for none, and where it has ended and been forgotten already.
func managerOf(pid int, declared []touchstone.Managed) string {
	for range mostAncestors {
		if pid <= 1 {
			return ""
		}
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		if program, err := os.Readlink(dir + "/exe"); err == nil { // it may have ended, and its parent have not asked
			for _, m := range declared {
				if touchstone.MatchPath(m.Program, program) {
					return m.By
				}
			}
		}
		parent, _, ok := statOf(dir)
		if !ok {
			return ""
		}
		pid = parent
	}
	return ""
}

func (m *managed) note(file inode, by string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if by == "" {
		delete(m.by, file)
		return
	}
	if m.by == nil || len(m.by) >= mostManaged {
		m.by = make(map[inode]string)
	}
	m.by[file] = by
}

// of returns who manages what lies at a path.
func (m *managed) of(path string) string {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.by[inode{st.Dev, st.Ino}]
}
