//go:build linux

package fanotify

import (
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// once lets the box do something some times by itself, and returns the nanoseconds
// of one.
func once(b *testing.B, in *box, what, path string, times int) float64 {
	b.Helper()
	out := in.must("/helper time " + what + " " + strconv.Itoa(times) + " " + path)
	ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		b.Fatal(out)
	}
	return float64(ns) / float64(times)
}

// BenchmarkCost compares what things take with and without the layer, in turns and by
// the best turn of each: the machine may be busy with something else.
func BenchmarkCost(b *testing.B) {
	in := newBox(b)
	in.must("cp /bin/tiny /vol/tiny; cp /bin/tiny /tiny; echo data > /vol/data; echo data > /new; dd if=/bin/bash of=/vol/lib bs=1k count=100 2>/dev/null; sleep 0.1")
	l, _ := start(b, nil, in)
	for _, test := range []struct{ name, what, path string }{
		{"exec/tiny", "exec", "/bin/tiny"},
		{"exec/dynamic", "exec", "/bin/true"},
		{"exec/of a volume", "exec", "/vol/tiny"},
		{"exec/hashed each time", "fresh", "/tiny"},
		{"open/of the image", "open", "/etc/passwd"},
		{"open/new", "open", "/new"},
		{"open/of a volume", "open", "/vol/data"},
		{"open/an unknown library", "open", "/vol/lib"},
	} {
		b.Run(test.name, func(b *testing.B) {
			bare, execs, all := math.Inf(1), math.Inf(1), math.Inf(1)
			for b.Loop() {
				l.Unwatch(1)
				bare = min(bare, once(b, in, test.what, test.path, 200))
				if err := l.Watch(Subject{ID: 1, PID: in.pid}); err != nil {
					b.Fatal(err)
				}
				once(b, in, test.what, test.path, 2)
				execs = min(execs, once(b, in, test.what, test.path, 200))
				if err := l.Watch(Subject{ID: 1, PID: in.pid, Opens: true}); err != nil {
					b.Fatal(err)
				}
				once(b, in, test.what, test.path, 2)
				all = min(all, once(b, in, test.what, test.path, 200))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bare/1000, "µs-bare")
			b.ReportMetric(execs/1000, "µs-execs-asked")
			b.ReportMetric(all/1000, "µs-opens-asked")
			b.ReportMetric(all/bare, "ratio")
		})
	}
}

// BenchmarkWatch tells what one more subject costs.
func BenchmarkWatch(b *testing.B) {
	in := newBox(b)
	l, c := start(b, nil)
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	id := uint64(0)
	for b.Loop() {
		id++
		c.boxes[id] = in
		if err := l.Watch(Subject{ID: id, PID: in.pid, Opens: true}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(id), "B-kept/op")
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
}
