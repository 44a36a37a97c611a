package bpf

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const rounds = 7

// least returns the least of several measurements: what is above it was others'.
func least(measure func() float64) float64 {
	all := make([]float64, rounds)
	for i := range all {
		all[i] = measure()
	}
	return slices.Min(all)
}

// What fork, exec and exit of a known program costs in a container, in processor
// time: the ratio to what it costs without the layer, of a container that is not
// watched, of one that is, and of one whose every process is told of.
func BenchmarkExec(b *testing.B) {
	needKernel(b)
	cost := func(c *container, program string) float64 {
		return least(func() float64 {
			var each float64
			got := c.act("again", "300", program)
			if _, err := fmt.Sscan(got.Output, &each); err != nil {
				b.Fatalf("it ended with %+v", got)
			}
			return each
		})
	}
	l := openLayer(b, nil)
	listen(b, l)
	told := strict
	told.Execs, told.Forks, told.Exits = true, true, true
	kinds := []struct {
		name string
		c    *container
	}{{"unwatched", start(b, l)}, {"enforced", watched(b, l, strict)}, {"told", watched(b, l, told)}}
	for b.Loop() {
		var with []float64
		for _, program := range []string{"/bin/known", "/bin/true"} {
			for _, k := range kinds {
				with = append(with, cost(k.c, program))
			}
		}
		detach(b, l)
		for i, program := range []string{"/bin/known", "/bin/true"} {
			bare := cost(kinds[0].c, program)
			b.ReportMetric(bare/1000, "µs-bare"+program[4:])
			for j, k := range kinds {
				b.ReportMetric(with[i*len(kinds)+j]/bare, k.name+program[4:])
			}
		}
	}
}

// detach takes the hooks away, and waits until the kernel has done so.
func detach(b *testing.B, l *Layer) {
	b.Helper()
	var links []uint32
	for _, hook := range append(hooks(), kernelProgOnCall) {
		a, err := ask(l.programs.folder, hook)
		if err != nil {
			b.Fatal(err)
		}
		links = append(links, a.Link)
		if err := os.Remove(l.programs.folder + "/links/" + hook); err != nil {
			b.Fatal(err)
		}
	}
	if err := poll(func() bool {
		return !slices.ContainsFunc(links, func(id uint32) bool {
			found, err := link.NewFromID(link.ID(id))
			if err == nil {
				found.Close()
			}
			return err == nil
		})
	}); err != nil {
		b.Fatal(err)
	}
}

// What the hook at the end of every system call costs, in processor time.
func BenchmarkSystemCall(b *testing.B) {
	cost := func(call func()) float64 {
		return least(func() float64 {
			begin := spent()
			for range 100000 {
				call()
			}
			return float64(spent()-begin) / 100000
		})
	}
	memory, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		b.Fatal(err)
	}
	calls := map[string]func(){
		"getppid":       func() { unix.Getppid() },
		"mprotect":      func() { unix.Mprotect(memory, unix.PROT_READ) },
		"exec-mprotect": func() { unix.Mprotect(memory, unix.PROT_READ|unix.PROT_EXEC) },
	}
	l := openLayer(b, nil)
	for b.Loop() {
		with := make(map[string]float64)
		for name, call := range calls {
			with[name] = cost(call)
		}
		detach(b, l)
		for name, call := range calls {
			b.ReportMetric(with[name]-cost(call), "ns-more-"+name)
		}
	}
}

func BenchmarkVerifyAll(b *testing.B) {
	l := openLayer(b, func(c *Config) { c.Stamps = 8192 })
	if err := l.Watch(1, Identity{}, Mode{}); err != nil {
		b.Fatal(err)
	}
	stamps := make([]Stamp, 2000)
	for i := range stamps {
		stamps[i] = Stamp{Dev: 40, Ino: uint64(i), Size: int64(i), Mtime: 1, Ctime: 2}
	}
	for b.Loop() {
		if err := l.VerifyAll(1, stamps); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	l := openLayer(b, nil)
	for b.Loop() {
		if _, err := l.Identify(os.Getpid()); err != nil {
			b.Fatal(err)
		}
	}
}

// The memory of this process with 200 subjects of 2000 files each.
func BenchmarkMemory(b *testing.B) {
	l := openLayer(b, func(c *Config) { c.Stamps = 4096 })
	stamps := make([]Stamp, 2000)
	for i := range stamps {
		stamps[i] = Stamp{Dev: 40, Ino: uint64(i), Size: int64(i), Mtime: 1, Ctime: 2}
	}
	for i := range uint64(200) {
		if err := l.Watch(1+i, Identity{Cgroup: 1 << 40, MountNS: 1 << 40}, strict); err != nil {
			b.Fatal(err)
		}
		if err := l.VerifyAll(1+i, stamps); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		_ = l
	}
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssAnon:" {
			kB, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(kB/1000, "MB-anon")
		}
	}
}
