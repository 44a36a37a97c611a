//go:build linux

package fanotify

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// queue lets each subject that has jobs have one step at a time in turn, so that
// none waits for more than one step of each other.
type queue struct {
	layer *Layer

	mu      sync.Mutex
	wake    sync.Cond
	turn    []*subject // those with jobs, the next first
	closed  bool
	workers map[*worker]bool
	hired   int // those not taken for lost
	wanted  int
}

// worker is one goroutine that takes steps.
type worker struct {
	since atomic.Int64 // when its step began, by the runtime's clock; 0 between steps
	doing *subject     // under the queue's lock
	lost  bool         // under the queue's lock: another has been hired in its place
}

const (
	// mostLost bounds the threads that hang in reading files of one subject, and of all.
	mostLost    = 4
	mostLostAll = 64
)

func newQueue(l *Layer) *queue {
	q := &queue{layer: l, workers: make(map[*worker]bool), wanted: l.cfg.Workers}
	q.wake.L = &q.mu
	return q
}

// submit gives an event to the workers, or answers it by the fail setting where too
// many wait already.
func (q *queue) submit(e event, at place, stamp Stamp, links uint32) {
	j := newJob(q.layer, e, at, stamp, links)
	s := at.subject
	if int(s.pending.Add(1)) > q.layer.cfg.Pending {
		q.layer.countUnjudged(s)
		q.layer.troubleOnce(s, "it has more executions waiting than can be judged; they are answered by the fail setting")
		j.tell(!s.failClosed.Load())
		j.finish()
		return
	}
	j.arm()
	q.push(j)
}

func (q *queue) push(j *job) {
	q.mu.Lock()
	s := j.subject
	over := q.closed || s.gone.Load()
	if !over {
		s.line = append(s.line, j)
		if !s.queued {
			s.queued = true
			q.turn = append(q.turn, s)
		}
		q.wake.Signal()
	}
	q.mu.Unlock()
	if over {
		j.finish()
	}
}

// next waits for a job, and marks its subject as being worked on.
func (q *queue) next(w *worker) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.doing = nil
	w.since.Store(0)
	if w.lost {
		w.lost = false
		if q.hired >= q.wanted { // another does its work
			delete(q.workers, w)
			return nil
		}
		q.hired++
	}
	for !q.closed {
		if j := q.pick(); j != nil {
			w.doing = j.subject
			w.since.Store(int64(time.Since(q.layer.started)))
			return j
		}
		q.wake.Wait()
	}
	delete(q.workers, w)
	return nil
}

// pick takes the first job of the subject whose turn it is. Subjects whose files
// make workers hang wait for their timers.
func (q *queue) pick() *job {
	for range len(q.turn) {
		s := q.turn[0]
		q.turn = q.turn[1:]
		if s.hung.Load() >= mostLost {
			q.turn = append(q.turn, s)
			continue
		}
		j := s.line[0]
		s.line[0] = nil
		s.line = s.line[1:]
		if len(s.line) > 0 {
			q.turn = append(q.turn, s)
		} else {
			s.queued, s.line = false, nil
		}
		return j
	}
	return nil
}

// hire starts a worker.
func (q *queue) hire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.hired++
	w := &worker{}
	q.workers[w] = true
	go q.work(w)
}

func (q *queue) work(w *worker) {
	buf := make([]byte, 128<<10)
	for {
		j := q.next(w)
		if j == nil {
			return
		}
		next, pause := j.step(buf)
		q.returned(w)
		switch next {
		case stepAgain:
			q.push(j)
		case stepLater:
			time.AfterFunc(pause, func() { q.push(j) })
		default:
			j.finish()
		}
	}
}

// returned notes that a worker that was taken for lost has come back.
func (q *queue) returned(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.lost && w.doing != nil {
		w.doing.hung.Add(-1)
		w.doing = nil
		q.wake.Signal()
	}
}

// replaceHung hires somebody for each worker that has not come back for as long as
// an answer may take.
func (q *queue) replaceHung() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := int64(time.Since(q.layer.started))
	lost := 0
	for w := range q.workers {
		since := w.since.Load()
		if w.lost {
			lost++
			continue
		}
		if since == 0 || w.doing == nil || now-since < int64(q.layer.cfg.Bound) || lost+len(q.workers) > mostLostAll+q.wanted {
			continue
		}
		w.lost = true
		w.doing.hung.Add(1)
		q.hired--
		q.layer.troubleOnce(w.doing, "reading its files does not come to an end; what waits is answered by the fail setting")
		if q.hired < q.wanted && !q.closed {
			q.hired++
			n := &worker{}
			q.workers[n] = true
			go q.work(n)
		}
	}
}

// dismiss lets everything go on that waits for a subject.
func (q *queue) dismiss(s *subject) {
	q.mu.Lock()
	line := s.line
	s.line, s.queued = nil, false
	q.turn = slices.DeleteFunc(q.turn, func(other *subject) bool { return other == s })
	q.mu.Unlock()
	for _, j := range line {
		j.finish()
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	waiting := slices.Clone(q.turn)
	q.mu.Unlock()
	for _, s := range waiting {
		q.dismiss(s)
	}
	q.wake.Broadcast()
}
