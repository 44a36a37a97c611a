package sqlite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
)

func open(t testing.TB, c sqlite.Config) *sqlite.Store {
	t.Helper()
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "record.db")
	}
	s, err := sqlite.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// decision is a change as the door makes one: a body of 2 KB that is no other's,
// and a fact with five tags.
func decision(n int) record.Change {
	type reason struct{ Rule, Outcome, Effect, Seen, Allowed, Because string }
	body := struct {
		ID, Verdict string
		Digest      string
		Reasons     []reason
	}{ID: record.NewID(time.Now()), Verdict: "refused", Digest: fmt.Sprintf("sha256:%064x", rand.Uint64())}
	for i := range 12 {
		body.Reasons = append(body.Reasons, reason{"rule-" + strconv.Itoa(i), "fail", "refuse", fmt.Sprintf("CVE-2026-%d in libssl3 %d.%d", rand.IntN(90000), i, n), "at most 8", "what is known to be exploited is not run"})
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	f, err := record.Put("decision", body.ID, map[string]string{"id": body.ID, "verdict": "refused", "environment": "prod", "digest": body.Digest},
		"artifact="+body.Digest, "environment=prod", "verdict=refused", "namespace=shop-"+strconv.Itoa(n%50), "owner=team-"+strconv.Itoa(n%20))
	if err != nil {
		panic(err)
	}
	return record.Change{ID: body.ID, Kind: "decision", Actor: "system:serviceaccount:shop:deployer", About: "registry.example/shop/cart@" + body.Digest, Body: b, Facts: []record.Fact{f}}
}

// BenchmarkCommit commits durably: an operation is one decision.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := open(b, sqlite.Config{})
			changes := make([]record.Change, 4096)
			for i := range changes {
				changes[i] = decision(i)
			}
			var n atomic.Int64
			b.ResetTimer()
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						c := changes[i%int64(len(changes))]
						c.ID = record.NewID(time.Now())
						c.Facts = []record.Fact{c.Facts[0]}
						c.Facts[0].Key = c.ID
						c.Body = bytes.Replace(c.Body, []byte("refused"), fmt.Appendf(nil, "%07d", i), 1)
						if _, err := s.Commit(context.Background(), c); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}

// BenchmarkVerify verifies a log of TOUCHSTONE_BENCH_ENTRIES entries, 50,000
// when that is not set: the chain alone, and with the bodies.
func BenchmarkVerify(b *testing.B) {
	entries := 50_000
	if n, err := strconv.Atoi(os.Getenv("TOUCHSTONE_BENCH_ENTRIES")); err == nil {
		entries = n
	}
	s := open(b, sqlite.Config{})
	for left := entries; left > 0; left -= 1000 {
		changes := make([]record.Change, min(left, 1000))
		for i := range changes {
			changes[i] = decision(i)
			changes[i].Facts = nil
		}
		if _, err := s.Commit(b.Context(), changes...); err != nil {
			b.Fatal(err)
		}
	}
	for _, bodies := range []bool{false, true} {
		b.Run(fmt.Sprintf("bodies=%t", bodies), func(b *testing.B) {
			for range b.N {
				v, err := record.Verify(b.Context(), s, record.Trust{Bodies: bodies})
				if err != nil || !v.OK || v.Entries != uint64(entries) {
					b.Fatal(v, err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(entries)*1e6, "s/million")
		})
	}
}

// BenchmarkTags writes facts with 1,000 tags each, most of them shared, and finds
// those that have one: 300 facts, or TOUCHSTONE_BENCH_TAGGED.
func BenchmarkTags(b *testing.B) {
	facts := 300
	if n, err := strconv.Atoi(os.Getenv("TOUCHSTONE_BENCH_TAGGED")); err == nil {
		facts = n
	}
	path := filepath.Join(b.TempDir(), "record.db")
	s := open(b, sqlite.Config{Path: path})
	begun := time.Now()
	for i := range facts {
		tags := make([]string, 0, 1000)
		for n := range 1000 {
			// the packages of one of 40 bases, in one of 20 versions each, and some of its own
			tags = append(tags, fmt.Sprintf("package=pkg:deb/debian/base-%d-lib-%d@1.%d", i%40, n, (i/40+n)%20))
		}
		f, err := record.Put("seen", fmt.Sprintf("sha256:%064x", i*7919), "evidence", tags...)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Commit(b.Context(), record.Change{Kind: "scan", Facts: []record.Fact{f}}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("write", func(b *testing.B) {
		b.ReportMetric(float64(time.Since(begun).Microseconds())/float64(facts), "µs/fact")
		if info, err := os.Stat(path); err == nil {
			b.ReportMetric(float64(info.Size())/float64(facts), "bytes/fact")
		}
	})
	b.Run("find", func(b *testing.B) {
		found := 0
		for i := range b.N {
			for _, err := range s.Facts(b.Context(), record.FactQuery{Kind: "seen", Tags: []string{fmt.Sprintf("package=pkg:deb/debian/base-%d-lib-%d@1.%d", i%40, i%1000, i%20)}}) {
				if err != nil {
					b.Fatal(err)
				}
				found++
			}
		}
		b.ReportMetric(float64(found)/float64(b.N), "facts/op")
	})
}
