package rehydrate

import (
	"slices"
	"sort"
	"sync"
	"time"

	"touchstone.dev/touchstone"
)

// Hours are the times in which something may be replaced: the windows, or always
// where there are none, without the freezes. They may be used from many goroutines.
//
// Replacements are spread evenly over open time, not over all of it: else what
// falls due in a closed night would pile up at the next morning's opening. So Hours
// can be read as a clock that runs only while they are open.
type Hours struct {
	both, freezes touchstone.Rules
	always        bool
	share         float64 // of an ordinary week that is open

	mu    sync.Mutex
	spans []span // from epoch on, in order
	until time.Time
}

// span is one time in which the hours are open.
type span struct {
	from, to time.Time
	before   time.Duration // open time before it, since epoch
}

// NewHours returns those of windows and freezes, whatever their environments.
func NewHours(windows, freezes []touchstone.Freeze) *Hours {
	everywhere := func(list []touchstone.Freeze) []touchstone.Freeze {
		out := slices.Clone(list)
		for i := range out {
			out[i].Environments = nil
		}
		return out
	}
	h := &Hours{
		both:    touchstone.Rules{Windows: everywhere(windows), Freezes: everywhere(freezes)},
		freezes: touchstone.Rules{Freezes: everywhere(freezes)},
		always:  len(windows)+len(freezes) == 0, share: 1,
	}
	usual := Hours{both: touchstone.Rules{Windows: unbounded(h.both.Windows), Freezes: unbounded(h.both.Freezes)}}
	if usual.always = len(usual.both.Windows)+len(usual.both.Freezes) == 0; !usual.always {
		const year = 52 * 7 * 24 * time.Hour
		h.share = float64(usual.elapsed(epoch.Add(year))) / float64(year)
	}
	return h
}

// unbounded returns what recurs week after week for ever.
func unbounded(list []touchstone.Freeze) []touchstone.Freeze {
	return slices.DeleteFunc(slices.Clone(list), func(f touchstone.Freeze) bool {
		return f.Weekly == nil || !f.From.IsZero() || !f.Until.IsZero()
	})
}

// Shut reports whether nothing is replaced now, because of a freeze where frozen is
// true, and until when: zero where nothing says.
func (h *Hours) Shut(now time.Time) (shut, frozen bool, until time.Time) {
	if h == nil || h.always {
		return false, false, time.Time{}
	}
	opens, known := h.both.Opens("", nil, now)
	if known && opens.Equal(now) {
		return false, false, time.Time{}
	}
	thaws, thawsKnown := h.freezes.Opens("", nil, now)
	return true, !thawsKnown || !thaws.Equal(now), opens
}

// Frozen reports whether a freeze holds, and until when: zero where nothing says.
func (h *Hours) Frozen(now time.Time) (bool, time.Time) {
	if h == nil || len(h.freezes.Freezes) == 0 {
		return false, time.Time{}
	}
	thaws, known := h.freezes.Opens("", nil, now)
	return !known || !thaws.Equal(now), thaws
}

// epoch is when the clock of open time begins. Before it all time is open.
var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// farthest is how long after epoch nobody looks any more; from then on all time is
// open.
const farthest = 40 * 366 * 24 * time.Hour

// elapsed returns how much open time there was from epoch to t.
func (h *Hours) elapsed(t time.Time) time.Duration {
	if h == nil || h.always || !t.After(epoch) {
		return t.Sub(epoch)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.extend(t)
	i := sort.Search(len(h.spans), func(i int) bool { return h.spans[i].from.After(t) })
	if i == 0 {
		return 0
	}
	s := &h.spans[i-1]
	return s.before + min(t.Sub(s.from), s.to.Sub(s.from))
}

// at returns the first moment at which so much open time has elapsed since epoch.
// It is zero where the hours do not open for so long.
func (h *Hours) at(elapsed time.Duration) time.Time {
	if h == nil || h.always || elapsed <= 0 {
		return epoch.Add(elapsed)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.holds(elapsed) {
		if !h.extend(h.until.Add(60 * 24 * time.Hour)) {
			return time.Time{}
		}
	}
	i := sort.Search(len(h.spans), func(i int) bool { return h.spans[i].before > elapsed })
	s := &h.spans[i-1] // the first begins with nothing before it
	return s.from.Add(elapsed - s.before)
}

func (h *Hours) holds(elapsed time.Duration) bool {
	if len(h.spans) == 0 {
		return false
	}
	s := &h.spans[len(h.spans)-1]
	return s.before+s.to.Sub(s.from) >= elapsed
}

// extend finds the open times up to t, and reports whether there may be more. The
// last one may end where the next begins.
func (h *Hours) extend(t time.Time) bool {
	if h.until.IsZero() {
		h.until = epoch
	}
	end := epoch.Add(farthest)
	for h.until.Before(t) && h.until.Before(end) {
		opens, known := h.both.Opens("", nil, h.until)
		if !known {
			h.until = end
			break
		}
		closes, closing := h.both.Closes("", nil, opens)
		if !closing {
			closes = end
		}
		h.spans = append(h.spans, span{opens, closes, h.total()})
		h.until = closes
	}
	return h.until.Before(end)
}

func (h *Hours) total() time.Duration {
	if len(h.spans) == 0 {
		return 0
	}
	s := &h.spans[len(h.spans)-1]
	return s.before + s.to.Sub(s.from)
}
