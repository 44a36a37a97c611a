// Command figures is the first half of "make bench": it measures the program as
// people run it, whole processes on real input, against a floor in the same run.
// The second half are the benchmarks beside the code.
//
// A ratio is the median over pairs of runs that follow each other, because the
// speed of a machine drifts. Arguments choose from reading, door, record, ages and
// guard; all of them without any.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	// Whoever has had enough is not to be left with hundreds of containers.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	err := run(ctx, os.Args[1:], os.Stdout)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "make bench:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, which []string, out io.Writer) error {
	if slices.Equal(which, []string{allowing}) {
		return allowAll(out, os.Stdin)
	}
	program, err := filepath.Abs(filepath.Join("bin", "touchstone"))
	if err != nil {
		return err
	}
	busy, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d cores; load average before: %s\n\n", runtime.NumCPU(), strings.Join(strings.Fields(string(busy))[:3], " "))
	for _, part := range []struct {
		name    string
		measure func(context.Context, string, io.Writer) error
	}{{"reading", reading}, {"door", atTheDoor}, {"record", theRecord}, {"ages", ages}, {"guard", theGuard}} {
		if len(which) > 0 && !slices.Contains(which, part.name) {
			continue
		}
		if err := part.measure(ctx, program, out); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintln(out)
	}
	return nil
}

// line is one figure.
type line struct {
	what, must, seen string
	ok               bool
}

// show prints figures beside what they must reach.
func show(out io.Writer, title string, lines []line) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\tmust\tseen\n", title)
	for _, l := range lines {
		mark := ""
		if !l.ok {
			mark = "\t✗ missed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s%s\n", l.what, l.must, l.seen, mark)
	}
	return w.Flush()
}
