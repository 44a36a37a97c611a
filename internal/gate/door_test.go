package gate_test

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/storetest"
)

const doorTable = `version: 1
environments: [dev, prod]
rules:
  cvss: {dev: any, prod: at most 3}
  stale-advisories: {others: any}
  unseen: {dev: allow, prod: refuse}
  restart: {others: allow}
  mend-within: {dev: any, prod: at most 14d}
  privileged: {dev: allow, prod: refuse}
  login: {dev: allow, prod: block}
`

// clock is a clock that tests set.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.set(noon)
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) set(t time.Time)      { c.at.Store(t.UnixNano()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// road is what people have said, in memory.
type road struct {
	mu    sync.Mutex
	book  *gate.Book
	asker string // of an improvement
	given []touchstone.Approval
}

func newRoad(t testing.TB, table string) *road {
	t.Helper()
	r, _, err := rules.Load("touchstone.yaml", []byte(table), noon)
	if err != nil {
		t.Fatal(err)
	}
	return &road{book: &gate.Book{Rules: r, Source: []byte(table)}}
}

func (r *road) Book(context.Context) (*gate.Book, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.book, nil
}

func (r *road) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *road) Promotions(context.Context, string, touchstone.Digest) ([]touchstone.Promotion, error) {
	return nil, nil
}

func (r *road) Improvement(context.Context, touchstone.Workload, touchstone.Place, touchstone.Digest) (string, []touchstone.Approval, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asker, r.given, nil
}

// port is a registry in memory that can be down or slow, and counts what is asked
// of it.
type port struct {
	host      string
	down      atomic.Bool
	slow      atomic.Int64 // nanoseconds before each answer
	manifests atomic.Int64 // that were asked for
	layers    atomic.Int64
}

func newPort(t testing.TB) *port {
	p := &port{}
	real := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/manifests/"):
			p.manifests.Add(1)
		case strings.Contains(r.URL.Path, "/blobs/"):
			p.layers.Add(1)
		}
		if s := time.Duration(p.slow.Load()); s > 0 {
			select {
			case <-time.After(s):
			case <-r.Context().Done():
			}
		}
		if p.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.host = strings.TrimPrefix(server.URL, "http://")
	return p
}

// push puts an image under a name, "shop/cart:1", and returns its digest.
func (p *port) push(t testing.TB, ref string, im v1.Image) touchstone.Digest {
	t.Helper()
	r, err := name.ParseReference(p.host + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, im); err != nil {
		t.Fatal(err)
	}
	d, err := im.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return touchstone.Digest(d.String())
}

// house is a door with all that it stands in.
type house struct {
	*gate.Door
	config gate.DoorConfig
	clock  *clock
	road   *road
	port   *port
	events <-chan gate.Event
	stop   func()
}

func newHouse(t testing.TB, change func(*gate.DoorConfig)) *house {
	t.Helper()
	h := &house{clock: newClock(), road: newRoad(t, doorTable), port: newPort(t)}
	g := newGate(t, func(c *gate.Config) { c.Now = h.clock.now })
	h.config = gate.DoorConfig{
		Gate: g, Store: storetest.Open(t), Road: h.road, Enforce: true, Now: h.clock.now,
		Registries: oci.Registries{Keychain: authn.NewMultiKeychain(), Retries: -1},
		Log:        slog.New(slog.NewTextHandler(io.Discard, nil)), Platforms: []string{"linux/amd64"},
	}
	if change != nil {
		change(&h.config)
	}
	h.open(t)
	return h
}

// open makes a door on what is there, as a process that starts does.
func (h *house) open(t testing.TB) {
	t.Helper()
	h.Door = gate.NewDoor(h.config)
	h.events, _ = h.Subscribe()
	h.stop = func() {}
}

// run scans until the test ends or h.stop is called.
func (h *house) run(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	d := h.Door
	go func() {
		defer close(done)
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	h.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(h.stop)
}

// scanned waits for scans that ended well.
func (h *house) scanned(t testing.TB, n int) {
	t.Helper()
	h.await(t, n, func(e gate.Event) bool { return e.Seen != nil })
}

func (h *house) await(t testing.TB, n int, what func(gate.Event) bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for n > 0 {
		select {
		case e := <-h.events:
			if what(e) {
				n--
			}
		case <-limit:
			t.Fatalf("%d events did not come", n)
		}
	}
}

// pod asks for a pod of a deployment.
func (h *house) pod(ref, environment string) gate.Request {
	place := h.road.book.Rules.PlaceIn(environment)
	place.Cluster, place.Namespace = "lab", "shop"
	return gate.Request{
		Actor: "system:replicaset-controller", Reference: h.port.host + "/" + ref,
		Question: touchstone.Question{
			Occasion: touchstone.OccasionAdmit, Place: place,
			Workload: touchstone.Workload{Kind: "Deployment", Name: "cart", Container: "cart"},
		},
	}
}

func (h *house) ask(t testing.TB, r gate.Request) *gate.Answer {
	t.Helper()
	a, err := h.Ask(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// why is the first reason that keeps it out.
func why(a *gate.Answer) string {
	if len(a.Decision.Reasons) == 0 {
		return ""
	}
	r := a.Decision.Reasons[0]
	return r.Rule + ": " + r.Seen
}

func expect(t *testing.T, a *gate.Answer, want touchstone.Verdict, reason string) {
	t.Helper()
	if a.Decision.Verdict != want || !strings.Contains(why(a), reason) {
		t.Errorf("it is %s (%s), want %s with %q", a.Decision.Verdict, why(a), want, reason)
	}
}

func entries(t *testing.T, s record.Store, kind string) int {
	t.Helper()
	n := 0
	for _, err := range s.Entries(t.Context(), record.EntryQuery{Kinds: []string{kind}}) {
		check(t, err)
		n++
	}
	return n
}

func TestUnseenIsRefusedScannedAndLetIn(t *testing.T) {
	h := newHouse(t, nil)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	nudged := make(chan gate.Request, 1)
	h.Allowed(func(r gate.Request) { nudged <- r })
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Refused, "unseen: not seen before")
	if !a.Scanning || a.Admit() || a.ID == "" {
		t.Errorf("scanning %v, admitted %v, id %q", a.Scanning, a.Admit(), a.ID)
	}
	h.run(t)
	h.scanned(t, 1)
	select {
	case r := <-nudged:
		if r.Question.Workload.Name != "cart" || r.DryRun {
			t.Errorf("told of %+v", r)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("who waits was not told")
	}
	a = h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Allowed, "")
	if want := h.port.host + "/shop/cart:1@" + string(digest); a.Pinned != want {
		t.Errorf("pinned as %s, want %s", a.Pinned, want)
	}
	replay, err := h.Replay(t.Context(), a.ID)
	check(t, err)
	if !replay.Same {
		t.Errorf("taken again it differs: %v, missing %v", replay.Differs, replay.Missing)
	}
	if again := h.ask(t, h.pod("shop/cart:1", "prod")); again.Artifact.Digest != digest {
		t.Errorf("then it is %s", again.Artifact.Digest)
	}
	list, _, err := h.Decisions(t.Context(), gate.DecisionQuery{Artifact: h.port.host + "/shop/cart", Verdict: touchstone.Allowed})
	check(t, err)
	if len(list) != 2 || list[0].Occasion != touchstone.OccasionRestart || list[1].ID != a.ID {
		t.Errorf("listed %+v", list)
	}
}

func TestWhatRefusesRefuses(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:bad", build(t, "", debian(t, "3.0.1-1")))
	h.run(t)
	h.ask(t, h.pod("shop/cart:bad", "prod"))
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:bad", "prod")), touchstone.Refused, "cvss")
	expect(t, h.ask(t, h.pod("shop/cart:bad", "dev")), touchstone.Allowed, "")
}

func TestDevLetsInTheUnseenAndScansIt(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	h.run(t)
	a := h.ask(t, h.pod("shop/cart:1", "dev"))
	expect(t, a, touchstone.Allowed, "")
	if !a.Scanning {
		t.Error("it is not scanned")
	}
	h.scanned(t, 1)
}

func TestATagThatPointsElsewhereIsAnotherArtifact(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	first := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	owned := h.pod("shop/cart:1", "prod")
	owned.Owner = "replicaset-1"
	h.ask(t, owned)
	h.scanned(t, 1)
	expect(t, h.ask(t, owned), touchstone.Allowed, "")

	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	h.clock.pass(2 * time.Minute)
	if a := h.ask(t, owned); a.Artifact.Digest != first || a.Decision.Verdict != touchstone.Allowed {
		t.Errorf("the owner's second pod gets %s, %s", a.Artifact.Digest, a.Decision.Verdict)
	}
	other := h.pod("shop/cart:1", "prod")
	other.Owner = "replicaset-2"
	expect(t, h.ask(t, other), touchstone.Refused, "unseen")
	h.scanned(t, 1)
	expect(t, h.ask(t, other), touchstone.Refused, "cvss")
}

func TestATagIsResolvedOnceAMinute(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	before := h.port.manifests.Load()
	for range 5 {
		h.ask(t, h.pod("shop/cart:1", "prod"))
	}
	if n := h.port.manifests.Load() - before; n != 1 {
		t.Errorf("resolved %d times", n)
	}
	other := h.pod("shop/cart:1", "prod")
	other.Credential = gate.Credential{Namespace: "shop", Secrets: []string{"pull"}}
	h.ask(t, other)
	h.clock.pass(time.Minute)
	h.ask(t, other)
	if n := h.port.manifests.Load() - before; n != 3 {
		t.Errorf("resolved %d times with another credential and after a minute, want 3", n)
	}
}

func TestTwoNamesOfOneDigestAreTwoArtifacts(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	im := build(t, "", debian(t, "3.0.2-1"))
	h.port.push(t, "shop/cart:1", im)
	h.port.push(t, "else/cart:1", im)
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	blobs := h.port.layers.Load()
	expect(t, h.ask(t, h.pod("else/cart:1", "prod")), touchstone.Refused, "unseen")
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("else/cart:1", "prod")), touchstone.Allowed, "")
	if n := h.port.layers.Load() - blobs; n > 1 {
		t.Errorf("%d blobs were read for it, want its config alone", n)
	}
}

func TestTheRegistryIsDown(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	h.port.down.Store(true)
	h.clock.pass(2 * time.Minute)

	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Undecided, "cannot be resolved")
	if a.Admit() || a.Scanning {
		t.Errorf("admitted %v, scanning %v", a.Admit(), a.Scanning)
	}
	runs := h.pod("shop/cart:1", "prod")
	runs.Runs = digest
	a = h.ask(t, runs)
	expect(t, a, touchstone.Allowed, "")
	if a.Artifact.Digest != digest {
		t.Errorf("it is %s, want what runs", a.Artifact.Digest)
	}

	// What runs as another tag stands for nothing.
	place := runs.Question.Place
	check(t, h.Observe(t.Context(), "lab", []gate.Running{{
		Place: place, Workload: runs.Question.Workload, Reference: h.port.host + "/shop/cart:1", Digest: digest, Pod: "cart-1", Since: noon,
	}}))
	newer := h.pod("shop/cart:2", "prod")
	newer.Runs = digest
	expect(t, h.ask(t, newer), touchstone.Undecided, "cannot be resolved")
}

func TestWhatCannotBePulledIsToldApart(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	a := h.ask(t, h.pod("shop/none:1", "prod"))
	expect(t, a, touchstone.Undecided, "404")
	digest := "sha256:" + strings.Repeat("ab", 32)
	expect(t, h.ask(t, h.pod("shop/none@"+digest, "prod")), touchstone.Refused, "unseen")
	h.await(t, 1, func(e gate.Event) bool { return e.Scan != nil && e.Scan.State == gate.ScanFailed })
	expect(t, h.ask(t, h.pod("shop/none@"+digest, "prod")), touchstone.Undecided, "cannot be pulled")
	expect(t, h.ask(t, h.pod("shop/none@"+digest, "dev")), touchstone.Undecided, "cannot be pulled")
	for _, ref := range []string{"", "../../etc/passwd", "dir:/etc", "oci:/tmp/x", "x@sha512:" + strings.Repeat("a", 128), strings.Repeat("a", 5000), "UPPER/case"} {
		if a, err := h.Ask(t.Context(), gate.Request{Reference: ref, Question: h.pod("x", "dev").Question}); err == nil && a.Decision.Verdict == touchstone.Allowed {
			t.Errorf("%.50q is let in", ref)
		}
	}
}

func TestASlowRegistryHoldsNobodyUp(t *testing.T) {
	h := newHouse(t, nil)
	h.port.slow.Store(int64(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	began := time.Now()
	a, err := h.Ask(ctx, h.pod("shop/cart:1", "prod"))
	check(t, err)
	expect(t, a, touchstone.Undecided, "did not answer in time")
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

func TestManyWhoAskShareAScan(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			a, err := h.Ask(t.Context(), h.pod("shop/cart:1", "prod"))
			if err != nil || a.Decision.Verdict != touchstone.Refused || !a.Scanning {
				t.Errorf("answer %+v, error %v", a, err)
			}
		})
	}
	group.Wait()
	if n := entries(t, h.config.Store, "decision"); n != 1 {
		t.Errorf("%d decisions were written, want 1", n)
	}
	if n := entries(t, h.config.Store, "admission"); n != 200 {
		t.Errorf("%d admissions were written, want 200", n)
	}
	if s := h.Stats(); s.Waiting != 1 {
		t.Errorf("%d scans wait, want 1", s.Waiting)
	}
}

func TestAFullQueueLetsNothingIn(t *testing.T) {
	h := newHouse(t, func(c *gate.DoorConfig) { c.Queue = 2 })
	for i, want := range []touchstone.Verdict{touchstone.Refused, touchstone.Refused, touchstone.Undecided} {
		ref := "shop/cart@sha256:" + strings.Repeat(string(rune('a'+i)), 64)
		r := h.pod(ref, "prod")
		r.Question.Place.Namespace = "shop-" + string(rune('a'+i))
		if a := h.ask(t, r); a.Decision.Verdict != want || a.Admit() {
			t.Errorf("number %d is %s", i, a.Decision.Verdict)
		}
	}
	expect(t, h.ask(t, h.pod("shop/cart@sha256:"+strings.Repeat("f", 64), "dev")), touchstone.Undecided, "wait to be inspected")
}

func TestADryRunWritesNothing(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	r := h.pod("shop/cart:1", "prod")
	r.DryRun = true
	expect(t, h.ask(t, r), touchstone.Refused, "unseen")
	for e, err := range h.config.Store.Entries(t.Context(), record.EntryQuery{}) {
		check(t, err)
		t.Errorf("entry %s of the kind %s was written", e.ID, e.Kind)
	}
	if s := h.Stats(); s.Waiting != 0 {
		t.Error("a scan was started")
	}
}

func TestAskingAheadWritesNoAdmission(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	r := h.pod("shop/cart:1", "prod")
	r.Quiet = true
	h.ask(t, r)
	h.scanned(t, 1)
	before := entries(t, h.config.Store, "decision")
	if before != 1 {
		t.Errorf("%d refusals written, want 1", before)
	}
	expect(t, h.ask(t, r), touchstone.Allowed, "")
	if n := entries(t, h.config.Store, "decision"); n != before {
		t.Error("what is let in was written although it will be asked again")
	}
	r.Quiet = false
	if a := h.ask(t, r); a.ID == "" {
		t.Error("then it was not written")
	}
}

// broken is a store whose disk is full while it is told so.
type broken struct {
	record.Store
	full atomic.Bool
}

func (b *broken) Commit(ctx context.Context, changes ...record.Change) ([]record.Entry, error) {
	if b.full.Load() {
		return nil, record.ErrFull
	}
	return b.Store.Commit(ctx, changes...)
}

func TestNothingIsLetInThatCannotBeWrittenDown(t *testing.T) {
	var store *broken
	h := newHouse(t, func(c *gate.DoorConfig) {
		store = &broken{Store: c.Store}
		c.Store = store
	})
	h.run(t)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
	h.ask(t, h.pod("shop/cart:1", "prod"))
	store.full.Store(true)
	for _, environment := range []string{"prod", "dev"} {
		a := h.ask(t, h.pod("shop/cart:1", environment))
		expect(t, a, touchstone.Undecided, "cannot be written down")
		if a.Admit() {
			t.Errorf("%s: it is let in", environment)
		}
	}
	expect(t, h.ask(t, h.pod("shop/cart@sha256:"+strings.Repeat("a", 64), "dev")), touchstone.Undecided, "cannot be written down")
	if _, err := h.Login(t.Context(), h.login("sh")); !errors.Is(err, record.ErrFull) {
		t.Errorf("login: %v", err)
	}
	store.full.Store(false)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
}
