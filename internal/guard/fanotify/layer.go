//go:build linux

package fanotify

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Layer is one fanotify group that asks for all subjects, and a second one that
// tells of writes: a flood of writes must not stand before an exec that waits.
type Layer struct {
	cfg     Config
	started time.Time
	self    int    // this process, which is never judged
	machine int    // a process in the mount namespace of this machine
	hostNS  uint64 // that namespace
	systems machineSystems
	unique  bool // whether the kernel has mount ids that are never used again

	groups    sync.RWMutex // held for reading by whoever uses a group, but for the loops
	ask, tell int          // the groups; -1 once they are closed
	stop      int          // an eventfd that is readable once the layer is closed
	epoll     int          // waits for changes of mount namespaces
	closed    atomic.Bool
	done      chan struct{}
	running   sync.WaitGroup // the loops

	table    table
	queue    *queue
	readers  sync.Map      // of *reader: the loop, and those that were started in its place
	beat     atomic.Uint64 // raised by the loop with each event and each wait
	drainers atomic.Int32  // who reads in the loop's place
	counts   counts
	writes   gathered
	marked   atomic.Int64 // ignore marks since they were last flushed

	spaces spaces
}

// ErrUnsupported is wrapped by what Start returns where the kernel has no permission
// events, or this process may not have them.
var ErrUnsupported = errors.New("fanotify permission events cannot be had")

// Start begins with no subjects. It needs CAP_SYS_ADMIN, CAP_SYS_PTRACE (other
// processes' /proc), CAP_DAC_READ_SEARCH and, for read leases, CAP_LEASE.
func Start(cfg Config) (*Layer, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	l := &Layer{cfg: cfg, started: time.Now(), done: make(chan struct{}), self: os.Getpid(), ask: -1, tell: -1, stop: -1, epoll: -1, unique: hasUniqueMounts(), systems: machineSystems{info: -1}}
	if err := l.open(); err != nil {
		l.release()
		return nil, err
	}
	l.table.init()
	l.spaces.init()
	l.queue = newQueue(l)
	l.writes.init()
	l.run(l.loop)
	l.run(l.told)
	l.run(l.changes)
	l.run(l.watchdog)
	for range cfg.Workers {
		l.queue.hire()
	}
	if cfg.Written != nil {
		l.run(l.deliver)
	}
	return l, nil
}

func (l *Layer) open() (err error) {
	const reading = unix.O_RDONLY | unix.O_LARGEFILE | unix.O_CLOEXEC | unix.O_NOATIME | unix.O_NONBLOCK
	const group = unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_UNLIMITED_MARKS
	if l.ask, err = unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_UNLIMITED_QUEUE|group, reading); err != nil {
		return fmt.Errorf("starting fanotify: %w: %w", ErrUnsupported, err)
	}
	// The queue of writes is bounded (fs.fanotify.max_queued_events): beyond that
	// everything counts as written.
	if l.tell, err = unix.FanotifyInit(unix.FAN_CLASS_NOTIF|group, reading); err != nil {
		return fmt.Errorf("starting fanotify: %w", err)
	}
	if l.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("starting fanotify: making an eventfd: %w", err)
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("starting fanotify: %w", err)
	}
	if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.stop, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.stop)}); err != nil {
		return fmt.Errorf("starting fanotify: %w", err)
	}
	// The machine is what its first process sees. Where that may not be looked at, this
	// process must be in the machine's own namespace.
	l.machine = 1
	if l.hostNS, err = namespaceOf(l.machine); err != nil {
		l.machine = l.self
		l.hostNS, err = namespaceOf(l.machine)
	}
	if err == nil {
		err = l.systems.open(l.machine)
	}
	if err != nil {
		return fmt.Errorf("starting fanotify: %w", err)
	}
	return nil
}

func (l *Layer) run(f func()) {
	l.running.Add(1)
	go func() {
		defer l.running.Done()
		f()
	}()
}

// Close lets everything go on that waits, and stops asking. What is being hashed is
// given up. Closing twice is harmless.
func (l *Layer) Close() {
	if l.closed.Swap(true) {
		return
	}
	close(l.done)
	_, _ = unix.Write(l.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // an eventfd takes it
	l.queue.close()
	l.running.Wait()
	l.spaces.close()
	l.release()
}

// release closes what is open. Workers that hang in reading a file may still be
// about to answer: they find no group.
func (l *Layer) release() {
	l.systems.close()
	l.groups.Lock()
	defer l.groups.Unlock()
	for _, fd := range []*int{&l.ask, &l.tell, &l.stop, &l.epoll} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}

// replace closes the file of a descriptor whose number is to stay taken.
func (l *Layer) replace(fd int) {
	l.groups.RLock()
	defer l.groups.RUnlock()
	if l.stop >= 0 {
		_ = unix.Dup3(l.stop, fd, unix.O_CLOEXEC) // if that fails the file is closed later
	}
}

// respond answers a permission event. It reports whether anybody was waiting.
func (l *Layer) respond(fd int, allow bool) bool {
	l.groups.RLock()
	defer l.groups.RUnlock()
	return l.ask >= 0 && respond(l.ask, fd, allow)
}

// Watch puts marks on all that the subject can execute from, and keeps them there
// as its mounts change. When it returns they are in place. Watching a subject that
// is watched changes its settings; its PID must be the same.
func (l *Layer) Watch(s Subject) error {
	if s.ID == 0 || s.PID <= 0 {
		return fmt.Errorf("watching subject %d: it needs an id and a process", s.ID)
	}
	subject, fresh := l.table.add(s)
	if !fresh {
		if subject.PID != s.PID {
			return fmt.Errorf("watching subject %d: it is watched by process %d, not %d", s.ID, subject.PID, s.PID)
		}
		return l.resettle(subject, s)
	}
	ns, err := namespaceOf(s.PID)
	if err != nil {
		l.Unwatch(s.ID)
		return fmt.Errorf("watching subject %d: %w", s.ID, err)
	}
	subject.host = ns == l.hostNS
	if err := l.enter(subject, s.PID, ns); err != nil {
		l.Unwatch(s.ID)
		return fmt.Errorf("watching subject %d: %w", s.ID, err)
	}
	return nil
}

// resettle changes the settings of a subject, and its marks where that needs it.
func (l *Layer) resettle(subject *subject, s Subject) error {
	subject.failClosed.Store(s.FailClosed)
	if subject.opens.Swap(s.Opens) == s.Opens {
		return nil
	}
	for _, sp := range l.spaces.of(subject) {
		if err := l.reask(sp); err != nil {
			return fmt.Errorf("watching subject %d anew: %w", s.ID, err)
		}
	}
	return nil
}

// Unwatch takes the marks of a subject away; what waits is allowed. A subject that
// is not watched is no error.
func (l *Layer) Unwatch(id uint64) {
	subject := l.table.subject(id)
	if subject == nil {
		return
	}
	subject.gone.Store(true)
	l.leave(subject)
	l.table.remove(id)
	l.queue.dismiss(subject)
	l.writes.forget(id)
}

// Forget makes the layer ask its judge about everything of a subject again.
func (l *Layer) Forget(id uint64) {
	if s := l.table.subject(id); s != nil {
		s.verdicts.clear()
		s.programs.clear()
		s.data.clear()
		l.flush()
	}
}

// troubleOnce tells of what a subject does to the layer, the first time.
func (l *Layer) troubleOnce(s *subject, sentence string) {
	if !s.told.Swap(true) {
		l.cfg.Trouble(s.ID, sentence)
	}
}

func (l *Layer) countUnjudged(s *subject) {
	l.counts.unjudged.Add(1)
	s.unjudged.Add(1)
}
