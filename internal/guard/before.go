package guard

import (
	"crypto/sha256"
	"encoding/json"

	"touchstone.dev/touchstone"
)

// before are the differences that a guard before this one has told of, by its journal.
// A restart compares everything anew, and nobody wants to hear all of that again.
type before map[[sha256.Size]byte]bool

// mostBefore bounds how many are known; of what is beyond, it is told again.
const mostBefore = 100_000

// readBefore reads the newest part of the journal.
func readBefore(j *journal) (before, error) {
	told := before{}
	err := j.walkFrom(2, func(e *touchstone.RuntimeEvent) bool {
		if e.Kind == touchstone.EventChange && e.Drift != nil {
			told[differenceKey(e.Running.ID, e.Drift)] = true
		}
		return len(told) < mostBefore
	})
	return told, err
}

// differenceKey is the same for the same difference of the same container.
func differenceKey(container string, d *touchstone.Drift) [sha256.Size]byte {
	text, err := json.Marshal(d)
	if err != nil {
		return [sha256.Size]byte{} // it is made of strings and numbers
	}
	return sha256.Sum256(append([]byte(container+"\n"), text...))
}

// has reports whether a difference was told before.
func (b before) has(s *subject, d *touchstone.Drift) bool {
	return len(b) > 0 && b[differenceKey(s.who().ID, d)]
}
