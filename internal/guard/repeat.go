package guard

import (
	"sync"
	"time"

	"touchstone.dev/touchstone"
)

// repeats makes one event of what happens again and again: the first is told at
// once, the rest as a number when their time is over. None is lost: what there is
// no room to tell apart is counted together.
type repeats struct {
	mu      sync.Mutex
	open    map[repeatKey]*repeat
	subject map[uint64]int // how many are open
	ended   []touchstone.RuntimeEvent
}

const (
	// repeatFor is how long the same thing is one event.
	repeatFor = 10 * time.Second
	// mostRepeats is how many different things of one subject are told apart at
	// once.
	mostRepeats = 256
)

// repeatKey tells what is the same.
type repeatKey struct {
	subject uint64
	kind    touchstone.RuntimeEventKind
	thing   string // what was executed, changed or entered; empty for all that there is no room for
}

// repeat is one event that may happen again.
type repeat struct {
	first touchstone.RuntimeEvent
	until time.Time
	more  int // how often since the first
	last  time.Time
}

func newRepeats() *repeats {
	return &repeats{open: map[repeatKey]*repeat{}, subject: map[uint64]int{}}
}

// fresh reports whether this is to be told now; else it was counted. The event is
// remembered only when it is fresh.
func (r *repeats) fresh(key repeatKey, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again(key, now) {
		return false
	}
	if r.subject[key.subject] >= mostRepeats {
		key.thing = ""
		if r.again(key, now) {
			return false
		}
	}
	r.open[key] = &repeat{until: now.Add(repeatFor)}
	r.subject[key.subject]++
	return true
}

// again counts one more of what is open, and reports whether it was. What has been
// open for its time is told anew.
func (r *repeats) again(key repeatKey, now time.Time) bool {
	o := r.open[key]
	if o == nil {
		return false
	}
	if o.first.ID != "" && !now.Before(o.until) {
		r.end(key, o)
		return false
	}
	o.more++
	o.last = now
	return true
}

// end closes what is open, and keeps what is to be told of it.
func (r *repeats) end(key repeatKey, o *repeat) {
	if o.more > 0 && o.first.ID != "" {
		e := o.first
		e.Count, e.Last = o.more, o.last
		r.ended = append(r.ended, e)
	}
	delete(r.open, key)
	if r.subject[key.subject]--; r.subject[key.subject] <= 0 {
		delete(r.subject, key.subject)
	}
}

// told hands over the event that fresh asked for, once all is known of it.
func (r *repeats) told(key repeatKey, e *touchstone.RuntimeEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.open[key]
	if o == nil {
		key.thing = ""
		o = r.open[key]
	}
	if o != nil && o.first.ID == "" {
		o.first = *e
	}
}

// over returns what happened again, of the things whose time is over: one event
// for each, with the number. At the end of the guard, all of them.
func (r *repeats) over(now time.Time, all bool) []touchstone.RuntimeEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, o := range r.open {
		// A clock that was set back must not keep it open for long.
		if !all && now.Before(o.until) && o.until.Sub(now) <= repeatFor {
			continue
		}
		if o.first.ID == "" && !all && now.Sub(o.until) < repeatFor {
			continue // it is being told just now
		}
		r.end(key, o)
	}
	out := r.ended
	r.ended = nil
	return out
}

// isFresh reports whether fresh would: what costs something to find out is found out
// only then.
func (r *repeats) isFresh(key repeatKey, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.open[key]; o != nil {
		return o.first.ID != "" && !now.Before(o.until)
	}
	return r.subject[key.subject] < mostRepeats || r.open[repeatKey{key.subject, key.kind, ""}] == nil
}
