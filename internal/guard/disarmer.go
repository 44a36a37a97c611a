package guard

import (
	"sync"
	"time"
)

// disarmer bounds how many containers are stopped on a node, so that one wrong
// rule, or one wrong manifest, does not stop everything.
type disarmer struct {
	mu    sync.Mutex
	stops []time.Time // the last ones, oldest first
}

// disarmWindow is the time in which no more than the allowed number are stopped.
const disarmWindow = time.Minute

// mayStop reports whether one more than those in the last minute may be stopped
// now, and counts it if so.
func (d *disarmer) mayStop(most int, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.stops[:0]
	for _, at := range d.stops {
		// What lies ahead is of before the clock was set back: it counts.
		if now.Sub(at) < disarmWindow {
			kept = append(kept, at)
		}
	}
	if d.stops = kept; len(kept) >= most {
		return false
	}
	d.stops = append(d.stops, now)
	return true
}
