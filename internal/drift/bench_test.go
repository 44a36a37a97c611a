package drift

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/manifest"
)

// benchFiles is the upper directory of the figures: as many files, in folders of
// 100, of 2 KB each. Nine of ten are copied up and unchanged, the others new.
const (
	benchFiles = 100_000
	benchSize  = 2048
)

// benchUpper makes the upper directory, once for all benchmarks, and the manifest
// of an image with twice as many files.
var benchUpper = sync.OnceValues(func() (string, *manifest.Reader) {
	dir, err := os.MkdirTemp("", "touchstone-drift-bench-*")
	if err != nil {
		panic(err)
	}
	var buf bytes.Buffer
	w := manifest.NewWriter(&buf)
	content := make([]byte, benchSize)
	for i := range 2 * benchFiles {
		folder := fmt.Sprintf("%04d", i/200)
		if i%200 == 0 {
			if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
				panic(err)
			}
			if err := w.Add(&manifest.Entry{Path: []byte(folder), Kind: manifest.Dir, Mode: 0o755, UID: os.Getuid(), GID: os.Getgid()}); err != nil {
				panic(err)
			}
		}
		name := fmt.Sprintf("%s/%03d", folder, i%200)
		copy(content, fmt.Appendf(nil, "%08d", i))
		if i%2 == 0 {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				panic(err)
			}
		}
		if i%20 == 0 {
			continue
		}
		err := w.Add(&manifest.Entry{Path: []byte(name), Kind: manifest.Regular, Mode: 0o644, Size: benchSize, Hashed: true, SHA256: sha256.Sum256(content), UID: os.Getuid(), GID: os.Getgid()})
		if err != nil {
			panic(err)
		}
	}
	if _, err := w.Close(); err != nil {
		panic(err)
	}
	m, err := manifest.Open(buf.Bytes())
	if err != nil {
		panic(err)
	}
	return dir, m
})

// made says that there is something to take away.
var made atomic.Bool

func TestMain(m *testing.M) {
	code := m.Run()
	if made.Load() {
		dir, _ := benchUpper()
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// settled is a clock for which nothing is fresh.
func settled() time.Time { return time.Now().Add(time.Hour) }

func benchScanner(b *testing.B) *Scanner {
	made.Store(true)
	dir, m := benchUpper()
	return newScanner(b, Tree{Path: dir}, Config{Manifest: m, Now: settled})
}

// spent is the processor time of this process so far: the figures hold on a busy
// machine, too.
func spent() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func scanOnce(b *testing.B, s *Scanner) Summary {
	sum, err := s.Scan(context.Background(), func(Finding) error { return nil })
	if err != nil || !sum.Complete {
		b.Fatalf("%+v: %v", sum, err)
	}
	return sum
}

// BenchmarkFirstScan reads an upper directory for the first time. The issue asks
// for 2 seconds at most.
func BenchmarkFirstScan(b *testing.B) {
	floor := hashAlone(b)
	start := spent()
	for b.Loop() {
		s := benchScanner(b)
		scanOnce(b, s)
		b.ReportMetric(float64(s.Size())/benchFiles, "B/file")
		s.Close()
	}
	report(b, start, floor, "×hashing")
}

// BenchmarkNextScan looks at the same again.
func BenchmarkNextScan(b *testing.B) {
	floor := statAlone(b)
	s := benchScanner(b)
	defer s.Close()
	scanOnce(b, s)
	start := spent()
	for b.Loop() {
		if sum := scanOnce(b, s); sum.Read > 0 {
			b.Fatalf("%d files were read again", sum.Read)
		}
	}
	report(b, start, floor, "×stat")
}

// report says what one round took of the processor, and that in terms of a floor.
func report(b *testing.B, start, floor time.Duration, unit string) {
	each := (spent() - start).Seconds() / float64(b.N)
	b.ReportMetric(each, "cpu-s/op")
	b.ReportMetric(each/floor.Seconds(), unit)
}

// BenchmarkCheck looks at one file that was written.
func BenchmarkCheck(b *testing.B) {
	s := benchScanner(b)
	defer s.Close()
	scanOnce(b, s)
	start := spent()
	defer func() { b.ReportMetric(float64((spent()-start).Microseconds())/float64(b.N), "cpu-µs/op") }()
	for i := 0; b.Loop(); i++ {
		_, err := s.Check(context.Background(), func(Finding) error { return nil }, fmt.Sprintf("%04d/%03d", i%1000, i%100*2))
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory says how much a scan holds at most, besides the manifest.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		s := benchScanner(b)
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		most := uint64(0)
		n := 0
		_, err := s.Scan(context.Background(), func(Finding) error {
			if n++; n%1000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(most)/(1<<20), "MiB")
		s.Close()
	}
}

// hashAlone opens and hashes all files, and does nothing else.
func hashAlone(b *testing.B) time.Duration {
	return eachFile(b, func(folder int, name string) {
		fd, err := unix.Openat(folder, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOATIME, 0)
		if err != nil {
			b.Fatal(err)
		}
		var buf [benchSize]byte
		n, _ := unix.Read(fd, buf[:])
		sha256.Sum256(buf[:n])
		_ = unix.Close(fd)
	})
}

// statAlone stats all files.
func statAlone(b *testing.B) time.Duration {
	return eachFile(b, func(folder int, name string) {
		var st unix.Stat_t
		if err := unix.Fstatat(folder, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			b.Fatal(err)
		}
	})
}

func eachFile(b *testing.B, do func(folder int, name string)) time.Duration {
	made.Store(true)
	dir, _ := benchUpper()
	best, buf := time.Hour, make([]byte, direntBytes)
	for range 3 {
		start := spent()
		folders, err := os.ReadDir(dir)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range folders {
			fd, err := unix.Open(filepath.Join(dir, f.Name()), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				b.Fatal(err)
			}
			names, _, err := readNames(fd, "", nameBytes, buf, func() error { return nil })
			if err != nil {
				b.Fatal(err)
			}
			for _, n := range names {
				do(fd, n)
			}
			_ = unix.Close(fd)
		}
		best = min(best, spent()-start)
	}
	return best
}
