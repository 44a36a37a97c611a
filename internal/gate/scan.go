package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/record"
)

// How long a scan that failed waits before it is tried again: twice as long each
// time.
const (
	shortestPause = 10 * time.Second
	longestPause  = 10 * time.Minute
)

// keptWanting is how long a scan that fails is tried again although nobody asks for
// it any more.
const keptWanting = 24 * time.Hour

// self is who does what nobody asked for.
const self = "touchstone"

// Run scans what waits, takes up what died, and decides anew what advisories have
// changed for, until the context ends.
func (d *Door) Run(ctx context.Context) error {
	for {
		err := d.load(ctx)
		var forgotten []string
		if err == nil {
			forgotten, err = d.forgotten(ctx)
		}
		if err == nil {
			for _, key := range forgotten {
				d.tellSoon(key)
			}
			break
		}
		d.c.Log.Error("the gate cannot begin to scan", "error", err)
		if !pause(ctx, nil, time.Second) {
			return nil
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { d.watchAdvisories(ctx); return nil })
	group.Go(func() error { d.watchPeople(ctx); return nil })
	for range tellers {
		group.Go(func() error { d.tellAll(ctx); return nil })
	}
	for range d.c.Workers {
		group.Go(func() error { d.work(ctx); return nil })
	}
	return group.Wait()
}

// pause waits for a signal, or as long as given; it reports false when the context
// has ended.
func pause(ctx context.Context, signal <-chan struct{}, long time.Duration) bool {
	t := time.NewTimer(long)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-signal:
	case <-t.C:
	}
	return true
}

// work does one scan after another.
func (d *Door) work(ctx context.Context) {
	for ctx.Err() == nil {
		e, wait := d.queue.take(d.c.Now())
		if e == nil {
			pause(ctx, d.queue.wake, wait)
			continue
		}
		d.scan(ctx, e)
	}
}

// loadScans takes up what waits. What ran when the process ended was begun and
// never ended: its death is counted already.
func (d *Door) loadScans(ctx context.Context) error {
	now := d.c.Now()
	for s, err := range record.List[Scan](ctx, d.c.Store, record.FactQuery{Kind: factScan}) {
		if err != nil {
			return err
		}
		if s.Content.State == ScanRunning {
			s.Content.State = ScanWaiting
		}
		d.queue.restore(s.Content, now)
	}
	return nil
}

// scan does one scan, from its being counted to its end.
func (d *Door) scan(ctx context.Context, e *queued) {
	now := d.c.Now()
	s := d.queue.begin(e)
	key := s.key()
	if err := d.commitScan(ctx, &s); err != nil {
		s.Attempts, s.Deaths = s.Attempts-1, s.Deaths-1
		s.State, s.Next = ScanWaiting, now.Add(shortestPause)
		d.c.Log.Error("a scan cannot be begun", "artifact", key, "error", err)
		d.queue.put(e, s, now)
		return
	}
	d.publish(Event{Kind: "scan", At: now, Scan: &s})
	var all []Inspected
	err := errDied
	if s.Deaths <= d.c.Attempts {
		all, err = d.inspectFor(ctx, &s)
	}
	var unreadable bool
	switch {
	case err == nil:
	case ctx.Err() != nil: // the server ends: nothing was found out
		s.Attempts, s.Deaths, s.State = s.Attempts-1, s.Deaths-1, ScanWaiting
		d.giveBack(e, &s)
		return
	case errors.Is(err, errDied):
		unreadable = s.Deaths >= d.c.Attempts
		s.Problem = fmt.Sprintf("of the scans of it that were begun, %d never ended: %v", min(s.Deaths, d.c.Attempts), err)
	case errors.Is(err, artifact.ErrFalse):
		s.Deaths--
		s.Problem, s.False = err.Error(), true
	case errors.Is(err, artifact.ErrOutside), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		s.Deaths--
		s.Problem, s.False = err.Error(), false
	default:
		unreadable, s.Problem = true, err.Error()
	}
	if unreadable {
		all, err = []Inspected{unread(&s)}, nil
	}
	if err == nil {
		err = d.succeed(ctx, e, &s, all)
		if err == nil {
			return
		}
		s.Deaths = max(0, s.Deaths-1)
		s.Problem = "what was found cannot be written down: " + err.Error()
	}
	now = d.c.Now()
	s.State, s.Next = ScanFailed, now.Add(backoff(s.Attempts))
	if d.queue.abandoned(e, now) && d.abandon(ctx, e, &s) == nil {
		return
	}
	d.giveBack(e, &s)
}

// abandon forgets a scan that fails and that nobody asks for any more. Whoever does
// again has it queued anew.
func (d *Door) abandon(ctx context.Context, e *queued, s *Scan) error {
	change, err := scanChange(d.c.Now(), s)
	if err != nil {
		return err
	}
	change.Facts = []record.Fact{{Kind: factScan, Key: s.key()}}
	waiting, err := d.waiting(ctx, s.key())
	if err != nil {
		return err
	}
	for _, w := range waiting {
		change.Facts = append(change.Facts, record.Fact{Kind: factWaiting, Key: w.Key})
	}
	if _, err := d.c.Store.Commit(ctx, change); err != nil {
		return err
	}
	d.queue.done(e)
	return nil
}

// giveBack writes a scan down that is to be tried again. Where that fails it is
// tried again all the same, and after a crash counted as one that died.
func (d *Door) giveBack(e *queued, s *Scan) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := d.commitScan(ctx, s); err != nil {
		d.c.Log.Error("the state of a scan cannot be written down", "artifact", s.key(), "error", err)
	}
	if s.State == ScanFailed {
		d.c.Log.Warn("a scan has failed", "artifact", s.key(), "attempts", s.Attempts, "next", s.Next, "problem", s.Problem)
	}
	d.queue.put(e, *s, d.c.Now())
	d.publish(Event{Kind: "scan", At: d.c.Now(), Scan: s})
}

func backoff(attempts int) time.Duration {
	return min(longestPause, shortestPause<<min(max(attempts-1, 0), 10))
}

func (d *Door) commitScan(ctx context.Context, s *Scan) error {
	change, err := scanChange(d.c.Now(), s)
	if err != nil {
		return err
	}
	_, err = d.c.Store.Commit(ctx, change)
	return err
}

func scanChange(now time.Time, s *Scan) (record.Change, error) {
	fact, err := s.fact()
	return record.Change{ID: record.NewID(now), Kind: "scan", Actor: self, About: s.key(), Body: fact.Value, Facts: []record.Fact{fact}}, err
}

// succeed writes down what was seen, and tells those who wait.
func (d *Door) succeed(ctx context.Context, e *queued, s *Scan, all []Inspected) error {
	now := d.c.Now()
	seen := &Seen{Repository: s.Repository, Digest: s.Digest, At: now, For: d.c.Platforms}
	for i := range all {
		a, ev := &all[i].Artifact, all[i].Evidence
		if err := d.c.Gate.Inspector.Keep(ev); err != nil {
			return err
		}
		seen.Platforms = append(seen.Platforms, SeenPlatform{Platform: a.Platform, Digest: a.Digest, Config: ev.Config, Evidence: ev.ID})
	}
	body, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("writing down what was seen: %w", err)
	}
	change := record.Change{ID: record.NewID(now), Kind: "scan", Actor: self, About: s.key(), Body: body}
	change.Facts = append(change.Facts, record.Fact{Kind: factScan, Key: s.key()})
	for _, one := range seen.apart() {
		fact, err := record.Put(factSeen, artifactKey(one.Repository, one.Digest), one, "digest:"+string(one.Digest))
		if err != nil {
			return err
		}
		change.Facts = append(change.Facts, fact)
	}
	for i := range all {
		change.Facts = append(change.Facts, holds(s.key(), all[i].Evidence))
	}
	entries, err := d.c.Store.Commit(ctx, change)
	if err != nil {
		return err
	}
	for _, one := range seen.apart() {
		one.seq = entries[0].Seq
		d.keepSeen(artifactKey(one.Repository, one.Digest), one)
	}
	d.queue.done(e)
	d.figures.scans.Add(1)
	d.publish(Event{Kind: "scan", At: now, Scan: s, Seen: seen})
	d.c.Log.Info("scanned", "artifact", s.key(), "platforms", len(seen.Platforms), "attempts", s.Attempts)
	d.tellSoon(s.key())
	return nil
}

// apart returns what was seen, and each image of it by its own digest: nodes may
// name what runs by either.
func (s *Seen) apart() []*Seen {
	out := []*Seen{s}
	for _, p := range s.Platforms {
		if p.Digest != "" && p.Digest != s.Digest {
			out = append(out, &Seen{Repository: s.Repository, Digest: p.Digest, At: s.At, Platforms: []SeenPlatform{p}})
		}
	}
	return out
}
