//go:build linux

package fanotify

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// spaces are the mount namespaces that are watched for new mounts.
type spaces struct {
	mu     sync.Mutex
	byFD   map[int]*space // by both descriptors that epoll waits for
	closed bool
}

// space is one mount namespace of a subject. It is entered through a process; when
// that ends, it is given up, because an open mountinfo would keep its mounts alive.
type space struct {
	subject *subject
	pid     int
	ns      uint64
	info    int // /proc/PID/mountinfo
	process int // a pidfd, -1 where there are none
	root    int // O_PATH of the process's root

	mu     sync.Mutex        // held while it is scanned
	mounts map[uint64]*mount // by the id in mountinfo; nil once given up

	// Of the lock of all spaces: whether it is being scanned or rests from that, and
	// has changed meanwhile.
	busy, again bool
}

func (s *spaces) init() { s.byFD = make(map[int]*space) }

func (s *spaces) close() {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.byFD))
	s.closed = true
	s.mu.Unlock()
	for _, sp := range all {
		sp.mu.Lock()
		sp.shut()
		sp.mu.Unlock()
	}
}

// of returns the namespaces of a subject.
func (s *spaces) of(subject *subject) []*space {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*space
	for fd, sp := range s.byFD {
		if sp.subject == subject && fd == sp.info {
			out = append(out, sp)
		}
	}
	return out
}

// enter watches the mount namespace of a process, and marks what is mounted there.
func (l *Layer) enter(s *subject, pid int, ns uint64) error {
	sp := &space{subject: s, pid: pid, ns: ns, process: -1, root: -1, mounts: make(map[uint64]*mount)}
	var err error
	if sp.info, err = unix.Open(fmt.Sprintf("/proc/%d/mountinfo", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("opening its mountinfo: %w", err)
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.root, err = unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		sp.shut()
		return fmt.Errorf("opening its root: %w", err)
	}
	if sp.process, err = unix.PidfdOpen(pid, 0); err != nil {
		sp.shut()
		return fmt.Errorf("holding on to process %d: %w", pid, err)
	}
	// Whatever is mounted from now on makes it be looked at again.
	if err := l.spaces.add(l.epoll, sp); err != nil {
		sp.shut()
		return err
	}
	if err := l.scan(sp); err != nil {
		l.giveUp(sp)
		return err
	}
	return nil
}

func (s *spaces) add(epoll int, sp *space) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.byFD[sp.info], s.byFD[sp.process] = sp, sp
	mounts := unix.EpollEvent{Events: unix.EPOLLPRI | unix.EPOLLERR | unix.EPOLLET&0xffffffff, Fd: int32(sp.info)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, sp.info, &mounts); err != nil {
		delete(s.byFD, sp.info)
		delete(s.byFD, sp.process)
		return fmt.Errorf("waiting for changes of its mounts: %w", err)
	}
	return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, sp.process, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(sp.process)})
}

// leave takes away all marks of a subject.
func (l *Layer) leave(s *subject) {
	for _, sp := range l.spaces.of(s) {
		sp.mu.Lock()
		for _, m := range sp.mounts {
			l.unmark(sp, m)
		}
		l.giveUp(sp)
		sp.mu.Unlock()
	}
}

// reask makes the marks of a namespace agree with whether its subject has opens asked
// about; execs are asked about all the while.
func (l *Layer) reask(sp *space) error {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for id, m := range sp.mounts {
		if m.scope == scopeNone || m.execOnly {
			continue
		}
		fd, err := reach(sp.root, m.point, m.id)
		if errors.Is(err, errOther) {
			continue
		}
		if err != nil {
			return err
		}
		n := *m
		n.opens = sp.subject.opens.Load()
		sp.mounts[id] = &n
		l.table.put(&n)
		err = l.setOpens(fd, &n)
		_ = unix.Close(fd) // it was only looked at
		if err != nil {
			return err
		}
	}
	return nil
}

// unmark takes the marks off a mount; those of one that is gone went with it.
func (l *Layer) unmark(sp *space, m *mount) {
	if m.scope == scopeNone {
		return
	}
	fd, err := reach(sp.root, m.point, m.id)
	if err != nil {
		return
	}
	defer unix.Close(fd)                        //nolint:errcheck // it was only looked at
	_ = l.setMarks(fd, unix.FAN_MARK_REMOVE, m) // another subject may have taken it away
}

// giveUp stops watching a namespace. The caller holds its lock.
func (l *Layer) giveUp(sp *space) {
	if sp.mounts == nil {
		return
	}
	gone := make(map[uint64]*mount, len(sp.mounts))
	for _, m := range sp.mounts {
		gone[m.unique] = m
	}
	l.table.drop(gone)
	l.spaces.mu.Lock()
	for _, fd := range []int{sp.info, sp.process} {
		if l.spaces.byFD[fd] == sp {
			delete(l.spaces.byFD, fd)
			_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil) // closing would do it as well
		}
	}
	l.spaces.mu.Unlock()
	sp.shut()
}

// shut closes what is open. The caller holds the lock.
func (sp *space) shut() {
	for _, fd := range []*int{&sp.info, &sp.process, &sp.root} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
	sp.mounts = nil
}

// changes waits for mounts and for the ends of processes.
func (l *Layer) changes() {
	events := make([]unix.EpollEvent, 64)
	for !l.closed.Load() {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			l.cfg.Log.Error("waiting for mounts", "error", err)
			return
		}
		for _, e := range events[:max(n, 0)] {
			l.spaces.mu.Lock()
			sp := l.spaces.byFD[int(e.Fd)]
			ended := sp != nil && int(e.Fd) == sp.process
			l.spaces.mu.Unlock()
			switch {
			case sp == nil:
			case ended:
				go l.ended(sp)
			default:
				l.rescan(sp)
			}
		}
	}
}

func (l *Layer) ended(sp *space) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	l.giveUp(sp)
}

// rescan looks at a namespace again, on its own: a file system that does not answer
// holds up no other. After each scan it rests ten times as long as that took, so
// that a storm of mounts costs a tenth of a processor at most.
func (l *Layer) rescan(sp *space) {
	l.spaces.mu.Lock()
	defer l.spaces.mu.Unlock()
	if sp.busy {
		sp.again = true
		return
	}
	sp.busy = true
	go func() {
		for {
			begun := time.Now()
			sp.mu.Lock()
			err := l.scan(sp)
			sp.mu.Unlock()
			if err != nil {
				l.cfg.Log.Warn("looking at new mounts", "subject", sp.subject.ID, "error", err)
			}
			l.pause(min(10*time.Since(begun), time.Second))
			l.spaces.mu.Lock()
			more := sp.again && !l.closed.Load()
			sp.again = false
			sp.busy = more
			l.spaces.mu.Unlock()
			if !more {
				return
			}
		}
	}()
}

// pause sleeps, at most until the layer is closed.
func (l *Layer) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.done:
	}
}

// learn looks at the mount namespace that an event comes from, because its file lies
// on a file system of a subject but its mount is not known. It reports whether the
// event is the subject's at all: the runtime and the kubelet, in the machine's own
// namespace, are not.
func (l *Layer) learn(j *job) bool {
	ns, err := namespaceOf(j.event.pid)
	if err != nil {
		return false // it is gone
	}
	s := j.subject
	switch {
	case ns == l.hostNS && !s.host:
		l.remember(j.event.fd, nil)
		return false
	case s.host:
		// A service's own namespace, with the machine's file systems, which are marked
		// as a whole.
		l.remember(j.event.fd, j.filesystem)
		return true
	}
	spaces := l.spaces.of(s)
	known := slices.IndexFunc(spaces, func(sp *space) bool { return sp.ns == ns })
	switch {
	case known >= 0: // a mount of this moment
		spaces[known].mu.Lock()
		err = l.scan(spaces[known])
		spaces[known].mu.Unlock()
	case len(spaces) >= l.cfg.Namespaces:
		l.troubleOnce(s, fmt.Sprintf("it has more than %d mount namespaces; volumes in the others are not asked about", l.cfg.Namespaces))
	default:
		err = l.enter(s, j.event.pid, ns)
	}
	if err != nil {
		l.cfg.Log.Warn("looking at the mounts of a process", "subject", s.ID, "error", err)
	}
	// A mount that is in no namespace (open_tree) stays strange.
	l.remember(j.event.fd, j.filesystem)
	return true
}

// remember keeps whose a mount is, nil for nobody's, where its id cannot become
// another's.
func (l *Layer) remember(fd int, f *filesystem) {
	var st unix.Statx_t
	if l.unique && statFile(fd, l.mask(), &st) == nil {
		l.table.remember(st.Mnt_id, f)
	}
}
