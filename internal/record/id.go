package record

import (
	"time"

	"github.com/oklog/ulid/v2"
)

// NewID returns a new ULID (github.com/ulid/spec) of the moment: 26 characters
// that sort by time. Of two that one process makes in the same millisecond the
// later sorts later. A moment before 1970 counts as 1970.
func NewID(now time.Time) string {
	var ms uint64
	if now.Unix() >= 0 {
		ms = ulid.Timestamp(now)
	}
	for ms = min(ms, ulid.MaxTime()); ; ms-- {
		if id, err := ulid.New(ms, ulid.DefaultEntropy()); err == nil {
			return id.String()
		} // else the millisecond has no larger numbers left
	}
}
