package inspect

import (
	"archive/tar"
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// BenchmarkRead reads an image cold and compares that with the floor, which is
// decompressing its layers side by side and doing nothing with them. Set
// TOUCHSTONE_BENCH_IMAGE to the root file systems (tar, gzip or zstd) that
// shall be the layers of another image, separated by ":".
func BenchmarkRead(b *testing.B) {
	images := map[string]func() *source{"made": func() *source { return benchImage(b) }}
	if paths := os.Getenv("TOUCHSTONE_BENCH_IMAGE"); paths != "" {
		images = map[string]func() *source{"given": func() *source { return filesImage(b, strings.Split(paths, ":")...) }}
	}
	for name, image := range images {
		b.Run(name, func(b *testing.B) {
			src := image()
			in := newInspector(b, Config{})
			var floor, ours, floorCPU, oursCPU time.Duration
			var peak int64
			for b.Loop() {
				wall, cpu := measure(func() { decompressAll(b, src) })
				floor, floorCPU = floor+wall, floorCPU+cpu
				stop := watchMemory()
				wall, cpu = measure(func() { inspect(b, in, src) })
				ours, oursCPU = ours+wall, oursCPU+cpu
				peak = max(peak, stop())
			}
			b.ReportMetric(float64(ours)/float64(floor), "x-floor")
			b.ReportMetric(float64(oursCPU)/float64(floorCPU), "x-cpu") // what holds on a busy machine
			b.ReportMetric(float64(peak)/(1<<20), "MB-anon")
			b.ReportMetric(floor.Seconds()/float64(b.N), "floor-s/op")
		})
	}
}

// BenchmarkKnown finds the evidence of an image that was read before.
func BenchmarkKnown(b *testing.B) {
	src := benchImage(b)
	in := newInspector(b, Config{Store: newStore(b)})
	inspect(b, in, src)
	for b.Loop() {
		inspect(b, in, src)
	}
}

// BenchmarkManySmallFiles reads a layer of many small files.
func BenchmarkManySmallFiles(b *testing.B) {
	files := 200_000
	if n, err := strconv.Atoi(os.Getenv("TOUCHSTONE_BENCH_FILES")); err == nil {
		files = n
	}
	src := smallFiles(b, files)
	in := newInspector(b, Config{})
	var peak int64
	for b.Loop() {
		stop := watchMemory()
		inspect(b, in, src)
		peak = max(peak, stop())
	}
	b.ReportMetric(float64(files*b.N)/b.Elapsed().Seconds(), "files/s")
	b.ReportMetric(float64(peak)/(1<<20), "MB-anon")
}

// measure returns what f took by the clock and of the processors.
func measure(f func()) (wall, cpu time.Duration) {
	start, before := time.Now(), processorTime()
	f()
	return time.Since(start), processorTime() - before
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// decompressAll is the floor.
func decompressAll(b *testing.B, src *source) {
	var group errgroup.Group
	for _, l := range src.layers {
		group.Go(func() error {
			r, err := l.Open(context.Background())
			if err != nil {
				return err
			}
			defer r.Close()
			plain, err := decompress(bufio.NewReaderSize(r, 256<<10))
			if err != nil {
				return err
			}
			defer plain.Close()
			_, err = io.Copy(io.Discard, plain)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// watchMemory returns a function that stops watching and returns the peak of the
// process's anonymous memory in bytes (proc(5), RssAnon).
func watchMemory() func() int64 {
	done, result := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, rssAnon())
			select {
			case <-tick.C:
			case <-done:
				result <- peak
				return
			}
		}
	}()
	return func() int64 { close(done); return <-result }
}

func rssAnon() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "RssAnon:")
	var kb int64
	if _, err := fmt.Sscan(after, &kb); err != nil {
		return 0
	}
	return kb << 10
}

// benchImage makes an image of two layers with some 150 MB of files that
// compress as programs do.
func benchImage(b *testing.B) *source {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]byte, 1<<16)
	for i := range words {
		words[i] = byte(random.IntN(96) + 32)
	}
	var layers [][]byte
	for l := range 2 {
		var files []file
		for i := range 1500 * (l + 1) {
			var content strings.Builder
			for content.Len() < 1<<10<<random.IntN(7) {
				at := random.IntN(len(words) - 64)
				content.Write(words[at : at+4+random.IntN(60)])
			}
			head := ""
			if i%10 == 0 {
				head = "\x7fELF\x02\x01\x01"
			}
			files = append(files, file{name: fmt.Sprintf("usr/lib%d/d%d/f%d", l, i%50, i), content: head + content.String(), mode: 0o755})
		}
		layers = append(layers, makeTar(b, files...))
	}
	return makeImage(b, layers...)
}

// smallFiles makes a layer of n files on disk.
func smallFiles(b *testing.B, n int) *source {
	b.Helper()
	f, err := os.Create(b.TempDir() + "/layer.tar")
	if err != nil {
		b.Fatal(err)
	}
	out := bufio.NewWriterSize(f, 1<<20)
	w := tar.NewWriter(out)
	for i := range n {
		content := strconv.Itoa(i)
		h := &tar.Header{Name: fmt.Sprintf("data/%d/%d/file-%d.json", i%100, i/100%100, i), Mode: 0o644, Size: int64(len(content))}
		if err := w.WriteHeader(h); err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			b.Fatal(err)
		}
	}
	for _, err := range []error{w.Close(), out.Flush(), f.Close()} {
		if err != nil {
			b.Fatal(err)
		}
	}
	return filesImage(b, f.Name())
}

// filesImage makes an image of layers that lie in files and claim nothing.
func filesImage(b testing.TB, paths ...string) *source {
	b.Helper()
	s := &source{artifact: touchstone.Artifact{Kind: touchstone.KindImage, Name: "bench"}}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		s.layers = append(s.layers, artifact.Layer{Size: info.Size(), Open: func(context.Context) (io.ReadCloser, error) { return os.Open(p) }})
	}
	return s
}
