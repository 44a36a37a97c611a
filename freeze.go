package touchstone

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Freeze is a time in which nothing new enters an environment.
type Freeze struct {
	ID           string   `json:"id"`                     // ULID, or its name in the rules file
	Environments []string `json:"environments,omitempty"` // empty means all
	// From and Until bound a freeze of once; a zero From has always begun, a
	// zero Until never ends.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Weekly makes it recur, within From and Until.
	Weekly *Weekly `json:"weekly,omitempty"`
	Owner  string  `json:"owner,omitempty"`
	Reason string  `json:"reason"`
}

// Check returns what is wrong with the freeze, and finds the zone of its Weekly.
func (f *Freeze) Check() error {
	if !f.Until.IsZero() && !f.From.Before(f.Until) {
		return errors.New("the freeze ends before it begins")
	}
	if f.Weekly == nil {
		return nil
	}
	return f.Weekly.Check()
}

// in reports whether the freeze is about the environment.
func (f *Freeze) in(environment string) bool {
	return len(f.Environments) == 0 || slices.Contains(f.Environments, environment)
}

// Weekly is a span of wall-clock time that recurs each week: on each of Days from
// Start, until End. An End at or before Start is on the next day; where ToDay is
// set it is on the next such day instead ("Fri 16:00 to Mon 08:00").
//
// A Weekly that was not read from JSON must be given to Check before a decision
// looks at it: Decide opens no file, and so cannot find a zone by its name.
type Weekly struct {
	Days  []time.Weekday `json:"days"`
	Start int            `json:"start"` // minutes since midnight
	End   int            `json:"end"`   // minutes since midnight
	ToDay *time.Weekday  `json:"toDay,omitempty"`
	Zone  string         `json:"zone"` // IANA name, such as "Europe/Berlin"; empty means UTC

	zone *time.Location // of Zone; nil while it is not found
}

// Check returns what is wrong with the span, and finds its zone.
func (w *Weekly) Check() error {
	const midnight = 24 * 60
	odd := func(d time.Weekday) bool { return d < time.Sunday || d > time.Saturday }
	switch {
	case len(w.Days) == 0:
		return errors.New("a weekly time names no day")
	case slices.ContainsFunc(w.Days, odd) || w.ToDay != nil && odd(*w.ToDay):
		return errors.New("a weekly time names a day that no week has: 0 is Sunday, 6 Saturday")
	case w.Start < 0 || w.Start >= midnight || w.End < 0 || w.End > midnight:
		return errors.New("a weekly time begins or ends at no minute of a day: 0 is midnight, 1439 the last")
	}
	return w.locate()
}

// locate finds the zone. The machine's own is none: the same rules would say
// something else on another machine.
func (w *Weekly) locate() error {
	if w.Zone == "Local" {
		return errors.New(`"Local" is the zone of whichever machine reads it` + "\nhint: name it, such as Europe/Berlin or UTC")
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return fmt.Errorf("there is no time zone %q\nhint: an IANA name, such as Europe/Berlin or UTC", w.Zone)
	}
	w.zone = zone
	return nil
}

// location returns the zone, or nil while it is not found.
func (w *Weekly) location() *time.Location {
	if w.zone == nil && (w.Zone == "" || w.Zone == "UTC") {
		return time.UTC
	}
	return w.zone
}

// UnmarshalJSON implements json.Unmarshaler. A zone that is not known is no
// error: what was written must stay readable, and Decide says that it cannot
// tell.
func (w *Weekly) UnmarshalJSON(data []byte) error {
	type plain Weekly
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("reading a weekly time: %w", err)
	}
	*w = Weekly(p)
	_ = w.locate() // see above
	return nil
}

// Equal reports whether both say the same.
func (w Weekly) Equal(other Weekly) bool {
	return w.String() == other.String()
}

// String returns the span as the rules file writes it: "Fri 16:00 to Mon 08:00
// Europe/Berlin".
func (w Weekly) String() string {
	days := make([]string, len(w.Days))
	for i, d := range w.Days {
		days[i] = dayName(d)
	}
	s := strings.Join(days, ",")
	if w.Start != 0 || w.End%(24*60) != 0 || w.ToDay != nil {
		s += " " + clock(w.Start) + " to "
		if w.ToDay != nil {
			s += dayName(*w.ToDay) + " "
		}
		s += clock(w.End)
	}
	if w.Zone == "" {
		return s + " UTC"
	}
	return s + " " + w.Zone
}

func dayName(d time.Weekday) string { return d.String()[:min(3, len(d.String()))] }

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }
