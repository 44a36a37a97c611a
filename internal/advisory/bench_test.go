package advisory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/synthetic"
)

// records is how many records the benchmarks use: ADVISORY_RECORDS, else as many
// as take a second. The figures of the project are for 250,000.
func records(b *testing.B) int {
	b.Helper()
	if n, err := strconv.Atoi(os.Getenv("ADVISORY_RECORDS")); err == nil {
		return n
	}
	return 10_000
}

// BenchmarkImport makes an index from archives. Beside the time it reports the
// size of the index against that of the JSON, and the resident memory.
func BenchmarkImport(b *testing.B) {
	archives, err := synthetic.Write(b.TempDir(), records(b), 1)
	if err != nil {
		b.Fatal(err)
	}
	var paths []string
	var bytes int64
	for _, a := range archives {
		paths = append(paths, a.Path)
		bytes += a.Bytes
	}
	b.ResetTimer()
	for b.Loop() {
		f := OpenFolder(b.TempDir())
		report, err := f.Import(context.Background(), paths, ImportOptions{Now: day(2026, 11, 23)})
		if err != nil {
			b.Fatal(err)
		}
		st, err := f.Status()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(st.Size)/float64(bytes), "index/json")
		b.ReportMetric(float64(bytes)/float64(report.Records), "json-bytes/record")
	}
	b.ReportMetric(float64(residentPeak()), "peak-MB")
}

// residentPeak is the largest resident size that the process had, in MB.
func residentPeak() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb / 1024
		}
	}
	return 0
}

// imported is a folder with an index of synthetic advisories.
func imported(b *testing.B) *Folder {
	b.Helper()
	archives, err := synthetic.Write(b.TempDir(), records(b), 1)
	if err != nil {
		b.Fatal(err)
	}
	var paths []string
	for _, a := range archives {
		paths = append(paths, a.Path)
	}
	f := OpenFolder(b.TempDir())
	if _, err := f.Import(context.Background(), paths, ImportOptions{Now: day(2026, 11, 23)}); err != nil {
		b.Fatal(err)
	}
	return f
}

func BenchmarkOpen(b *testing.B) {
	f := imported(b)
	b.ResetTimer()
	for b.Loop() {
		ix, err := f.Index()
		if err != nil {
			b.Fatal(err)
		}
		if err := ix.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMatch asks about 1,000 packages.
func BenchmarkMatch(b *testing.B) {
	ix, err := imported(b).Index()
	if err != nil {
		b.Fatal(err)
	}
	defer ix.Close()
	for _, ecosystem := range []string{"Debian:12", "Alpine:v3.20", "npm"} {
		b.Run(ecosystem, func(b *testing.B) {
			packages := inventory(ix, ecosystem)
			matches := 0
			for b.Loop() {
				k, err := ix.Match(context.Background(), packages, MatchOptions{Now: day(2026, 11, 23)})
				if err != nil {
					b.Fatal(err)
				}
				matches = len(k.Matches)
			}
			b.ReportMetric(float64(matches), "matches")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/1000-packages")
		})
	}
}

// inventory makes 1,000 packages of one ecosystem at versions of which most are
// mended. The index knows three in ten of them.
func inventory(ix *Index, ecosystem string) []touchstone.Package {
	r := rand.New(rand.NewPCG(3, 3))
	q := &query{ix: ix, tiers: map[string][]int8{}}
	list := make([]touchstone.Package, 0, 1000)
	for i := 0; len(list) < cap(list); i++ {
		p := touchstone.Package{Name: fmt.Sprintf("unknown-%d", i), Version: fmt.Sprintf("1.%d.0-1", i), Ecosystem: ecosystem, Path: "x"}
		if i%10 < 3 {
			p.Name = synthetic.Name(50 * i)
			a := names(&p)[0]
			if f, err := ix.look(a, q.tiersOf(a)); err == nil && f != nil && f.pkg.Comparable > 0 {
				n := f.pkg.Comparable
				p.Version = f.pkg.Versions[n-1-r.IntN(n/3+1)] + ".1"
			}
		}
		list = append(list, p)
	}
	return list
}
