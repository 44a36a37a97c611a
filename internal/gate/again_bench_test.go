package gate

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/advisory/synthetic"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/storetest"
)

// artifacts is how many containers run in the benchmarks:
// TOUCHSTONE_BENCH_ARTIFACTS, else as many as are there in a moment. The figures of
// the project are for 100,000. There is one piece of evidence for every five, and
// as many advisories as containers, at most 250,000.
func artifacts(b testing.TB) int {
	b.Helper()
	if n, err := strconv.Atoi(os.Getenv("TOUCHSTONE_BENCH_ARTIFACTS")); err == nil {
		return n
	}
	return 2000
}

// fleet is a door with many things running.
type fleet struct {
	*Door
	road *bookRoad
}

// bookRoad is a Road on which nothing was promoted.
type bookRoad struct {
	Road
	book *Book
}

func newFleet(b testing.TB, n int) *fleet {
	b.Helper()
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	folder := advisory.OpenFolder(filepath.Join(dir, "advisories"))
	archives, err := synthetic.Write(filepath.Join(dir, "archives"), min(n, 250_000), 1)
	check(err)
	var paths []string
	for _, a := range archives {
		paths = append(paths, a.Path)
	}
	_, err = folder.Import(b.Context(), paths, advisory.ImportOptions{Now: moment0, AsOf: moment0})
	check(err)
	store, err := blob.Open(blob.Config{Dir: filepath.Join(dir, "evidence")})
	check(err)
	in, err := inspect.New(inspect.Config{Store: store})
	check(err)
	b.Cleanup(func() { check(in.Close()) })
	source := rules.Example()
	r, _, err := rules.Load("touchstone.yaml", source, moment0)
	check(err)
	now := func() time.Time { return moment0 }
	f := &fleet{road: &bookRoad{book: &Book{Rules: r, Source: source}}}
	f.Door = NewDoor(DoorConfig{
		Gate:  New(Config{Inspector: in, Advisories: folder, Golden: golden.Open(filepath.Join(dir, "golden.json")), Now: now}),
		Store: storetest.OpenAt(b, now), Road: f.road, Now: now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	f.fill(b, n)
	return f
}

// fill writes down what runs, as scans and snapshots do.
func (f *fleet) fill(b testing.TB, n int) {
	b.Helper()
	var keeping errgroup.Group
	keeping.SetLimit(32) // each waits for the disk most of the time
	var facts []record.Fact
	commit := func(least int) {
		if len(facts) < least {
			return
		}
		if _, err := f.c.Store.Commit(b.Context(), record.Change{Kind: "observed", Actor: self, Body: []byte("{}"), Facts: facts}); err != nil {
			b.Fatal(err)
		}
		facts = facts[:0]
	}
	add := func(fact record.Fact, err error) {
		if err != nil {
			b.Fatal(err)
		}
		facts = append(facts, fact)
	}
	for i := range max(1, n/5) {
		e := syntheticEvidence(rand.New(rand.NewPCG(1, uint64(i))), i)
		keeping.Go(func() error { return f.c.Gate.Inspector.Keep(e) })
		repository, digest := fmt.Sprintf("registry.example/team-%d/app-%d", i%50, i%4000), touchstone.DigestOf(fmt.Append(nil, "image ", i))
		key := artifactKey(repository, digest)
		add(record.Put(factSeen, key, Seen{Repository: repository, Digest: digest, At: moment0, Platforms: []SeenPlatform{{"linux/amd64", digest, e.Config, e.ID}}}))
		add(holds(key, e), nil)
		for j := range 5 {
			p := f.road.book.Rules.PlaceIn(f.road.book.Rules.Environments[(i+j)%4])
			p.Cluster, p.Namespace, p.Owner = fmt.Sprint("cluster-", j), fmt.Sprint("team-", i%50), fmt.Sprint("team-", i%50)
			o := &Observed{Repository: repository, Running: Running{
				Place: p, Reference: repository + ":1", Digest: digest, Pod: fmt.Sprintf("app-%d-%d", i, j), Since: moment0.Add(-time.Hour),
				Workload: touchstone.Workload{Kind: "Deployment", Name: fmt.Sprint("app-", i), Container: "app"},
			}}
			add(record.Put(factRunning, o.key(), o, "ns:"+p.Namespace, "artifact:"+key, "owner:"+p.Owner))
		}
		commit(500)
	}
	commit(1)
	if err := keeping.Wait(); err != nil {
		b.Fatal(err)
	}
}

// syntheticEvidence is that of an image of 200 packages: one of 40 bases of Debian, and an
// application of npm. One image in a hundred holds the package rare.
func syntheticEvidence(r *rand.Rand, i int) *touchstone.Evidence {
	e := &touchstone.Evidence{
		Schema: touchstone.SchemaEvidence, ID: touchstone.DigestOf(fmt.Append(nil, "evidence ", i)), Inspector: inspect.Version, Kind: touchstone.KindImage,
		Platform: "linux/amd64", Config: touchstone.DigestOf(fmt.Append(nil, "config ", i)), Created: moment0.AddDate(0, 0, -r.IntN(200)),
		Configuration: touchstone.Configuration{User: []string{"", "1000"}[i%2], Entrypoint: []string{"/app"}}, Secrets: []touchstone.Secret{}, Pins: []touchstone.Pin{}, Gaps: []touchstone.Gap{},
	}
	base := rand.New(rand.NewPCG(7, uint64(i%40)))
	for l := range 5 {
		e.Layers = append(e.Layers, touchstone.Layer{DiffID: touchstone.DigestOf(fmt.Append(nil, "layer ", i%40, l))})
	}
	pkg := func(r *rand.Rand, n int, ecosystem, kind, version string) {
		name := synthetic.Name(n)
		e.Packages = append(e.Packages, touchstone.Package{
			Name: name, Version: version, Ecosystem: ecosystem, Path: "var/lib/dpkg/status", PURL: "pkg:" + kind + "/" + name + "@" + version, Licences: []string{"MIT"}, Layer: r.IntN(5),
		})
	}
	for range 150 {
		pkg(base, base.IntN(20_000), "Debian:12", "deb/debian", fmt.Sprintf("%d.%d.%d-%d+deb12u%d", 4+base.IntN(5), base.IntN(30), base.IntN(20), base.IntN(4), base.IntN(5)))
	}
	app := rand.New(rand.NewPCG(8, uint64(i%4000))) // of which there are five builds
	for j := range 50 {
		n, of := int(20_000*app.Float64()), app
		if j < 3 {
			n, of = r.IntN(20_000), r
		}
		pkg(r, n, "npm", "npm", fmt.Sprintf("%d.%d.%d", 2+n%7, of.IntN(10), n%20)) // ten versions of each are about
	}
	if i%100 == 0 {
		e.Packages = append(e.Packages, touchstone.Package{Name: "rare", Version: "1.0-1", Ecosystem: "Debian:12", Path: "var/lib/dpkg/status", PURL: "pkg:deb/debian/rare@1.0-1"})
	}
	return e
}

// BenchmarkSimulate100k tries stricter rules on everything that runs. Its figure is
// 10 s for 100,000 containers.
func BenchmarkSimulate100k(b *testing.B) {
	n := artifacts(b)
	f := newFleet(b, n)
	r, _, err := rules.Load("touchstone.yaml", []byte(strings.ReplaceAll(string(rules.Example()), "test: at most 8", "test: at most 5")), moment0)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.load(b.Context()); err != nil {
		b.Fatal(err)
	}
	var s *Simulation
	before := processed(b)
	for b.Loop() {
		if s, err = f.Simulate(b.Context(), Trial{Rules: r}); err != nil {
			b.Fatal(err)
		}
	}
	refused := 0
	for _, o := range s.Refused {
		refused += len(o.Changes)
	}
	b.ReportMetric((processed(b)-before).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(s.Running), "containers")
	b.ReportMetric(float64(refused), "refused")
	b.ReportMetric(float64(b.Elapsed().Seconds())/float64(b.N), "s/op")
	if s.Running != n/5*5 {
		b.Errorf("%d of %d were tried", s.Running, n)
	}
}

// BenchmarkReconsider decides again after an advisory about a package that one
// artifact in a hundred holds. Its figure is 1 s for 100,000 containers.
func BenchmarkReconsider(b *testing.B) {
	n := artifacts(b)
	f := newFleet(b, n)
	if _, err := f.Reconsider(b.Context()); err != nil { // of all: nothing was decided yet
		b.Fatal(err)
	}
	var out Reconsidered
	var used time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), fmt.Sprintf("%d.json", i))
		text := fmt.Sprintf(`{"schema_version":"1.6.0","id":"DEBIAN-CVE-2026-%[1]d","published":"2026-10-01T00:00:00Z","modified":"2026-10-01T00:00:00Z","upstream":["CVE-2026-%[1]d"],
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
"affected":[{"package":{"ecosystem":"Debian:12","name":"rare"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.1-1"}]}]}]}`, 90000+i)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		if _, err := f.c.Gate.Advisories.Import(b.Context(), []string{path}, advisory.ImportOptions{Now: moment0, AsOf: moment0}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		before := processed(b)
		var err error
		if out, err = f.Reconsider(b.Context()); err != nil {
			b.Fatal(err)
		}
		used += processed(b) - before
	}
	b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(out.Running), "containers")
	b.ReportMetric(float64(out.Opened), "opened")
	b.ReportMetric(float64(b.Elapsed().Seconds())/float64(b.N), "s/op")
	if out.Running == 0 || out.Running > n/50+10 {
		b.Errorf("%+v of %d", out, n)
	}
}

func (r *bookRoad) Book(context.Context) (*Book, error) { return r.book, nil }

func (r *bookRoad) Promotions(context.Context, string, touchstone.Digest) ([]touchstone.Promotion, error) {
	return nil, nil
}

// processed is how long the processors have worked for this process: on a machine
// that does other things besides, the time on the clock says little.
func processed(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
