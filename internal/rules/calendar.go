package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

func freezeKeys() []string {
	return []string{"name", "environments", "from", "until", "every", "zone", "owner", "because"}
}

func windowKeys() []string {
	return []string{"name", "environments", "every", "zone", "because"}
}

// calendar reads the freezes of a file, or its windows.
func (l *loader) calendar(n *node, keys []string, what string) []touchstone.Freeze {
	if n == nil {
		return nil
	}
	return l.freezes(n, keys, what, l.rules.Environments)
}

// freezes reads a list of times in which an environment is closed, or open.
func (r *reader) freezes(n *node, keys []string, what string, environments []string) []touchstone.Freeze {
	if n.kind != kindList {
		r.fault(n, what+"s must be a list, not "+n.kind.String(), "- {environments: [prod], every: Fri 16:00 to Mon 08:00, zone: Europe/Berlin, because: …}")
		return nil
	}
	out := make([]touchstone.Freeze, 0, len(n.items))
	for i, item := range n.items {
		if !r.keys(item, keys, "a "+what) {
			continue
		}
		f := r.freeze(item, what, environments)
		if f.ID == "" {
			f.ID = "the " + what + " " + itoa(i+1) + " of the rules"
		}
		out = append(out, f)
	}
	return out
}

// freeze reads one.
func (r *reader) freeze(n *node, what string, environments []string) touchstone.Freeze {
	var f touchstone.Freeze
	before := len(r.problems)
	zone := r.zone(n.get("zone"))
	for _, e := range n.entries {
		switch e.key.text {
		case "name":
			f.ID, _ = r.word(e.value, "name")
		case "owner":
			f.Owner, _ = r.word(e.value, "owner")
		case "because":
			f.Reason, _ = r.word(e.value, "because")
		case "environments":
			f.Environments, _ = r.words(e.value, "environments")
			for i, env := range f.Environments {
				r.environment(e.value.items[i], env, environments)
			}
			if len(f.Environments) == 0 && e.value.kind == kindList {
				r.fault(e.value, "environments is empty", "name them, or leave the key out for all of them")
			}
		case "from":
			f.From = r.dayIn(e.value, "from", zone, 0)
		case "until":
			f.Until = r.dayIn(e.value, "until", zone, 1) // to the end of that day
		case "every":
			f.Weekly = r.every(e.value, zone)
		}
	}
	switch {
	case len(r.problems) > before:
	case f.Weekly == nil && f.From.IsZero() && f.Until.IsZero():
		r.fault(n, "the "+what+" does not say when it is", "every: Fri 16:00 to Mon 08:00"+map[bool]string{true: ", or from and until"}[what == "freeze"])
	case what == "freeze" && f.Reason == "":
		r.fault(n, "the freeze does not say why", "because: it stands in every refusal, and people follow what they understand")
	default:
		if err := f.Check(); err != nil {
			r.fault(n, err.Error(), "")
		}
	}
	return f
}

// zone returns the time zone that is named; UTC where none is.
func (r *reader) zone(n *node) *time.Location {
	if n == nil {
		return time.UTC
	}
	name, ok := r.word(n, "zone")
	if !ok {
		return time.UTC
	}
	if zone, err := time.LoadLocation(name); err == nil && name != "Local" {
		return zone
	}
	r.fault(n, "there is no time zone "+quote(name), "an IANA name, such as Europe/Berlin or UTC")
	return time.UTC
}

// dayIn reads an instant, or a date in the zone with so many days added.
func (r *reader) dayIn(n *node, what string, zone *time.Location, more int) time.Time {
	t, whole, ok := r.day(n, what)
	if !ok || !whole {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day()+more, 0, 0, 0, 0, zone).UTC()
}

func (r *reader) every(n *node, zone *time.Location) *touchstone.Weekly {
	text, ok := r.word(strung(n), "every")
	if !ok {
		return nil
	}
	w, err := ParseWeekly(text, zone.String())
	if err != nil {
		message, hint, _ := strings.Cut(err.Error(), "\nhint: ")
		r.fault(n, message, hint)
		return nil
	}
	return w
}

// strung makes one word of a list of them: people write [Sat, Sun] too.
func strung(n *node) *node {
	if n.kind != kindList {
		return n
	}
	var days []string
	for _, item := range n.items {
		days = append(days, item.text)
	}
	return &node{line: n.line, column: n.column, kind: kindScalar, text: strings.Join(days, ",")}
}

// everyPattern is days, then from when, and until when.
var everyPattern = regexp.MustCompile(`^([a-z, -]*[a-z])?(?:\s*(\d{1,2}:\d{2}) (?:to|-) (?:([a-z]+) )?(\d{1,2}:\d{2}))?$`)

// ParseWeekly reads a time that recurs each week, in the zone of that IANA name:
//
//	Fri 16:00 to Mon 08:00    from Friday afternoon to Monday morning
//	Sat,Sun                   those days, from midnight to midnight
//	Mon-Fri 18:00 to 08:00    each of these days, to the morning after
//	22:00 to 06:00            every day
//
// The error says what cannot be read, with what to do after "\nhint: ".
func ParseWeekly(text, zone string) (*touchstone.Weekly, error) {
	const hint = "Fri 16:00 to Mon 08:00, or Sat,Sun, or Mon-Fri 18:00 to 08:00"
	parts := everyPattern.FindStringSubmatch(strings.ToLower(strings.Join(strings.Fields(text), " ")))
	if parts == nil || strings.TrimSpace(text) == "" {
		return nil, usage(quote(text)+" is no time of the week", hint)
	}
	w := touchstone.Weekly{Zone: zone}
	for part := range strings.SplitSeq(orElse(strings.TrimSpace(parts[1]), "sun-sat"), ",") {
		first, last, several := strings.Cut(strings.TrimSpace(part), "-")
		from, err := weekday(first)
		if err != nil {
			return nil, err
		}
		to := from
		if several {
			if to, err = weekday(last); err != nil {
				return nil, err
			}
		}
		for d := from; ; d = (d + 1) % 7 {
			if !slices.Contains(w.Days, d) {
				w.Days = append(w.Days, d)
			}
			if d == to {
				break
			}
		}
	}
	if parts[2] != "" {
		var err error
		if w.Start, err = minutes(parts[2]); err != nil {
			return nil, err
		}
		if w.End, err = minutes(parts[4]); err != nil {
			return nil, err
		}
		if w.Start == 24*60 {
			return nil, usage("24:00 begins nothing: it is the end of a day", "write 00:00 of the day after")
		}
	}
	if parts[3] != "" {
		d, err := weekday(parts[3])
		if err != nil {
			return nil, err
		}
		w.ToDay = &d
	}
	if err := w.Check(); err != nil {
		return nil, err
	}
	return &w, nil
}

func weekday(name string) (time.Weekday, error) {
	name = strings.TrimSpace(name)
	for d := time.Sunday; d <= time.Saturday; d++ {
		if long := strings.ToLower(d.String()); len(name) >= 3 && strings.HasPrefix(long, name) {
			return d, nil
		}
	}
	return 0, usage(quote(name)+" is no day of the week", "Mon, Tue, Wed, Thu, Fri, Sat or Sun")
}

func minutes(text string) (int, error) {
	h, m, _ := strings.Cut(text, ":")
	hour, _ := strconv.Atoi(h) // two digits each, says the pattern
	minute, _ := strconv.Atoi(m)
	if minute > 59 || hour*60+minute > 24*60 {
		return 0, usage(quote(text)+" is no time of day", "00:00 to 24:00")
	}
	return hour*60 + minute, nil
}

// calendarText says when nothing new enters, and when alone something does.
func calendarText(r *touchstone.Rules) []titled {
	freezes, windows := titled{title: "Freezes"}, titled{title: "Windows"}
	for i := range r.Freezes {
		freezes.lines = append(freezes.lines, freezeText(&r.Freezes[i]))
	}
	for i := range r.Windows {
		windows.lines = append(windows.lines, freezeText(&r.Windows[i]))
	}
	return []titled{freezes, windows}
}

func freezeText(f *touchstone.Freeze) string {
	s := "all environments"
	if len(f.Environments) > 0 {
		s = strings.Join(f.Environments, ", ")
	}
	if f.Weekly != nil {
		s += ": every " + f.Weekly.String()
	} else {
		s += ":"
	}
	if !f.From.IsZero() {
		s += " from " + f.From.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	if !f.Until.IsZero() {
		s += " until " + f.Until.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	if f.Reason != "" {
		s += ", because " + f.Reason
	}
	if f.Owner != "" {
		s += fmt.Sprintf(" (owner %s)", f.Owner)
	}
	return Printable(s)
}
