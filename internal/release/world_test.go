package release_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
	"touchstone.dev/touchstone/internal/storetest"
)

// road are the rules that the tests begin with. Root is refused in prod, so that
// there is something to waive.
const road = `version: 1
environments: [dev, test, prod]
rules:
  no-advisories: {others: allow}
  stale-advisories: {others: any}
  unscored: {others: allow}
  gaps: {others: allow}
  unseen: {others: refuse}
  runs-as-root: {others: allow, prod: refuse}
  promoted: {dev: allow, others: refuse}
  soak: {others: any, prod: at least 24h}
  approvals: {others: any, prod: 2 of release}
  frozen: {others: allow, prod: refuse}
waivers: {longest: {others: 180d, prod: 30d}, approved-by: security, never: [unseen]}
`

// noon is a Monday.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var (
	ann = release.Person{Name: "ann"}
	bob = release.Person{Name: "bob", Groups: []string{"release", "security"}}
	cem = release.Person{Name: "cem", Groups: []string{"release"}}
	dot = release.Person{Name: "dot", Groups: []string{"security"}}
)

// world is a Release with a store, a clock, and a door that decides by the real
// rules on what it is told to have seen.
type world struct {
	*release.Release
	store record.Store

	mu   sync.Mutex
	now  time.Time
	seen map[touchstone.Digest]*touchstone.Evidence
	tags map[string]touchstone.Digest
	// asked is called before the door decides; nil for nothing.
	asked func(gate.Request)
	ids   int
}

func newWorld(t testing.TB) *world {
	w := &world{now: noon, seen: map[touchstone.Digest]*touchstone.Evidence{}, tags: map[string]touchstone.Digest{}}
	w.store = storetest.OpenAt(t, w.time)
	w.reopen(t)
	w.push("cart:1", "1000")
	w.push("till:1", "1000")
	w.push("root:1", "")
	return w
}

// reopen is what a restart is: everything but the store is new.
func (w *world) reopen(t testing.TB) {
	t.Helper()
	r, err := release.New(release.Config{Store: w.store, Rules: []byte(road), Now: w.time})
	check(t, err)
	r.Through(door{w})
	w.Release = r
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// push makes a reference point to something that was seen before and runs as the
// user.
func (w *world) push(ref, user string) touchstone.Digest {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := digest(ref + user)
	w.tags["registry.example/"+ref] = d
	e := &touchstone.Evidence{ID: d}
	e.Configuration.User = user
	w.seen[d] = e
	return d
}

// door gathers as a gate does, and decides by Decide alone.
type door struct{ w *world }

func (d door) Ask(ctx context.Context, r gate.Request) (*gate.Answer, error) {
	w := d.w
	if w.asked != nil {
		w.asked(r)
	}
	b, err := w.Book(ctx)
	if err != nil {
		return nil, err
	}
	name, at, _ := strings.Cut(r.Reference, "@")
	c := touchstone.Case{Question: r.Question, History: r.History, Waivers: b.Waivers, WaiversDigest: b.WaiversDigest, Now: w.time()}
	w.mu.Lock()
	if at == "" {
		at = string(w.tags[name])
	}
	c.Artifact = touchstone.Artifact{Name: name, Kind: touchstone.KindImage, Digest: touchstone.Digest(at)}
	c.Evidence = w.seen[c.Artifact.Digest]
	w.ids++
	id := fmt.Sprint("decision-", w.ids)
	w.mu.Unlock()
	repository := name
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		repository = name[:colon]
	}
	c.History.Kept, c.History.Freezes = true, b.Freezes
	if c.History.Promotions, err = w.Promotions(ctx, repository, c.Artifact.Digest); err != nil {
		return nil, err
	}
	return &gate.Answer{
		ID: id, Artifact: c.Artifact, Pinned: name + "@" + at, Scanning: c.Evidence == nil, Enforced: true,
		Decision: touchstone.Decide(b.Rules, &c),
	}, nil
}

// promote promotes and says what came of it, for tables.
func (w *world) promote(t testing.TB, p release.Person, to string, refs ...string) *release.Result {
	t.Helper()
	for i := range refs {
		refs[i] = "registry.example/" + refs[i]
	}
	res, err := w.Promote(t.Context(), p, release.PromotionAsk{Artifacts: refs, To: to})
	check(t, err)
	return res
}

// entries counts the log's entries by kind.
func (w *world) entries(t testing.TB) map[string]int {
	t.Helper()
	out := map[string]int{}
	for e, err := range w.store.Entries(t.Context(), record.EntryQuery{}) {
		check(t, err)
		out[e.Kind]++
	}
	return out
}

func digest(s string) touchstone.Digest {
	sum := sha256.Sum256([]byte(s))
	return touchstone.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func check(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

// waiver is one that the rules allow.
func waiver() *touchstone.Waiver {
	return &touchstone.Waiver{
		Rule: "runs-as-root", Artifact: "registry.example/root", WholeRule: true, Environments: []string{"prod"},
		Owner: "team-shop", Reason: "mended next week", Until: noon.AddDate(0, 0, 20),
	}
}
