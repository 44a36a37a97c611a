package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/packages"
	"touchstone.dev/touchstone/internal/inspect/secrets"
	"touchstone.dev/touchstone/internal/inspect/surface"
)

// reading is all readers that want a file looking at it, one after another.
type reading struct {
	*job
	collector *collector
	found     finding
	at        atomic.Int32 // which reader is at work
}

// The readers, as gaps name them.
const (
	bySurface int32 = iota
	bySecrets
	byPackages
)

func readerName(i int32) string { return [...]string{"surface", "secrets", "packages"}[i] }

// read has the readers look at a file, and keeps what they find. A reader that
// panics is a gap, and the others go on. When they take too long together, they
// are left behind with a gap for all.
func (c *collector) read(j *job) {
	r := &reading{job: j, collector: c, found: finding{path: j.path, number: j.number, facts: j.facts}}
	if c.within(func(ctx context.Context) { r.run(ctx) }, func(reason string) { c.lose(j, readerName(r.at.Load()), reason) }) {
		c.in.held.Release(j.cost) // the memory is the garbage collector's, once the reader ends
		return
	}
	c.in.drop(j)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepFinding(r.found)
}

func (r *reading) run(ctx context.Context) {
	c := r.collector
	if r.wants.surface {
		r.attempt(bySurface, func() { r.found.facts = surface.Look(r.path, r.size, r.head(), r.content()) })
	}
	if r.wants.secrets {
		r.attempt(bySecrets, func() { r.found.secrets = secrets.Scan(r.path, r.text(), c.in.config.Key) })
	}
	if r.wants.packages {
		r.attempt(byPackages, func() {
			result := c.in.readers.Read(ctx, packages.Input{Path: r.path, Info: r.info, Content: r.content(), Size: r.size, FS: &c.kept})
			c.keepSymbols(&result)
			r.found.result = result
		})
	}
}

// attempt calls a reader, whose panic is a gap.
func (r *reading) attempt(reader int32, call func()) {
	r.at.Store(reader)
	defer func() {
		if p := recover(); p != nil {
			reason, _, _ := strings.Cut(fmt.Sprint(p), "\n")
			r.found.result.Gaps = append(r.found.result.Gaps, touchstone.Gap{Kind: touchstone.GapFailed, Path: r.path,
				Reader: readerName(reader), Reason: "the reader panicked: " + printable(reason)})
		}
	}()
	call()
}

const (
	// maxStrays is how many readings may be lost before no more are begun.
	maxStrays = 16
	// grace is how long a reading has to heed the end of its context.
	grace = 250 * time.Millisecond
)

// within has a worker do the call within the time limit. lost is told why it was
// not done in time. It returns true when the call was given up and still runs:
// nothing that it uses may be used again.
func (c *collector) within(call func(context.Context), lost func(reason string)) (gone bool) {
	if c.in.workers.strays.Load() >= maxStrays {
		lost("too many readers have not come back")
		return false
	}
	limit := c.in.config.Limits.ReadingTime
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	w := c.in.workers.get()
	w.calls <- func() { call(ctx) }
	select {
	case <-w.done:
		c.in.workers.put(w)
	case <-ctx.Done():
		// What heeds its context ends soon; what does not is left behind.
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-w.done:
			c.in.workers.put(w)
		case <-timer.C:
			gone = true
			c.in.workers.lose(w)
		}
	}
	switch {
	case c.ctx.Err() != nil:
		c.fail(c.ctx.Err())
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		lost(fmt.Sprintf("reading took longer than %s", limit))
	}
	return gone
}

// lose tells a gap whose cause is this machine's as much as the artifact's, so
// that it is not remembered.
func (c *collector) lose(j *job, reader, reason string) {
	c.mu.Lock()
	c.unstable = true
	c.mu.Unlock()
	c.addf(touchstone.GapFailed, j.path, reader, "%s", reason)
}

// workers are goroutines that are used again, because the stacks that readers
// need take long to grow.
type workers struct {
	idle   chan *worker
	strays atomic.Int64 // workers that were given up and have not come back
}

type worker struct {
	calls chan func()
	done  chan struct{}
}

func (p *workers) get() *worker {
	select {
	case w := <-p.idle:
		return w
	default:
	}
	w := &worker{calls: make(chan func()), done: make(chan struct{}, 1)}
	go func() {
		for call := range w.calls {
			call()
			w.done <- struct{}{}
		}
	}()
	return w
}

func (p *workers) put(w *worker) {
	select {
	case p.idle <- w:
	default:
		close(w.calls)
	}
}

// lose gives up a worker that does not come back.
func (p *workers) lose(w *worker) {
	p.strays.Add(1)
	go func() {
		<-w.done
		close(w.calls)
		p.strays.Add(-1)
	}()
}

// close ends the idle ones.
func (p *workers) close() {
	for {
		select {
		case w := <-p.idle:
			close(w.calls)
		default:
			return
		}
	}
}
