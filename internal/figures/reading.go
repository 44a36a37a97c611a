package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const rounds = 5

// reading measures inspections of real images. The floor is decompressing the
// layers of the image with the same library on as many cores, and nothing else:
// neither hashing nor reading.
func reading(ctx context.Context, program string, out io.Writer) error {
	images, err := images(ctx, filepath.Join(".cache", "bench"))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "image\tcompressed\tfloor\tcold\tratio (1.3; 1.4 from three layers)\tmemory (120 MB)\tagain (50 ms)")
	for _, im := range images {
		if im.missing != "" {
			fmt.Fprintf(w, "%s\tleft out: %s\n", im.name, im.missing)
			continue
		}
		f, err := measure(ctx, program, im.path)
		if err != nil {
			return fmt.Errorf("%s: %w", im.name, err)
		}
		fmt.Fprintf(w, "%s\t%d MB\t%.2f s\t%.2f s\t%.2f\t%d MB\t%d ms\n", im.name, f.stored>>20,
			f.floor.Seconds(), f.cold.Seconds(), f.ratio, f.memory>>20, f.again.Milliseconds())
	}
	return w.Flush()
}

// figure is what was measured of one image.
type figure struct {
	stored      int64
	floor, cold time.Duration // medians
	ratio       float64       // median of the pairs
	memory      int64         // the most anonymous memory of a cold run, bytes
	again       time.Duration // median of the runs that find everything known
}

func measure(ctx context.Context, program, image string) (figure, error) {
	var f figure
	var floors, colds, repeats []time.Duration
	var ratios []float64
	for range rounds {
		floor, stored, err := floor(image)
		if err != nil {
			return f, err
		}
		f.stored = stored
		data, err := os.MkdirTemp("", "touchstone-figures-*")
		if err != nil {
			return f, err
		}
		cold, memory, err := inspect(ctx, program, image, data)
		if err == nil {
			var again time.Duration
			again, _, err = inspect(ctx, program, image, data)
			repeats = append(repeats, again)
		}
		if rerr := os.RemoveAll(data); err == nil {
			err = rerr
		}
		if err != nil {
			return f, err
		}
		floors, colds = append(floors, floor), append(colds, cold)
		ratios = append(ratios, cold.Seconds()/floor.Seconds())
		f.memory = max(f.memory, memory)
	}
	f.floor, f.cold, f.again, f.ratio = median(floors), median(colds), median(repeats), median(ratios)
	return f, nil
}

func median[T interface{ ~int64 | ~float64 }](values []T) T {
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2]
}

// inspect runs the program once and returns how long it took and the most
// anonymous memory that it had (RssAnon, proc(5)): mapped files are the kernel's
// to drop.
func inspect(ctx context.Context, program, image, data string) (time.Duration, int64, error) {
	c := exec.CommandContext(ctx, program, "inspect", image, "-o", "json=/dev/null", "--data", data, "--quiet")
	c.Stderr = os.Stderr
	start := time.Now()
	if err := c.Start(); err != nil {
		return 0, 0, err
	}
	done := make(chan struct{})
	most := make(chan int64)
	go watch(c.Process.Pid, done, most)
	err := c.Wait()
	took := time.Since(start)
	close(done)
	return took, <-most, err
}

// watch looks at a process's memory until done is closed, and tells the most.
func watch(pid int, done <-chan struct{}, most chan<- int64) {
	var top int64
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			most <- top
			return
		case <-tick.C:
			top = max(top, anonymous(pid))
		}
	}
}

func anonymous(pid int) int64 {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}
