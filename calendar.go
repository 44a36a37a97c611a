package touchstone

import (
	"slices"
	"time"
)

// calendar is what closes one environment: freezes, and the windows that are the
// only times in which it is open. A freeze beats a window.
type calendar struct {
	freezes, windows []*Freeze
}

// calendar returns that of an environment, with the freezes that people have
// declared besides.
func (r *Rules) calendar(environment string, declared []Freeze) calendar {
	var c calendar
	for _, list := range [][]Freeze{r.Freezes, declared} {
		for i := range list {
			if list[i].in(environment) {
				c.freezes = append(c.freezes, &list[i])
			}
		}
	}
	for i := range r.Windows {
		if r.Windows[i].in(environment) {
			c.windows = append(c.windows, &r.Windows[i])
		}
	}
	return c
}

// Opens returns when something new may next enter the environment as far as
// freezes and windows go, which is now where it is open. It reports false where
// nothing says when: a freeze without an end, a zone that is not known.
func (r *Rules) Opens(environment string, declared []Freeze, now time.Time) (time.Time, bool) {
	return r.calendar(environment, declared).opens(now)
}

// Closes returns when the environment is next closed, which is now where it is. It
// reports false where nothing closes it, as far as anybody looks ahead.
func (r *Rules) Closes(environment string, declared []Freeze, now time.Time) (time.Time, bool) {
	const most = 1000 // as in opens
	c := r.calendar(environment, declared)
	if c.unlocated() != nil {
		return now, true
	}
	for t := now; ; {
		if closed, _, _ := c.closed(t); closed {
			return t, true
		}
		var first time.Time
		c.boundaries(t, func(next time.Time) {
			if next.After(t) && (first.IsZero() || next.Before(first)) {
				first = next
			}
		})
		if first.IsZero() || first.Sub(now) > most*24*time.Hour {
			return time.Time{}, false
		}
		t = first
	}
}

// unlocated returns one whose zone is not known, or nil.
func (c calendar) unlocated() *Freeze {
	for _, list := range [][]*Freeze{c.freezes, c.windows} {
		for _, f := range list {
			if f.Weekly != nil && f.Weekly.location() == nil {
				return f
			}
		}
	}
	return nil
}

// closed reports whether the environment is closed at t, by which freeze (nil
// where no window is open), and until when at least: zero where there is no end.
// It stays closed until then.
func (c calendar) closed(t time.Time) (is bool, by *Freeze, until time.Time) {
	for _, f := range c.freezes {
		covers, end := f.at(t, true)
		switch {
		case !covers:
		case by == nil:
			by, until = f, end
		case !until.IsZero() && (end.IsZero() || end.After(until)):
			by, until = f, end
		}
	}
	if by != nil {
		return true, by, until
	}
	for _, f := range c.windows {
		covers, start := f.at(t, false)
		if covers {
			return false, nil, time.Time{}
		}
		if !start.IsZero() && (until.IsZero() || start.Before(until)) {
			until = start
		}
	}
	return len(c.windows) > 0, nil, until
}

// opens returns the first moment from t on at which the environment is open.
func (c calendar) opens(t time.Time) (time.Time, bool) {
	const most = 1000 // some two years of a freeze on each working day
	if c.unlocated() != nil {
		return time.Time{}, false
	}
	for range most {
		closed, _, until := c.closed(t)
		if !closed {
			return t, true
		}
		if until.IsZero() {
			return time.Time{}, false
		}
		t = until
	}
	return time.Time{}, false
}

// boundaries calls f with the next moment at which each freeze or window begins
// or ends.
func (c calendar) boundaries(t time.Time, f func(time.Time)) {
	for _, one := range c.freezes {
		_, next := one.at(t, true)
		f(next)
	}
	for _, one := range c.windows {
		_, next := one.at(t, false)
		f(next)
	}
}

// at reports whether the freeze covers t, and when that next changes: zero for
// never. wide is true where a wall-clock time that comes twice, when clocks are
// set back, is to make the span longer.
func (f *Freeze) at(t time.Time, wide bool) (covers bool, next time.Time) {
	switch {
	case !f.Until.IsZero() && !t.Before(f.Until):
		return false, time.Time{}
	case t.Before(f.From):
		covers, next := f.at(f.From, wide)
		if covers {
			next = f.From
		}
		return false, next
	case f.Weekly == nil:
		return true, f.Until
	}
	covers, next = f.Weekly.at(t, wide)
	switch {
	case f.Until.IsZero() || next.Before(f.Until):
		return covers, next
	case covers:
		return true, f.Until
	default:
		return false, time.Time{} // what comes next begins after the end
	}
}

// at is Freeze.at without its bounds.
func (w *Weekly) at(t time.Time, wide bool) (covers bool, next time.Time) {
	zone := w.location()
	if zone == nil {
		return false, time.Time{}
	}
	local := t.In(zone)
	// A span runs for at most a week, and a day more where clocks are set back. What
	// comes next begins within a week, or the one after where clocks skip it whole.
	for ahead := -8; ahead <= 15; ahead++ {
		if ahead > 1 && !next.IsZero() {
			break
		}
		date := time.Date(local.Year(), local.Month(), local.Day()+ahead, 0, 0, 0, 0, time.UTC)
		if !slices.Contains(w.Days, date.Weekday()) {
			continue
		}
		start := moment(zone, date, w.Start, !wide)
		end := moment(zone, date.AddDate(0, 0, w.length(date.Weekday())), w.End, wide)
		switch {
		case !start.Before(end), !t.Before(end): // empty, or over
		case !t.Before(start):
			if !covers || end.After(next) {
				covers, next = true, end
			}
		case !covers && (next.IsZero() || start.Before(next)):
			next = start
		}
	}
	return covers, next
}

// length returns how many days after a day a span that begins there ends.
func (w *Weekly) length(from time.Weekday) int {
	days := 0
	if w.ToDay != nil {
		days = (int(*w.ToDay) - int(from) + 7) % 7
		if days == 0 && w.End <= w.Start {
			days = 7
		}
	} else if w.End <= w.Start {
		days = 1
	}
	return days
}

// moment returns when clocks in the zone show the minute of the date. A time that
// they skip is the moment at which they are set forward; of one that they show
// twice, late says which is meant.
func moment(zone *time.Location, date time.Time, minute int, late bool) time.Time {
	shown := date.Add(time.Duration(minute) * time.Minute) // as if it were UTC
	before, after := offset(zone, shown.Add(-24*time.Hour)), offset(zone, shown.Add(24*time.Hour))
	first, second := shown.Add(-before), shown.Add(-after)
	if second.Before(first) {
		first, second = second, first
	}
	shows := func(t time.Time) bool { return t.Add(offset(zone, t)).Equal(shown) }
	switch {
	case shows(first) && shows(second):
		if late {
			return second
		}
		return first
	case shows(first):
		return first
	case shows(second):
		return second
	}
	set, _ := shown.Add(-before).In(zone).ZoneBounds()
	return set.UTC()
}

// offset returns by how much clocks in the zone are ahead of UTC.
func offset(zone *time.Location, t time.Time) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}
