package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/admit/load"
)

const (
	known    = 20               // images that were seen and promoted
	waiting  = 10_000           // that wait for a scan
	mostTail = 3.0              // p99 against that of the floor
	mostHeld = 100 << 20        // bytes
	sustain  = 20 * time.Second // at one stretch
	short    = 2 * time.Second  // one of a pair
	promise  = 1000.0           // a second
)

// atTheDoor measures a server as a cluster's API server asks it, 200 at a time over
// TLS. The floor is a process that reads each review and allows it. Both share the
// cores with who asks.
func atTheDoor(ctx context.Context, program string, out io.Writer) error {
	h, err := newHouse(ctx, program)
	if err != nil {
		return err
	}
	defer h.close()
	images, err := h.letIn(ctx)
	if err != nil {
		return err
	}
	var tags, digests []string
	for _, im := range images {
		tags, digests = append(tags, im.tag), append(digests, im.tag+"@"+im.digest)
	}
	var lines []line
	for _, q := range []question{
		{what: "known digests", path: admit.PathValidate, bodies: always(digests), allowed: true},
		{what: "known digests, by a tag that was resolved", path: admit.PathMutate, bodies: always(tags), allowed: true},
	} {
		l, err := h.measure(ctx, q)
		if err != nil {
			return err
		}
		lines = append(lines, l...)
	}
	l, err := h.sustained(ctx, question{path: admit.PathValidate, bodies: always(digests), allowed: true})
	if err != nil {
		return err
	}
	held := h.held()
	lines = append(lines, l, line{"the most memory of the server so far (RssAnon)", "at most 100 MB", megabytes(held), held <= mostHeld})
	more, err := h.crowd(ctx)
	if err != nil {
		return err
	}
	lines = append(append(lines, more...), line{"the most memory with the others waiting", "", megabytes(h.held()), true})
	return show(out, "a cluster's door, 200 in flight", lines)
}

func megabytes(n int64) string { return fmt.Sprintf("%d MB", n>>20) }

// crowd measures what was never seen, while many others wait for a scan.
func (h *house) crowd(ctx context.Context) ([]line, error) {
	asked := 0
	fresh := func(n int) ([][]byte, error) {
		var bodies [][]byte
		for range n {
			body, err := load.Review("shop-"+strconv.Itoa(asked%10), fmt.Sprintf("%s/stuck/app@sha256:%064x", h.registry, asked), asked)
			if err != nil {
				return nil, err
			}
			bodies, asked = append(bodies, body), asked+1
		}
		return bodies, nil
	}
	all, err := fresh(waiting)
	if err != nil {
		return nil, err
	}
	if r := h.run(ctx, admit.PathValidate, all, len(all), false); r.Errors > 0 {
		return nil, fmt.Errorf("%d were not refused: %w", r.Errors, r.First)
	}
	var lines []line
	for _, q := range []question{
		{what: "never seen, 10,000 others waiting for a scan", bodies: fresh, each: 1000},
		{what: "never seen and asked for again, 10,000 waiting", bodies: func(int) ([][]byte, error) { return all, nil }},
	} {
		q.path = admit.PathValidate
		l, err := h.measure(ctx, q)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l...)
	}
	return lines, nil
}

// question is what is asked again and again.
type question struct {
	what, path string
	bodies     func(n int) ([][]byte, error)
	each       int // of a round; as many as two seconds hold when zero
	allowed    bool
}

// always asks about the same images.
func always(images []string) func(int) ([][]byte, error) {
	return func(int) (bodies [][]byte, err error) {
		for i := range 10 * len(images) {
			body, err := load.Review(namespace, images[i%len(images)], i)
			if err != nil {
				return nil, err
			}
			bodies = append(bodies, body)
		}
		return bodies, nil
	}
}

// measure asks the server and the floor by turns.
func (h *house) measure(ctx context.Context, q question) ([]line, error) {
	bodies, err := q.bodies(200)
	if err != nil {
		return nil, err
	}
	n := q.each
	if warm := h.run(ctx, q.path, bodies, 1000, q.allowed); n == 0 {
		n = int(warm.Rate * short.Seconds())
	}
	floors := int(h.floor.run(ctx, bodies, 2000).Rate * short.Seconds())
	var ratios, tails, rates, floorTails, floorRates []float64
	failed := 0
	var first error
	for range rounds {
		if bodies, err = q.bodies(n); err != nil {
			return nil, err
		}
		floor, ours := h.floor.run(ctx, bodies, floors), h.run(ctx, q.path, bodies, n, q.allowed)
		if failed += ours.Errors; first == nil {
			first = ours.First
		}
		ratios = append(ratios, ours.P99.Seconds()/floor.P99.Seconds())
		tails, rates = append(tails, ours.P99.Seconds()*1000), append(rates, ours.Rate)
		floorTails, floorRates = append(floorTails, floor.P99.Seconds()*1000), append(floorRates, floor.Rate)
	}
	lines := []line{
		{q.what + ": p99 against allowing everything", "at most 3.0 ×", fmt.Sprintf("%.1f × (%.0f ms, %.0f/s; floor %.0f ms, %.0f/s)",
			median(ratios), median(tails), median(rates), median(floorTails), median(floorRates)), median(ratios) <= mostTail},
	}
	if failed > 0 {
		lines = append(lines, line{q.what + ": errors", "0", fmt.Sprintf("%d: %v", failed, first), false})
	}
	return lines, ctx.Err()
}

// sustained asks for long.
func (h *house) sustained(ctx context.Context, q question) (line, error) {
	bodies, err := q.bodies(200)
	if err != nil {
		return line{}, err
	}
	total, errs, slowest := 0, 0, promise*1e6
	begun := time.Now()
	for time.Since(begun) < sustain {
		r := h.run(ctx, q.path, bodies, 2000, q.allowed)
		total, errs, slowest = total+2000, errs+r.Errors, min(slowest, r.Rate)
		if ctx.Err() != nil {
			return line{}, ctx.Err()
		}
	}
	rate := float64(total) / time.Since(begun).Seconds()
	return line{"known digests for 20 s", "1000/s, 0 errors", fmt.Sprintf("%.0f/s (the slowest 2,000: %.0f/s), %d errors", rate, slowest, errs), rate >= promise && errs == 0}, nil
}
