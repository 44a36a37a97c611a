package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// moment writes an instant in the zone of whoever reads it.
func (p *program) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04 MST")
}

// begin reads when something begins, and end when it ends: an instant, a time from
// now, or a day, which begins and ends at midnight UTC.
func (p *program) begin(flag, s string) (time.Time, error) { return p.to(flag, s, 0) }

func (p *program) end(flag, s string) (time.Time, error) { return p.to(flag, s, 1) }

// to reads a moment; of a day it is the midnight so many days after it began.
func (p *program) to(flag, s string, midnight int) (time.Time, error) {
	now := p.now().UTC().Truncate(time.Second)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 100_000 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.AddDate(0, 0, midnight), nil
	}
	return time.Time{}, fmt.Errorf("--%s %s: neither a day (2027-01-31), nor an instant (2027-01-31T16:00:00Z), nor a time from now (30d, 4h)", flag, s)
}
