package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	crowdSize  = 200 // containers
	mostMemory = 40 << 20
	mostIdle   = 0.005 // of a core
	mostStart  = 5 * time.Second
	idleFor    = 60 * time.Second
	twoMinutes = 2 * time.Minute
)

// crowd measures a guard of a full node, whose image it has seen before: how soon it
// knows a container that is started, and all of them when it is started itself; what
// it holds, and what it costs while nothing happens.
func (n *guarded) crowd(ctx context.Context) ([]line, error) {
	var ids []string
	for range crowdSize {
		ids = append(ids, n.name("crowd"))
	}
	lines, err := n.crowded(ctx, ids)
	return lines, errors.Join(err, n.runtime.Remove(ctx, ids...))
}

func (n *guarded) crowded(ctx context.Context, ids []string) ([]line, error) {
	soon, err := n.knownSoon(ctx, ids)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	g, err := n.guard(ctx, "--cluster", "blocks")
	if err != nil {
		return nil, err
	}
	defer n.unpin()
	defer g.stop()
	if err := g.watches(ctx, crowdSize); err != nil {
		return nil, err
	}
	all := time.Since(begun)
	pid := g.c.Process.Pid
	// What the start has left to do is done first.
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(idleFor):
	}
	before, most := spent(pid), anonymous(pid)
	for end := time.Now().Add(idleFor); time.Now().Before(end); time.Sleep(time.Second) {
		most = max(most, anonymous(pid))
	}
	idle := (spent(pid) - before).Seconds() / idleFor.Seconds()
	return append(soon,
		line{fmt.Sprintf("%d containers known at the guard's start", crowdSize), "at most 5 s", fmt.Sprintf("%.1f s", all.Seconds()), all <= mostStart},
		line{fmt.Sprintf("the guard's memory with %d containers (RssAnon)", crowdSize), "at most 40 MB", megabytes(most), most <= mostMemory},
		line{"of a core while nothing happens", "below 0.5 %", fmt.Sprintf("%.2f %%", 100*idle), idle < mostIdle},
	), nil
}

// knownSoon starts the containers under a guard that has seen their image.
func (n *guarded) knownSoon(ctx context.Context, ids []string) ([]line, error) {
	g, err := n.guard(ctx, "--cluster", "blocks")
	if err != nil {
		return nil, err
	}
	defer n.unpin()
	defer g.stop()
	const first = 1
	if err := n.start(ctx, ids[:first]); err != nil {
		return nil, err
	}
	if err := g.watches(ctx, first); err != nil {
		return nil, err
	}
	before, err := g.metrics(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.start(ctx, ids[first:]); err != nil {
		return nil, err
	}
	if err := g.watches(ctx, crowdSize); err != nil {
		return nil, err
	}
	now, err := g.metrics(ctx)
	if err != nil {
		return nil, err
	}
	const histogram = "touchstone_guard_known_seconds"
	fast, _ := within(before, now, histogram, "0.01")
	part, seen := within(before, now, histogram, "0.05")
	return []line{{
		"a container known after its start", "99 % within 50 ms",
		fmt.Sprintf("%.1f %% of %.0f (%.0f %% within 10 ms)", 100*part, seen, 100*fast), part >= 0.99,
	}}, nil
}

// spent returns the processor time that a process has had, to a hundredth of a
// second (proc_pid_stat(5)).
func spent(pid int) time.Duration {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from the third on
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100)
}
