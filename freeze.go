package touchstone

import "time"

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

// Weekly is a span of wall-clock time that recurs each week: on each of Days from
// Start, until End. An End at or before Start is on the next day; where ToDay is
// set it is on the next such day instead ("Fri 16:00 to Mon 08:00").
type Weekly struct {
	Days  []time.Weekday `json:"days"`
	Start int            `json:"start"` // minutes since midnight
	End   int            `json:"end"`   // minutes since midnight
	ToDay *time.Weekday  `json:"toDay,omitempty"`
	Zone  string         `json:"zone"` // IANA name, such as "Europe/Berlin"
}
