package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"touchstone.dev/touchstone/internal/cluster/runtime"
)

// theGuard measures the program as a node's guard, on containers of a containerd of
// its own. It takes root.
func theGuard(ctx context.Context, program string, out io.Writer) error {
	r, err := runtime.Open(ctx)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintln(out, "a node's guard: not measured:", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	n := &guarded{runtime: r, program: program}
	defer n.unpin()
	if err := n.prepare(ctx); err != nil {
		return err
	}
	var lines []line
	for _, measure := range []func(context.Context) ([]line, error){n.execs, n.storm, n.kills, n.crowd, drifts} {
		more, err := measure(ctx)
		if err != nil {
			return errors.Join(err, show(out, "a node's guard, as far as it came", lines))
		}
		lines = append(lines, more...)
	}
	return show(out, "a node's guard", lines)
}

// guarded is a containerd, and what a guard on it needs.
type guarded struct {
	runtime *runtime.Runtime
	program string
	started int // guards and commands, for their names
}

// subject is the image that all containers are of.
const subject = "registry.example/shop/cart:1.4"

func (n *guarded) prepare(ctx context.Context) error {
	// Which rows hold, a guard is told by the name of its cluster.
	rules := `version: 1
environments: [dev, test, prod]
places: [{cluster: blocks, environment: test}]
rules: {run-unknown: {dev: alert, test: block, prod: kill}}
guard: {dry-run: 0d, most-stops: 1000}
`
	if err := os.WriteFile(n.path("touchstone.yaml"), []byte(rules), 0o600); err != nil {
		return err
	}
	archive := n.path("image.tar")
	if err := actorImage(ctx, n.path("actor"), archive); err != nil {
		return fmt.Errorf("making an image: %w", err)
	}
	return n.runtime.Import(ctx, archive)
}

func (n *guarded) path(name string) string { return filepath.Join(n.runtime.Folder(), name) }

// name returns one that was not given out before.
func (n *guarded) name(kind string) string {
	n.started++
	return fmt.Sprintf("%s-%d", kind, n.started)
}

// act has the actor of a container do something, and returns what it tells.
func (n *guarded) act(ctx context.Context, id string, what ...string) (string, error) {
	said, err := n.runtime.Exec(ctx, id, n.name("act"), append([]string{"/actor"}, what...)...)
	return strings.TrimSpace(said), err
}

// waitFor asks every few milliseconds, until the deadline.
func waitFor(ctx context.Context, limit time.Duration, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %s", limit, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// drifts are measured beside the code.
func drifts(ctx context.Context) ([]line, error) {
	var lines []line
	for _, b := range []struct {
		what, name, bound string
		must              func(float64) bool
	}{
		{"an upper directory of 100,000 files compared, first", "BenchmarkFirstScan", "at most 2 s", atMost(2)},
		{"the same again", "BenchmarkNextScan", "", atMost(2)},
		{"one file of it that was written", "BenchmarkCheck", "", atMost(2)},
	} {
		seen, err := benchmark(ctx, "./internal/drift", b.name, "3x", nil)
		if err != nil {
			return nil, err
		}
		d := time.Duration(seen["ns/op"])
		lines = append(lines, line{b.what, b.bound, d.Round(max(d/100, time.Microsecond)).String(), b.must(d.Seconds())})
	}
	return lines, nil
}
