//go:build linux

package fanotify

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
)

// job is one event that a worker judges, in steps.
type job struct {
	layer *Layer
	place
	subject *subject
	event   event
	stamp   Stamp
	links   uint32
	begun   time.Time

	timer    *time.Timer
	holders  atomic.Int32 // who still reads by the descriptor: the queue, the timer
	answer   sync.Mutex   // held while the kernel is told, and what the timer reads is changed
	answered bool
	allowed  bool

	ready   bool // where it lies and what it is for have been found out
	kind    touchstone.ExecutionKind
	program string // of the interpreter, where there is one
	leased  bool
	spare   int // the file in the writable layer, leased; -1 where there is none
	sum     hash.Hash
	read    int64
	changes int
}

const (
	slice = 4 << 20 // bytes that are hashed before another subject has its turn
	// longest is how long a file is read on after its event has been answered, so that
	// the next time it is known.
	longest = time.Minute
	// leaseTime is how long writers are kept away from what was let go and is not
	// executed yet.
	leaseTime = 250 * time.Millisecond
	// mostChanges is how often a file is read again because it changed meanwhile.
	mostChanges = 3
)

func newJob(l *Layer, e event, at place, stamp Stamp, links uint32) *job {
	j := &job{spare: -1, layer: l, place: at, subject: at.subject, event: e, stamp: stamp, links: links, begun: time.Now()}
	j.holders.Store(1)
	return j
}

// arm sets the time at which the event is answered whatever happens.
func (j *job) arm() {
	j.timer = time.AfterFunc(j.layer.cfg.Bound, func() {
		if j.hold() {
			j.giveUp("it could not be read in time")
			j.release()
		}
	})
}

// tell answers the kernel, once. It reports whether it was this call that did, and
// whether anybody was waiting.
func (j *job) tell(allow bool) (first, delivered bool) {
	j.answer.Lock()
	defer j.answer.Unlock()
	if j.answered {
		return false, false
	}
	j.answered, j.allowed = true, allow
	if allow {
		j.layer.counts.allowed.Add(1)
	} else {
		j.layer.counts.denied.Add(1)
	}
	delivered = j.layer.respond(j.event.fd, allow)
	if !delivered {
		j.layer.counts.gone.Add(1)
	}
	return true, delivered
}

// conclude is tell for a worker, which needs the file no more: who is let go may want
// to unmount at once. The descriptor's number, which is the event's name, stays
// taken. A lease stays with the file until the program has been executed.
func (j *job) conclude(allow bool) (first, delivered bool) {
	if j.leased && allow && j.kind == touchstone.ExecuteProgram {
		return j.tell(allow)
	}
	j.leased = false
	if j.holders.Load() == 1 && j.timer != nil && j.timer.Stop() {
		j.layer.replace(j.event.fd)
	}
	return j.tell(allow)
}

// giveUp answers by the fail setting.
func (j *job) giveUp(why string) {
	first, _ := j.tell(!j.subject.failClosed.Load())
	if !first {
		return
	}
	j.layer.countUnjudged(j.subject)
	a := j.access()
	a.Unjudged, a.Late = why, false
	j.layer.cfg.Judge.Unjudged(a)
	a.close()
}

// hold keeps the descriptor open; it fails where that is closed already.
func (j *job) hold() bool {
	for {
		n := j.holders.Load()
		if n == 0 || j.holders.CompareAndSwap(n, n+1) {
			return n > 0
		}
	}
}

// release closes the descriptor after the last holder. Its number is the event's
// name, so that is never before the answer. With it the lease ends.
func (j *job) release() {
	if j.holders.Add(-1) > 0 {
		return
	}
	if j.leased {
		j.untilExecuted(time.Now().Add(leaseTime), time.Millisecond)
		return
	}
	j.shut()
}

func (j *job) shut() {
	_ = unix.Close(j.event.fd)
	if j.spare >= 0 {
		_ = unix.Close(j.spare)
	}
}

// finish ends the job; what has no answer yet is allowed.
func (j *job) finish() {
	j.conclude(true)
	if j.timer != nil {
		j.timer.Stop()
	}
	j.subject.pending.Add(-1)
	j.release()
}

// next is what is to become of a job after a step.
type next uint8

const (
	stepDone next = iota
	stepAgain
	stepLater
)

// step does a bounded piece of work.
func (j *job) step(buf []byte) (next, time.Duration) {
	if j.subject.gone.Load() || j.layer.closed.Load() {
		return stepDone, 0
	}
	if !j.ready {
		if !j.begin() {
			return stepDone, 0
		}
		j.ready = true
	}
	if j.event.isExec() && !j.leased {
		if wait := j.keepWritersAway(); wait != stepAgain {
			return wait, time.Millisecond
		}
	}
	if v, ok := j.remembered(); ok {
		j.decide(v)
		return stepDone, 0
	}
	if j.links == 0 || !j.layer.cfg.Judge.HasSize(j.subject.ID, j.stamp.Size) {
		j.decide(verdict{})
		return stepDone, 0
	}
	return j.hash(buf), 0
}

// begin finds out where the file lies and what it is opened for, and reports
// whether it is to be judged.
func (j *job) begin() bool {
	if j.strange && !j.layer.learn(j) {
		return false
	}
	j.subject.judged.Add(1)
	if !j.event.isExec() {
		return j.isCode()
	}
	kind := touchstone.ExecuteProgram
	var head [2]byte
	if n, _ := readAt(j.event.fd, head[:], 0); n == 2 && head == [2]byte{'#', '!'} {
		kind = touchstone.ExecuteScript
	}
	if j.links == 0 {
		kind = touchstone.ExecuteMemory
	}
	j.note(func() { j.kind = kind })
	return true
}

// note changes what the timer may be reading.
func (j *job) note(change func()) {
	j.answer.Lock()
	defer j.answer.Unlock()
	change()
}

// restat takes the state of the file anew, and reports whether there is one.
func (j *job) restat() bool {
	var st unix.Statx_t
	if err := statAt(j.event.fd, []byte{0}, unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st); err != nil {
		j.giveUp("its state could not be read: " + err.Error())
		return false
	}
	j.note(func() { j.stamp, j.links = stampOf(&st), st.Nlink })
	return true
}

func (j *job) remembered() (verdict, bool) {
	if j.links == 0 {
		return verdict{}, false
	}
	return j.subject.verdicts.get(j.stamp)
}

// hash reads the next slice, and decides after the last one.
func (j *job) hash(buf []byte) next {
	if j.sum == nil {
		j.sum, j.read = sha256.New(), 0
	}
	for end := j.read + slice; j.read < end; {
		n, err := readAt(j.event.fd, buf, j.read)
		if err != nil {
			j.giveUp("it could not be read: " + err.Error())
			return stepDone
		}
		if n == 0 || j.read > j.stamp.Size {
			return j.hashed()
		}
		_, _ = j.sum.Write(buf[:n]) // a hash never fails
		j.read += int64(n)
	}
	if time.Since(j.begun) > longest+j.layer.cfg.Bound {
		return stepDone
	}
	return stepAgain
}

// hashed decides if the file is still what it was when reading began.
func (j *job) hashed() next {
	before := j.stamp
	if !j.restat() {
		return stepDone
	}
	if j.stamp != before || j.read != j.stamp.Size {
		j.sum = nil
		if j.changes++; j.changes > mostChanges {
			j.suspect("it changes while it is read")
			return stepDone
		}
		return stepAgain
	}
	j.layer.counts.hashed.Add(1)
	v := verdict{hashed: true}
	j.sum.Sum(v.sum[:0])
	v.known = j.layer.cfg.Judge.Has(j.subject.ID, j.stamp.Size, v.sum)
	j.keep(v)
	if v.known {
		j.layer.cfg.Judge.Verified(j.subject.ID, j.stamp)
	}
	j.decide(v)
	return stepDone
}

// keep remembers a verdict, if the file's state will tell its content from any other.
func (j *job) keep(v verdict) {
	if (j.leased || j.layered(&j.stamp)) && j.lasting(&j.stamp, j.layer.cfg.Now()) {
		j.subject.verdicts.put(j.stamp, v)
	}
}

// decide answers by what was found out.
func (j *job) decide(v verdict) {
	if v.known {
		if !j.event.isExec() {
			j.layer.dontAsk(j.event.fd, j.place, &j.stamp)
		}
		first, delivered := j.conclude(true)
		if first && delivered && j.event.isExec() && j.leased && j.layer.cfg.After != nil {
			j.layer.cfg.After(j.subject.ID, j.event.pid, j.stamp)
		}
		return
	}
	j.unknown(v, "")
}

// suspect treats what has a writer as unknown: whoever writes chooses what runs.
func (j *job) suspect(why string) { j.unknown(verdict{}, why) }

func (j *job) unknown(v verdict, why string) {
	a := j.access()
	defer a.close()
	a.SHA256, a.Hashed, a.Unjudged = v.sum, v.hashed, why
	answer := j.layer.cfg.Judge.Unknown(a)
	if answer.Known {
		if v.known = true; v.hashed {
			j.keep(v)
		}
		j.decide(v)
		return
	}
	first, delivered := j.conclude(!answer.Deny)
	if first && answer.After != nil {
		answer.After(delivered)
	}
}

// access describes the event for the judge.
func (j *job) access() *Access {
	j.answer.Lock()
	a := &Access{
		Subject: j.subject.ID, PID: j.event.pid, PIDFD: -1, Kind: j.kind, File: j.event.fd,
		Stamp: j.stamp, Links: j.links, Program: j.program, Late: j.answered, Allowed: j.allowed,
	}
	j.answer.Unlock()
	if a.Kind == "" {
		a.Kind = touchstone.ExecuteProgram
	}
	a.Path, _ = pathOf(j.event.fd)
	if fd, err := unix.PidfdOpen(j.event.pid, 0); err == nil {
		a.PIDFD = fd
	}
	return a
}

func (a *Access) close() {
	if a.PIDFD >= 0 {
		_ = unix.Close(a.PIDFD)
	}
}

// pathOf returns the path of an open file in its own mount namespace.
func pathOf(fd int) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd), buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
