package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// dayFunc writes a moment as a day.
type dayFunc func(time.Time) string

// day writes a moment as a day in the reader's zone.
func (o Options) day(t time.Time) string { return t.In(o.TimeZone).Format(time.DateOnly) }

// clock writes a moment to the minute in the reader's zone, named.
func (o Options) clock(t time.Time) string { return t.In(o.TimeZone).Format("2006-01-02 15:04 MST") }

// aged writes a day and how long ago it was.
func (o Options) aged(t time.Time) string {
	d := o.Now.Sub(t)
	switch {
	case o.Now.IsZero() || d < 0:
		return o.day(t)
	case d < time.Hour:
		return o.day(t) + " (within the hour)"
	case d < 72*time.Hour:
		return fmt.Sprintf("%s (%dh ago)", o.day(t), int(d.Hours()))
	default:
		return fmt.Sprintf("%s (%dd ago)", o.day(t), int(d.Hours()/24))
	}
}

func (s *screen) day(t time.Time) string { return s.o.day(t) }

// counted writes a number with its noun in the right number.
func counted(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return strconv.Itoa(n) + " " + noun[:len(noun)-1] + "ies"
	default:
		return strconv.Itoa(n) + " " + noun + "s"
	}
}

// joined writes a list as a sentence does: "a, b and c".
func joined(items []string, word string) string {
	switch len(items) {
	case 0:
		return ""
	case 1:
		return items[0]
	default:
		last := len(items) - 1
		return strings.Join(items[:last], ", ") + " " + word + " " + items[last]
	}
}

// first writes at most n items and how many more there are.
func first(items []string, n int) string {
	if len(items) <= n {
		return strings.Join(items, ", ")
	}
	return strings.Join(items[:n], ", ") + " and " + strconv.Itoa(len(items)-n) + " more"
}

// size writes a number of bytes for people, in powers of 1000.
func size(n int64) string {
	switch {
	case n < 1000:
		return counted(int(n), "byte")
	case n < 1e6:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
}

// score writes a match's CVSS score.
func score(m *touchstone.Match) string {
	if !m.Scored {
		return "unscored"
	}
	return strconv.FormatFloat(m.Score, 'f', 1, 64)
}

// fixedIn names the version that mends a match.
func fixedIn(m *touchstone.Match) string {
	switch {
	case m.Fixable():
		return m.FixedVersions[0]
	case m.WontFix:
		return "will not be fixed"
	default:
		return "no fix known"
	}
}

// soon writes an urgency; a range where a decision point is unknown.
func soon(u touchstone.Urgency, brief bool) string {
	switch {
	case u.Worst == u.Best:
		return string(u.Worst)
	case brief:
		return string(u.Worst) + "?"
	default:
		return string(u.Best) + " to " + string(u.Worst)
	}
}

// whose says whom an origin concerns.
func whose(o touchstone.Origin) string {
	if o == "" {
		return string(touchstone.OriginUnknown)
	}
	return string(o)
}

// actionable is what to do about a step: "upgrade a 1 to 2".
func (s step) actionable(arrow string) string {
	text := "upgrade " + s.name + " "
	if s.from != "" {
		text += s.from + " " + arrow + " " + s.to
	} else {
		text += "to " + s.to
	}
	switch {
	case len(s.paths) > 1:
		text += " in " + counted(len(s.paths), "place")
	case s.origin == touchstone.OriginBase:
		text += " in the base"
	case s.origin == touchstone.OriginApplication:
		text += " in the application"
	}
	return text
}

// effect says what the step clears of n holes.
func (s step) effect(n int) string {
	if s.closes == 0 {
		return "needed too, for " + counted(s.helps, "vulnerability")
	}
	return "clears " + strconv.Itoa(s.closes) + " of " + strconv.Itoa(n)
}
