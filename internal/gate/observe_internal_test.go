package gate

import (
	"testing"
	"time"
)

// What ran before the gate came is told from what came after it, by times of whole
// seconds; for a day.
func TestRanBefore(t *testing.T) {
	came := time.Date(2026, 11, 29, 12, 0, 30, 900e6, time.UTC)
	for _, c := range []struct {
		started string
		since   time.Time
		now     time.Time
		want    bool
	}{
		{"a second earlier", came.Add(-time.Second).Truncate(time.Second), came.Add(time.Minute), true},
		{"within that second, perhaps later", came.Truncate(time.Second), came.Add(time.Minute), false},
		{"later", came.Add(time.Second), came.Add(time.Minute), false},
		{"long before, and found late", came.Add(-time.Hour), came.Add(dayOne), false},
	} {
		s := snapshot{g: &ground{now: c.now}}
		if got := s.before(&Observed{Running: Running{Since: c.since}}, came); got != c.want {
			t.Errorf("%s: %t", c.started, got)
		}
	}
}
