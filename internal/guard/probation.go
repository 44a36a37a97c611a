package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/wholefile"
)

// probation keeps a rule that kills from killing until it has been watched for
// long enough without a case: until then it blocks. What it has seen outlasts the
// guard in a file.
type probation struct {
	path string        // of the file
	days time.Duration // how long it must be clean; zero lets it kill at once

	mu    sync.Mutex
	since map[string]clean // by rule, environment and class
}

// clean says since when a rule has been watched without a case.
type clean struct {
	Since time.Time `json:"since"`
}

func openProbation(path string, days time.Duration) (*probation, error) {
	p := &probation{path: path, days: days, since: map[string]clean{}}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return nil, fmt.Errorf("reading how long rules have been watched: %w", err)
	}
	if err := json.Unmarshal(data, &p.since); err != nil {
		// Only caution is lost: every rule is watched anew.
		p.since = map[string]clean{}
	}
	return p, nil
}

func probationKey(rule string, place *touchstone.Place) string {
	return rule + " " + place.Environment + " " + string(place.Class)
}

// watch begins the watch of a rule that kills in a place, if it has none. The
// clock of a machine that was set back begins it anew.
func (p *probation) watch(rule string, place *touchstone.Place, now time.Time) {
	key := probationKey(rule, place)
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.since[key]; ok && !c.Since.After(now) {
		return
	}
	p.since[key] = clean{now}
	p.save()
}

// until returns the moment from which the rule may kill in the place; it is not
// after now where it may.
func (p *probation) until(rule string, place *touchstone.Place, now time.Time) time.Time {
	if p.days <= 0 {
		return now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.since[probationKey(rule, place)]
	if !ok {
		return now.Add(p.days)
	}
	return c.Since.Add(p.days)
}

// tainted begins the watch anew: there was a case. A rule that may kill already
// goes on killing.
func (p *probation) tainted(rule string, place *touchstone.Place, now time.Time) {
	key := probationKey(rule, place)
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.since[key]
	if ok && !now.Before(c.Since.Add(p.days)) {
		return
	}
	if age := now.Sub(c.Since); ok && age >= 0 && age < time.Minute {
		return // a storm of cases is written once a minute
	}
	p.since[key] = clean{now}
	p.save()
}

// setDays takes over another length of the watch.
func (p *probation) setDays(d time.Duration) {
	p.mu.Lock()
	p.days = d
	p.mu.Unlock()
}

// save writes the file; that it cannot be written costs caution at the next start
// and nothing else.
func (p *probation) save() {
	data, err := json.Marshal(p.since)
	if err == nil {
		_ = wholefile.Write(p.path, data, 0o600)
	}
}
