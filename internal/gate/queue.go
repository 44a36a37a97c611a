package gate

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// ScanState is how far a scan has come.
type ScanState string

// The states of a scan. One that has succeeded is no scan any more but Seen.
const (
	ScanWaiting ScanState = "waiting"
	ScanRunning ScanState = "running"
	ScanFailed  ScanState = "failed" // it is tried again at Next
)

// Scan is one that waits, runs, or has failed for a reason that may pass.
type Scan struct {
	Repository string            `json:"repository"`
	Digest     touchstone.Digest `json:"digest"`
	Reference  string            `json:"reference"` // as first asked for, with its digest
	State      ScanState         `json:"state"`
	Attempts   int               `json:"attempts"` // how often it was begun
	// Deaths is how often it was begun and never ended: the process died, or the
	// scan ran out of time. It is counted before the scan begins.
	Deaths  int       `json:"deaths,omitempty"`
	Queued  time.Time `json:"queued"`
	Next    time.Time `json:"next,omitzero"` // when it is tried again
	Problem string    `json:"problem,omitempty"`
	// False is true where Problem says how the artifact contradicts itself.
	False bool `json:"false,omitempty"`
	// Credential is how it is pulled; what the secrets hold is read anew.
	Credential Credential `json:"credential,omitzero"`
	// By is for whom: the namespace, else the person. Each has their own line, so
	// that nobody waits behind all that another has asked for.
	By string `json:"by,omitempty"`
	// Background is true while nobody waits for it.
	Background bool `json:"background,omitempty"`
}

func (s *Scan) key() string { return artifactKey(s.Repository, s.Digest) }

func (s *Scan) fact() (record.Fact, error) { return record.Put(factScan, s.key(), s) }

// queue holds every scan that is not done, in memory beside the facts, so that
// looking is cheap however many wait.
//
//	suspects    began and never ended: one at a time, with nothing beside it, so
//	            that one that kills the process takes no other's reputation along
//	asked       somebody waits for them
//	background  everything else
type queue struct {
	mu      sync.Mutex
	limit   int
	all     map[string]*queued
	each    map[string]int // how many are for one who asks
	suspect line
	asked   line
	back    line
	later   deferred
	running int
	alone   bool          // a suspect runs
	wake    chan struct{} // something became due
}

// queued is one scan of the queue. Its fields are guarded by the queue.
type queued struct {
	Scan
	durable chan struct{} // closed once it is written down, or has failed to be
	written bool
	begun   time.Time // of the last attempt
	wanted  time.Time // when somebody last asked for it
	waiters []string  // who is to be told, by the keys of their facts
	place   int       // in the heap of those deferred; -1 when it is not there
}

// most is how much of the queue the background may fill, and anybody who asks: what
// somebody waits for finds room before the background, and who asks for what is not
// there keeps nobody else out.
func (q *queue) most() int { return max(q.limit*3/4, 1) }

func newQueue(limit int) *queue {
	return &queue{limit: limit, all: map[string]*queued{}, each: map[string]int{}, wake: make(chan struct{}, 1)}
}

// reserve finds the scan, or takes room for a new one, which settle then lets go
// or gives up. ok is false when there is no room.
func (q *queue) reserve(s Scan) (e *queued, fresh, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e, ok := q.all[s.key()]; ok {
		return e, false, true
	}
	if n := len(q.all); n >= q.limit || s.Background && n >= q.most() || q.each[s.By] >= q.most() {
		return nil, false, false
	}
	e = &queued{Scan: s, durable: make(chan struct{}), place: -1, wanted: s.Queued}
	q.add(e)
	return e, true, true
}

func (q *queue) add(e *queued) {
	if _, ok := q.all[e.key()]; !ok {
		q.each[e.By]++
	}
	q.all[e.key()] = e
}

func (q *queue) remove(e *queued) {
	delete(q.all, e.key())
	if q.each[e.By]--; q.each[e.By] <= 0 {
		delete(q.each, e.By)
	}
}

// settle ends a reservation.
func (q *queue) settle(e *queued, written bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.written = written
	if written {
		q.enqueue(e, time.Time{})
	} else {
		q.remove(e)
	}
	close(e.durable)
}

// restore takes over a scan that was written down before.
func (q *queue) restore(s Scan, now time.Time) {
	e := &queued{Scan: s, durable: make(chan struct{}), written: true, place: -1, wanted: now}
	close(e.durable)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(e)
	q.enqueue(e, now)
}

// enqueue lets a scan wait for its turn, or for its time.
func (q *queue) enqueue(e *queued, now time.Time) {
	switch wait := e.Next.Sub(now); {
	case !e.Next.IsZero() && wait > 0 && wait <= longestPause:
		heap.Push(&q.later, e)
	case e.Deaths > 0:
		q.suspect.push(e.By, e.key())
	case e.Background:
		q.back.push(e.By, e.key())
	default:
		q.asked.push(e.By, e.key())
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// find returns the scan as it is now.
func (q *queue) find(key string) (Scan, *queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, ok := q.all[key]
	if !ok {
		return Scan{}, nil, false
	}
	return e.Scan, e, true
}

// want says that somebody waits for the scan: it goes before the background, and
// one that failed is tried again soon, at once with another credential.
func (q *queue) want(e *queued, cred Credential, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.wanted = now
	other := !e.Credential.same(cred)
	if e.Background {
		e.Background = false
		if e.written && e.State == ScanWaiting && e.Deaths == 0 && e.place < 0 {
			q.asked.push(e.By, e.key()) // its place in the background's line is passed over
		}
	}
	if e.State != ScanFailed || e.place < 0 {
		return
	}
	soon := e.begun.Add(shortestPause)
	if other {
		e.Credential, soon = cred, now
	}
	if soon.Before(e.Next) {
		e.Next = soon
		heap.Fix(&q.later, e.place)
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// take returns the next scan to be done, or how long there is none.
func (q *queue) take(now time.Time) (e *queued, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.later) > 0 {
		first := q.later[0]
		if pause := first.Next.Sub(now); pause > 0 && pause <= longestPause {
			break
		}
		heap.Pop(&q.later)
		first.Next = time.Time{}
		q.enqueue(first, now)
	}
	if q.alone {
		return nil, time.Second
	}
	if !q.suspect.empty() {
		if q.running > 0 {
			return nil, time.Second
		}
		if e = q.pop(&q.suspect); e != nil {
			q.alone = true
		}
	}
	if e == nil {
		e = q.pop(&q.asked)
	}
	if e == nil {
		e = q.pop(&q.back)
	}
	if e == nil {
		return nil, time.Second // a clock that jumps is noticed by then
	}
	e.State, e.begun = ScanRunning, now
	q.running++
	return e, 0
}

// pop returns the first of a line that still waits.
func (q *queue) pop(l *line) *queued {
	for {
		key, ok := l.pop()
		if !ok {
			return nil
		}
		if e, ok := q.all[key]; ok && e.written && e.State != ScanRunning && e.place < 0 {
			return e
		}
	}
}

// put writes back what came of a scan that take has returned, and lets it wait
// again; done removes it.
func (q *queue) put(e *queued, s Scan, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release()
	s.Background = s.Background && e.Background
	e.Scan = s
	q.enqueue(e, now)
}

func (q *queue) done(e *queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release()
	q.remove(e)
}

// abandoned reports whether nobody has asked for the scan for long.
func (q *queue) abandoned(e *queued, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return now.Sub(e.wanted) > keptWanting
}

func (q *queue) release() {
	q.running--
	if q.running == 0 {
		q.alone = false
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// begin notes that an attempt begins, and returns the scan as it is to be written
// down before that.
func (q *queue) begin(e *queued) Scan {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.Attempts++
	e.Deaths++
	return e.Scan
}

// join takes a place among those that are told when the scan has ended. It
// reports false where there is none left, or who asks has one already.
func (q *queue) join(e *queued, who string, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.Contains(e.waiters, who) || len(e.waiters) >= most {
		return false
	}
	e.waiters = append(e.waiters, who)
	return true
}

// leave gives the place up again.
func (q *queue) leave(e *queued, who string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.waiters = slices.DeleteFunc(e.waiters, func(w string) bool { return w == who })
}

// await waits until the scan is written down. That takes a commit, never a scan.
func (q *queue) await(ctx context.Context, e *queued) (written bool, err error) {
	select {
	case <-e.durable:
		return e.written, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
