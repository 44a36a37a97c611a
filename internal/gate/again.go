package gate

import (
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/rules"
)

// again is what a Door remembers for deciding again.
type again struct {
	mu            sync.Mutex        // one Reconsider at a time
	known         string            // of the ground that the last one stood on
	summary, next *advisory.Summary // of the advisories that it considered, and of those that it does now

	parsing sync.Mutex
	parsed  map[touchstone.Digest]*touchstone.Rules
}

// mostParsed is how many versions of the rules are kept in memory.
const mostParsed = 8

// rules returns the rules of a file that were in force once. The moment tells only
// of what to warn, so that rules are the same whenever they are read.
func (a *again) rules(source []byte, at time.Time) (*touchstone.Rules, error) {
	digest := touchstone.DigestOf(source)
	a.parsing.Lock()
	defer a.parsing.Unlock()
	if r, ok := a.parsed[digest]; ok {
		return r, nil
	}
	r, _, err := rules.Load(rules.DefaultFile, source, at)
	if err != nil {
		return nil, err
	}
	if a.parsed == nil || len(a.parsed) >= mostParsed {
		a.parsed = map[touchstone.Digest]*touchstone.Rules{}
	}
	a.parsed[digest] = r
	return r, nil
}
