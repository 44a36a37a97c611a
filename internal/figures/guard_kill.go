package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
)

const (
	killed   = 50
	mostStop = 200 * time.Millisecond
)

// kills measures how long containers live after a rule that kills has decided, while
// programs that no image holds are executed in them.
func (n *guarded) kills(ctx context.Context) ([]line, error) {
	g, err := n.guard(ctx)
	if err != nil {
		return nil, err
	}
	defer n.unpin()
	defer g.stop()
	var ids []string
	for range killed {
		ids = append(ids, n.name("kill"))
	}
	if err := n.start(ctx, ids); err != nil {
		return nil, err
	}
	if err := g.watches(ctx, killed); err != nil {
		return nil, err
	}
	for _, id := range ids {
		_, _ = n.act(ctx, id, "drop") // it does not live to tell how that went
	}
	took := make(map[string]time.Duration)
	err = waitFor(ctx, time.Minute, "all containers are stopped", func() bool {
		for _, e := range g.told(touchstone.EventRunUnknown) {
			for _, s := range e.Steps {
				if s.Do == touchstone.DeedStopped && s.Problem == "" {
					took[e.Running.ID] = s.At.Sub(e.At)
				}
			}
		}
		return len(took) == killed
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %d of %d\n%s", err, len(took), killed, g.said.String())
	}
	var all []time.Duration
	for _, d := range took {
		all = append(all, d)
	}
	half, most := percentile(all, 50), percentile(all, 99)
	return []line{{
		fmt.Sprintf("from a rule's kill to the container stopped, %d of them: p99", killed), "at most 200 ms",
		fmt.Sprintf("%d ms (p50 %d ms)", most.Milliseconds(), half.Milliseconds()), most <= mostStop,
	}}, n.runtime.Remove(ctx, ids...)
}

// start starts containers, some at a time.
func (n *guarded) start(ctx context.Context, ids []string) error {
	var g errgroup.Group
	g.SetLimit(4)
	for _, id := range ids {
		g.Go(func() error { return n.runtime.Start(ctx, subject, id, "/actor") })
	}
	return g.Wait()
}

// percentile returns the least value that p percent are not above.
func percentile(all []time.Duration, p int) time.Duration {
	s := slices.Sorted(slices.Values(all))
	return s[min(len(s)-1, (len(s)*p+99)/100-1)]
}
