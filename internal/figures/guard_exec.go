package main

import (
	"context"
	"fmt"
	"strconv"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/bpf"
)

const (
	mostExec   = 1.3
	execsEach  = 300
	stormExecs = 100_000
	stormAlone = 10_000 // by one layer
)

// execs measures what a guard costs a program that its image holds: fork, exec, the
// loader with its library, and exit. Whoever is alone on the machine is measured
// against none, in turns.
func (n *guarded) execs(ctx context.Context) ([]line, error) {
	id := n.name("execs")
	if err := n.runtime.Start(ctx, subject, id, "/actor"); err != nil {
		return nil, err
	}
	kinds := []struct {
		what, bound string
		under       func(ctx context.Context, id string) (time float64, err error)
	}{
		{"both layers", "at most 1.3 ×", n.underGuard()},
		{"fanotify alone", "", n.underGuard("--without", "bpf")},
		{"bpf alone", "", n.underGuard("--without", "fanotify")},
		{"bpf's hooks alone", "", n.underHooks(true, true)},
		{"those without mappings", "", n.underHooks(false, true)},
		{"those without telling of processes", "", n.underHooks(true, false)},
	}
	ratios, took := make([][]float64, len(kinds)), make([][]float64, len(kinds))
	var bare []float64
	for range rounds {
		for i, k := range kinds {
			floor, err := n.execTime(ctx, id)
			if err != nil {
				return nil, err
			}
			ours, err := k.under(ctx, id)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.what, err)
			}
			bare, took[i], ratios[i] = append(bare, floor), append(took[i], ours), append(ratios[i], ours/floor)
		}
	}
	var lines []line
	for i, k := range kinds {
		r := median(ratios[i])
		lines = append(lines, line{
			"a known program executed: " + k.what + ", against none", k.bound,
			fmt.Sprintf("%.2f × (%.0f µs; bare %.0f µs)", r, median(took[i]), median(bare)), k.bound == "" || r <= mostExec,
		})
	}
	return lines, n.runtime.Remove(ctx, id)
}

// execTime returns the microseconds of one.
func (n *guarded) execTime(ctx context.Context, id string) (float64, error) {
	said, err := n.act(ctx, id, "time", strconv.Itoa(execsEach), "/bin/true")
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseFloat(said, 64)
	return ns / 1000, err
}

// underGuard measures it with a guard, which goes without what the arguments say.
func (n *guarded) underGuard(args ...string) func(context.Context, string) (float64, error) {
	return func(ctx context.Context, id string) (float64, error) {
		g, err := n.guard(ctx, append(args, "--cluster", "blocks")...)
		if err != nil {
			return 0, err
		}
		defer n.unpin()
		defer g.stop()
		if err := g.watches(ctx, 1); err != nil {
			return 0, err
		}
		if _, err := n.execTime(ctx, id); err != nil { // the first is verified
			return 0, err
		}
		return n.execTime(ctx, id)
	}
}

// underHooks measures it with nothing but what lies in the kernel.
func (n *guarded) underHooks(mappings, told bool) func(context.Context, string) (float64, error) {
	return func(ctx context.Context, id string) (float64, error) {
		defer n.unpin()
		l, err := bpf.Open(bpf.Config{Folder: pins, Mappings: mappings})
		if err != nil {
			return 0, err
		}
		defer func() { _ = l.Close() }() // what is pinned goes with unpin
		pid, err := n.runtime.PID(ctx, id)
		if err != nil {
			return 0, err
		}
		identity, err := l.Identify(pid)
		if err != nil {
			return 0, err
		}
		if err := l.Watch(1, identity, bpf.Mode{Execs: told, Forks: told, Exits: told}); err != nil {
			return 0, err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			for _, err := range l.Events(ctx) { // so that there is room for more
				if err != nil {
					return
				}
			}
		}()
		return n.execTime(ctx, id)
	}
}

// storm executes what no image holds.
func (n *guarded) storm(ctx context.Context) ([]line, error) {
	id := n.name("storm")
	if err := n.runtime.Start(ctx, subject, id, "/actor"); err != nil {
		return nil, err
	}
	var lines []line
	for _, k := range []struct {
		what  string
		execs int
		args  []string
	}{
		{"both layers", stormExecs, nil},
		{"fanotify alone", stormAlone, []string{"--without", "bpf"}},
		{"bpf alone", stormAlone, []string{"--without", "fanotify"}},
	} {
		l, err := n.stormed(ctx, id, k.what, k.execs, k.args)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l...)
	}
	return lines, n.runtime.Remove(ctx, id)
}

func (n *guarded) stormed(ctx context.Context, id, what string, execs int, args []string) ([]line, error) {
	g, err := n.guard(ctx, append(args, "--cluster", "blocks")...)
	if err != nil {
		return nil, err
	}
	defer n.unpin()
	defer g.stop()
	if err := g.watches(ctx, 1); err != nil {
		return nil, err
	}
	said, err := n.act(ctx, id, "storm", strconv.Itoa(execs), "8")
	if err != nil {
		return nil, err
	}
	var ran, refused, killed int
	if _, err := fmt.Sscan(said, &ran, &refused, &killed); err != nil {
		return nil, fmt.Errorf("the storm said %q: %w", said, err)
	}
	lost, err := g.lost(ctx)
	if err != nil {
		return nil, err
	}
	g.stop() // what is still to be told, is told then
	told := 0
	for _, e := range g.told(touchstone.EventRunUnknown) {
		told += max(e.Count, 1)
	}
	what = "unknown programs in a storm of 8 workers, " + what
	return []line{
		{what + ": ran", fmt.Sprintf("0 of %d", execs), fmt.Sprintf("%d (%d refused, %d killed)", ran, refused, killed), ran == 0 && refused+killed == execs},
		{what + ": told, and counted as lost", strconv.Itoa(execs), fmt.Sprintf("%d, %.0f", told, lost), told+int(lost) >= execs},
	}, nil
}
