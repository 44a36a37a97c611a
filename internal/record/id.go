package record

import (
	"time"

	"github.com/oklog/ulid/v2"
)

// NewID returns a new ULID (github.com/ulid/spec) of the moment: 26 characters
// that sort by time. Of two that one process makes in the same millisecond the
// later sorts later.
func NewID(now time.Time) string {
	ms := ulid.Timestamp(now)
	for {
		id, err := ulid.New(ms, ulid.DefaultEntropy())
		if err == nil {
			return id.String()
		}
		ms++ // the millisecond has no larger numbers left
	}
}
