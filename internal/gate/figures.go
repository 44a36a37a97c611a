package gate

import (
	"fmt"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone"
)

// figures count what happens, since the process began.
type figures struct {
	allowed, undecided, refused, scans atomic.Int64
}

func (f *figures) count(v touchstone.Verdict) {
	switch v {
	case touchstone.Allowed:
		f.allowed.Add(1)
	case touchstone.Undecided:
		f.undecided.Add(1)
	default:
		f.refused.Add(1)
	}
}

// Stats are the figures of a door, for those who watch it.
type Stats struct {
	Waiting       int           // scans that wait for their turn, or to be tried again
	Running       int           // scans that run
	Failed        int           // of those that wait, how many have failed before
	OldestWaiting time.Duration // how long the one has waited that somebody has waited for longest
	Capacity      int           // how many scans may wait
	Scanned       int64         // scans that ended well, since the process began
	Decisions     map[touchstone.Verdict]int64
	Unresolved    int64 // tags that could not be resolved, since the process began
	Observed      int   // containers that run
}

// Stats returns the figures of now.
func (d *Door) Stats() Stats {
	s := Stats{
		Capacity: d.c.Queue, Scanned: d.figures.scans.Load(), Unresolved: d.resolver.failures.Load(),
		Decisions: map[touchstone.Verdict]int64{
			touchstone.Allowed: d.figures.allowed.Load(), touchstone.Undecided: d.figures.undecided.Load(), touchstone.Refused: d.figures.refused.Load(),
		},
	}
	now := d.c.Now()
	d.queue.mu.Lock()
	for _, e := range d.queue.all {
		switch {
		case e.State == ScanRunning:
			s.Running++
			continue
		case e.State == ScanFailed:
			s.Failed++
		case !e.Background:
			s.OldestWaiting = max(s.OldestWaiting, now.Sub(e.Queued))
		}
		s.Waiting++
	}
	d.queue.mu.Unlock()
	d.observed.mu.RLock()
	s.Observed = len(d.observed.all)
	d.observed.mu.RUnlock()
	return s
}

// stuck is how long a scan that somebody waits for may wait before the queue is
// taken for stuck.
const stuck = 10 * time.Minute

// Warnings says what is wrong with the queue of scans, as sentences for people.
func (d *Door) Warnings() []string {
	var out []string
	s := d.Stats()
	if s.OldestWaiting > stuck {
		out = append(out, fmt.Sprintf("a scan that somebody waits for has waited for %s", s.OldestWaiting.Round(time.Second)))
	}
	if s.Waiting+s.Running >= s.Capacity {
		out = append(out, fmt.Sprintf("the queue of scans is full: %d wait", s.Waiting))
	}
	return out
}
