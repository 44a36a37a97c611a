package gate

import (
	"sync"
	"time"

	"touchstone.dev/touchstone"
)

// Event is something that happened at the door. Exactly the fields of its kind
// are set.
type Event struct {
	Kind     string                   `json:"kind"` // decision, scan, guard
	At       time.Time                `json:"at"`
	Decision *Decided                 `json:"decision,omitempty"`
	Scan     *Scan                    `json:"scan,omitempty"`  // as it was then
	Seen     *Seen                    `json:"seen,omitempty"`  // set when the scan has succeeded
	Guard    *touchstone.RuntimeEvent `json:"guard,omitempty"` // as it was written down
}

// events hands what happens to those who listen. Nobody at the door waits for
// them.
type events struct {
	mu        sync.Mutex
	listeners map[chan Event]bool
}

// behind is how many events somebody who listens may be behind.
const behind = 256

// Subscribe returns what happens from now on, until cancel is called. Who reads
// too slowly is dropped: the channel is closed.
func (d *Door) Subscribe() (happens <-chan Event, cancel func()) {
	ch := make(chan Event, behind)
	v := &d.events
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.listeners == nil {
		v.listeners = map[chan Event]bool{}
	}
	v.listeners[ch] = true
	return ch, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.drop(ch)
	}
}

func (v *events) drop(ch chan Event) {
	if v.listeners[ch] {
		delete(v.listeners, ch)
		close(ch)
	}
}

func (d *Door) publish(e Event) {
	v := &d.events
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.listeners) == 0 {
		return
	}
	if e.Scan != nil {
		s := *e.Scan
		e.Scan = &s
	}
	for ch := range v.listeners {
		select {
		case ch <- e:
		default:
			v.drop(ch)
		}
	}
}
