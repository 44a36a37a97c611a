//go:build linux

package fanotify

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// counts are raised by everybody and only read by Status.
type counts struct {
	execs, opens, foreign  atomic.Uint64 // events: of subjects; of nobody
	allowed, denied        atomic.Uint64
	hashed                 atomic.Uint64
	unjudged, gone, failed atomic.Uint64 // by the fail setting; nobody waited; not readable
	overflows, stalls      atomic.Uint64
}

// batch is how many events are taken at once. Each has its descriptor opened by the
// kernel at that moment, so more would let the first wait for the last.
const batch = 16

// reader is what one loop works with, so that nothing is allocated for an event.
type reader struct {
	*Layer
	buf [batch * eventSize]byte
	// hand holds the descriptors, plus one, of events that are read and not answered, by
	// their place in buf. Whoever takes one out answers it: this loop, or the watchdog.
	hand [batch]atomic.Int32
	at   int // the place of the one that is looked at
	st   unix.Statx_t
	exe  unix.Statx_t
	name []byte
	head [4]byte
}

// loop reads events and answers what it can at once. It has a thread to itself, so
// that the kernel wakes it without Go's scheduler in between.
func (l *Layer) loop() {
	runtime.LockOSThread() // for good: the thread ends with the loop, and nothing inherits its priority
	// Everything that runs on the node may wait for this thread.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10) // without the right it is only slower
	r := &reader{Layer: l}
	l.readers.Store(r, true)
	defer l.readers.Delete(r)
	for !l.closed.Load() {
		n, err := unix.Read(l.ask, r.buf[:])
		l.beat.Add(1)
		switch err {
		case nil:
			r.events(r.buf[:n])
		case unix.EAGAIN:
			l.wait(l.ask)
		case unix.EINTR:
		default:
			// The kernel has denied the event whose file it could not open for us.
			l.counts.failed.Add(1)
		}
	}
}

// wait returns when the group has events or the layer is closed.
func (l *Layer) wait(group int) {
	fds := []unix.PollFd{{Fd: int32(group), Events: unix.POLLIN}, {Fd: int32(l.stop), Events: unix.POLLIN}}
	_, _ = unix.Poll(fds, -1) // interrupted or not, it is tried again
}

func (r *reader) events(b []byte) {
	var all [batch]event
	n := 0
	for len(b) > 0 { // no more than batch: there is no room for more
		e, rest, err := nextEvent(b)
		if err != nil {
			r.cfg.Log.Error("reading fanotify events", "error", err)
			break
		}
		b = rest
		all[n] = e
		if e.isAsked() {
			r.hand[n].Store(int32(e.fd) + 1)
		}
		n++
	}
	for i, e := range all[:n] {
		r.at = i
		switch {
		case e.mask&unix.FAN_Q_OVERFLOW != 0:
			r.counts.overflows.Add(1)
		case e.fd < 0:
			r.counts.failed.Add(1)
		case e.isAsked():
			r.asked(e)
		default:
			_ = unix.Close(e.fd)
		}
		r.beat.Add(1)
	}
}

// asked answers an event, or hands it to the workers.
func (r *reader) asked(e event) {
	if e.pid == r.self {
		r.allow(e)
		return
	}
	if err := statFile(e.fd, r.mask(), &r.st); err != nil {
		r.counts.failed.Add(1)
		r.allow(e)
		return
	}
	at, ok := r.find(&r.st)
	if !ok || at.subject.gone.Load() || r.st.Mode&unix.S_IFMT != unix.S_IFREG {
		r.counts.foreign.Add(1)
		r.allow(e)
		return
	}
	stamp := stampOf(&r.st)
	var known bool
	if e.isExec() {
		r.counts.execs.Add(1)
		known = r.execKnown(at, &stamp)
	} else {
		r.counts.opens.Add(1)
		known = r.openHarmless(e, at, &stamp)
	}
	if known && !at.strange {
		r.allow(e)
		return
	}
	if r.hand[r.at].Swap(0) == 0 { // the watchdog has answered
		_ = unix.Close(e.fd)
		return
	}
	r.queue.submit(e, at, stamp, r.st.Nlink)
}

// allow closes before it answers: who is let go may want to unmount at once. Until
// the answer the descriptor's number is the event's name, but new events, which
// could get the same one, are read by this loop alone.
func (r *reader) allow(e event) {
	if r.hand[r.at].Swap(0) == 0 { // the watchdog has answered
		_ = unix.Close(e.fd)
		return
	}
	r.counts.allowed.Add(1)
	_ = unix.Close(e.fd)
	if !respond(r.ask, e.fd, true) {
		r.counts.gone.Add(1)
	}
}

// execKnown reports whether the file is known by its stamp alone, and cannot be
// written to between now and its execution.
func (r *reader) execKnown(at place, s *Stamp) bool {
	if r.st.Nlink == 0 || !at.layered(s) {
		return false
	}
	v, ok := at.subject.verdicts.get(*s)
	return ok && v.known
}

// watchdog answers in the loop's place when that stands still, and looks for workers
// that do not come back.
func (l *Layer) watchdog() {
	period := max(l.cfg.Bound/4, 50*time.Millisecond)
	var last uint64
	for still := 0; !l.closed.Load(); {
		l.pause(period)
		l.queue.replaceHung()
		beat := l.beat.Load()
		if beat != last || !l.readable() && !l.holds() {
			last, still = beat, 0
			continue
		}
		if still++; still < 2 {
			continue
		}
		l.counts.stalls.Add(1)
		l.cfg.Log.Error("the fanotify loop stands still; answering in its place")
		l.cfg.Trouble(0, "the loop that answers executions stands still; they are answered by the fail settings until it goes on")
		l.standIn(last)
		last, still = l.beat.Load(), 0
	}
}

// standIn answers until the loop goes on, or another can be started: the first may
// never come back from the kernel. Nor may who reads in its place, so that this is never
// the watchdog itself.
func (l *Layer) standIn(last uint64) {
	const tick, patience, again = 10 * time.Millisecond, 200, 5
	for n := 0; l.beat.Load() == last && !l.closed.Load(); n++ {
		l.answerHeld()
		if at := l.drainers.Load(); at == 0 || n%again == 0 && at < mostDrainers {
			l.drainers.Add(1)
			go func() {
				defer l.drainers.Add(-1)
				l.drain()
			}()
		}
		l.pause(tick)
		if n == patience && l.loops() < mostLoops {
			l.run(l.loop)
			return
		}
	}
}

// mostLoops and mostDrainers bound the threads that hang in the kernel.
const mostLoops, mostDrainers = 4, 64

func (l *Layer) loops() (n int) {
	l.readers.Range(func(_, _ any) bool {
		n++
		return true
	})
	return n
}

func (l *Layer) readable() bool {
	fds := []unix.PollFd{{Fd: int32(l.ask), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// holds reports whether loops have read events that are not answered.
func (l *Layer) holds() (held bool) {
	l.readers.Range(func(r, _ any) bool {
		for i := range r.(*reader).hand {
			held = held || r.(*reader).hand[i].Load() != 0
		}
		return !held
	})
	return held
}

// answerHeld answers what loops have read and not answered. The descriptors are
// theirs to close.
func (l *Layer) answerHeld() {
	l.readers.Range(func(r, _ any) bool {
		for i := range r.(*reader).hand {
			if fd := int(r.(*reader).hand[i].Swap(0)) - 1; fd >= 0 {
				l.counts.unjudged.Add(1)
				respond(l.ask, fd, !l.failsClosed(event{fd: fd}))
			}
		}
		return true
	})
}

// drain answers everything that waits by the fail settings. It waits for no lock:
// where it cannot tell whose an event is, it allows.
func (l *Layer) drain() {
	var buf [eventSize]byte // one at a time: while a second is opened the first would wait
	l.groups.RLock()
	group, err := unix.FcntlInt(uintptr(l.ask), unix.F_DUPFD_CLOEXEC, 0) // whose number stays its own
	l.groups.RUnlock()
	if err != nil {
		return
	}
	defer unix.Close(group) //nolint:errcheck // it was only read from
	for !l.closed.Load() {
		n, err := unix.Read(group, buf[:])
		if err != nil || n <= 0 {
			return
		}
		for b := buf[:n]; len(b) > 0; {
			e, rest, err := nextEvent(b)
			if err != nil {
				return
			}
			b = rest
			if e.fd < 0 {
				continue
			}
			if e.isAsked() {
				l.counts.unjudged.Add(1)
				respond(group, e.fd, !l.failsClosed(e))
			}
			_ = unix.Close(e.fd)
		}
	}
}

func (l *Layer) failsClosed(e event) bool {
	var st unix.Statx_t
	if e.pid == l.self || statFile(e.fd, l.mask(), &st) != nil || !l.table.mu.TryRLock() {
		return false
	}
	defer l.table.mu.RUnlock()
	at, ok := l.table.look(st.Mnt_id, unix.Mkdev(st.Dev_major, st.Dev_minor))
	return ok && at.subject.failClosed.Load()
}
