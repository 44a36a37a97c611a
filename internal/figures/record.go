package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// theRecord measures what works on all that a server remembers, by the benchmarks
// that lie beside the code, at the sizes that the project promises.
func theRecord(ctx context.Context, _ string, out io.Writer) error {
	var lines []line
	for _, b := range []struct {
		what, room, name, time, unit string
		must                         func(float64) bool
		bound, shown                 string
		settings                     []string
	}{
		{"new rules tried on 100,000 containers of 20,000 images", "gate", "BenchmarkSimulate100k", "1x", "s/op", atMost(10), "at most 10 s", "%.1f s", []string{"TOUCHSTONE_BENCH_ARTIFACTS=100000"}},
		{"decided again after advisories that touch 1 % of them", "gate", "BenchmarkReconsider", "3x", "s/op", atMost(1), "at most 1 s", "%.2f s", []string{"TOUCHSTONE_BENCH_ARTIFACTS=100000"}},
		{"decisions appended durably by 64 callers", "sqlite", "BenchmarkCommit/callers=64", "5s", "decisions/s", atLeast(10_000), "at least 10000/s", "%.0f/s", nil},
		{"one million entries verified", "sqlite", "BenchmarkVerify/bodies=false", "1x", "s/million", atMost(5), "at most 5 s", "%.1f s", []string{"TOUCHSTONE_BENCH_ENTRIES=1000000"}},
	} {
		seen, err := benchmark(ctx, "./internal/"+b.room, b.name, b.time, b.settings)
		if err != nil {
			return err
		}
		v, ok := seen[b.unit]
		if !ok {
			return fmt.Errorf("%s tells no %s", b.name, b.unit)
		}
		lines = append(lines, line{b.what, b.bound, fmt.Sprintf(b.shown, v), b.must(v)})
	}
	return show(out, "what is remembered", lines)
}

func atMost(bound float64) func(float64) bool  { return func(v float64) bool { return v <= bound } }
func atLeast(bound float64) func(float64) bool { return func(v float64) bool { return v >= bound } }

// benchmark runs one benchmark and returns what it told, by unit.
func benchmark(ctx context.Context, room, name, time string, settings []string) (map[string]float64, error) {
	pattern := "^" + strings.ReplaceAll(name, "/", "$/^") + "$"
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", time, "-timeout", "25m", room)
	c.Env = append(os.Environ(), settings...)
	told, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, told)
	}
	for l := range bytes.Lines(told) {
		fields := strings.Fields(string(l)) // name, rounds, then a value and its unit, again and again
		if len(fields) < 4 || !strings.HasPrefix(fields[0], name) {
			continue
		}
		seen := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if seen[fields[i+1]], err = strconv.ParseFloat(fields[i], 64); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		return seen, nil
	}
	return nil, fmt.Errorf("%s did not run:\n%s", name, told)
}
