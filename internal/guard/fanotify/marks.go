//go:build linux

package fanotify

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// errOther: at this path lies something else by now.
var errOther = errors.New("another mount lies over it")

// plan says what mark a mount gets.
func (l *Layer) plan(sp *space, line *mountLine, host map[uint64]bool, beyond string) *mount {
	s := sp.subject
	m := &mount{id: line.id, super: unix.Mkdev(uint32(line.dev>>32), uint32(line.dev))}
	m.subject, m.root, m.point = s, line.root, line.point
	m.steady = !isMemory(line.kind)
	// What this process may not open is denied to whoever wants to: the devices in
	// /dev, for one.
	m.execOnly = line.point == "/dev" || isRemote(line.kind)
	m.opens = s.opens.Load() && !m.execOnly
	switch {
	case !holdsFiles(line.kind):
		m.problem = "no programs lie on " + line.kind
	case isServed(line.kind) && !host[line.dev]:
		m.problem = couldHoldUp
	case s.host && line.kind == "overlay" && line.point != "/":
		m.problem = "it is a container's"
	case beyond != "":
		m.problem = beyond
	case s.host, line.point == "/" && line.kind == "overlay", !host[line.dev]:
		m.scope = scopeFilesystem
	default:
		m.scope = scopeMount
	}
	return m
}

// mark reaches a mount through the root of a process in its namespace, makes sure
// that it is the one, and puts the marks on it. What was found there the last time
// is kept if it is still the same; old may be nil.
func (l *Layer) mark(root int, m, old *mount, line *mountLine) (*mount, error) {
	fd, err := reach(root, line.point, line.id)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // it was only looked at
	var st unix.Statx_t
	if err := statFile(fd, l.mask(), &st); err != nil {
		return nil, err
	}
	// Ids of mounts and of file systems are used again; only unique ones tell.
	if l.unique && old != nil && old.unique == st.Mnt_id {
		return old, nil
	}
	m.unique, m.dev = st.Mnt_id, unix.Mkdev(st.Dev_major, st.Dev_minor)
	if line.kind == "overlay" {
		if whole := l.table.system(m.dev, m.subject); whole != nil && line.point != "/" {
			m.since, m.steady, m.upper = whole.since, whole.steady, whole.upper
		} else {
			m.layers(fd, line, l.machine)
		}
	}
	if old != nil {
		l.table.drop(map[uint64]*mount{old.unique: old})
	}
	// Known before it is marked: an event may come at once.
	l.table.put(m)
	if err := l.setMarks(fd, unix.FAN_MARK_ADD, m); err != nil {
		l.table.drop(map[uint64]*mount{m.unique: m})
		return nil, err
	}
	return m, nil
}

// reach opens a mount without following anything that a stranger could have put in
// the way, and makes sure that it is the one.
func reach(root int, point string, id uint64) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(root, point, &how)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return -1, errOther
	}
	if err != nil {
		return -1, err
	}
	var st unix.Statx_t
	if err = statFile(fd, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st); err == nil && st.Mnt_id != id {
		err = errOther
	}
	if err != nil {
		_ = unix.Close(fd) // it was only looked at
		return -1, err
	}
	return fd, nil
}

// layers finds out where the writable layer of an overlay is, and whether its files
// have times that can be relied on. At the root of a container it also finds out since
// when; an overlay that a container has made itself has no image's layers.
func (m *mount) layers(fd int, line *mountLine, machine int) {
	var st unix.Statx_t
	if err := statAt(fd, []byte{0}, unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err == nil && st.Mask&unix.STATX_BTIME != 0 && line.point == "/" {
		m.since = nanoseconds(st.Btime)
	}
	m.steady = false
	var fs unix.Statfs_t
	upper := line.option("upperdir")
	if upper == "" || line.point != "/" {
		return
	}
	upper = fmt.Sprintf("/proc/%d/root%s", machine, upper)
	if unix.Statfs(upper, &fs) == nil {
		m.steady = fs.Type != unix.TMPFS_MAGIC && fs.Type != unix.RAMFS_MAGIC
		m.upper = upper
	}
}

// setMarks adds or removes the marks of both groups.
func (l *Layer) setMarks(fd int, do uint, m *mount) error {
	mask := uint64(unix.FAN_OPEN_EXEC_PERM)
	if m.opens {
		mask |= unix.FAN_OPEN_PERM
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	l.groups.RLock()
	defer l.groups.RUnlock()
	if err := unix.FanotifyMark(l.ask, do|m.scope.flag(), mask, unix.AT_FDCWD, path); err != nil {
		return err
	}
	if m.point == "/dev" {
		return nil // everybody writes to /dev/null
	}
	return unix.FanotifyMark(l.tell, do|m.scope.flag(), unix.FAN_CLOSE_WRITE, unix.AT_FDCWD, path)
}

// setOpens makes a mark that is in place ask about opens, or no longer.
func (l *Layer) setOpens(fd int, m *mount) error {
	do := uint(unix.FAN_MARK_REMOVE)
	if m.opens {
		do = unix.FAN_MARK_ADD
	}
	l.groups.RLock()
	defer l.groups.RUnlock()
	return unix.FanotifyMark(l.ask, do|m.scope.flag(), unix.FAN_OPEN_PERM, unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd))
}

func (s scope) flag() uint {
	if s == scopeFilesystem {
		return unix.FAN_MARK_FILESYSTEM
	}
	return unix.FAN_MARK_MOUNT
}

// dontAsk stops the kernel from asking about opens of a file that lies unchanged in
// an image layer. The kernel asks again once it has been written to; what is
// written through a mapping is told at its closing.
func (l *Layer) dontAsk(fd int, at place, s *Stamp) {
	if !at.layered(s) {
		return
	}
	const most = 1 << 17
	if l.marked.Add(1) > most {
		l.flush()
	}
	l.ignore(unix.FAN_MARK_ADD, fd) // without memory for it, the kernel simply asks again
}

// askAgain makes the kernel ask about a file that may have been changed.
func (l *Layer) askAgain(fd int) { l.ignore(unix.FAN_MARK_REMOVE, fd) }

func (l *Layer) ignore(do uint, fd int) {
	l.groups.RLock()
	defer l.groups.RUnlock()
	_ = unix.FanotifyMark(l.ask, do|unix.FAN_MARK_IGNORE|unix.FAN_MARK_EVICTABLE, unix.FAN_OPEN_PERM, fd, "")
}

// flush makes the kernel ask about every file again.
func (l *Layer) flush() {
	l.marked.Store(0)
	l.groups.RLock()
	defer l.groups.RUnlock()
	_ = unix.FanotifyMark(l.ask, unix.FAN_MARK_FLUSH, 0, unix.AT_FDCWD, "/") // fails only for a closed group
}

// couldHoldUp is why a file system is not marked that a process serves.
const couldHoldUp = "whoever serves it could hold up the guard"

// outOfReach says why a mount must not be marked, whatever lies on it; "" where
// nothing is in the way. To read an event of an overlay the kernel opens a file of the
// layers below; in one that a container has made, those are its own and marked, so
// that the reader would wait for itself.
//
// Root is the file system of the subject's own root: what a process has for its root
// that has gone into another is one like any other.
func outOfReach(line *mountLine, root uint64, host map[uint64]bool, byID map[uint64]*mountLine) string {
	switch {
	case underServed(line, byID):
		return couldHoldUp
	case isLayered(line.kind) && line.dev != root && !host[line.dev]:
		return "it is an overlay over what is asked about already"
	}
	return ""
}

// underServed reports whether a mount is reached through one that a process serves.
func underServed(line *mountLine, byID map[uint64]*mountLine) bool {
	for range len(byID) {
		above := byID[line.parent]
		if above == nil || above.id == line.id {
			return false
		}
		if isServed(above.kind) {
			return true
		}
		line = above
	}
	return false
}

// refused tells why a mount has no mark, in a sentence; empty where that is as it
// should be.
func (m *mount) refused() string {
	if m.scope != scopeNone || m.problem == "" || strings.HasPrefix(m.problem, "no programs") || strings.HasPrefix(m.problem, "it is a container's") {
		return ""
	}
	return fmt.Sprintf("what is executed from its mount %q is not asked about: %s", m.point, m.problem)
}
