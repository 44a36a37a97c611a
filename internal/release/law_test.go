package release_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/release"
)

// machine lets people do anything in any order, while time passes and the server
// is started again.
type machine struct {
	*world
	t       testing.TB
	checked string              // the generation and moment that were last held to the laws
	freezes []touchstone.Freeze // every one that was declared, until when it really held
}

// expected are the errors that people are told of; any other is a fault.
func expected(t *rapid.T, err error) {
	if err != nil && !errors.Is(err, release.ErrForbidden) && !errors.Is(err, release.ErrState) && !errors.Is(err, release.ErrInvalid) {
		t.Fatal(err)
	}
}

func somebody(t *rapid.T) release.Person {
	return rapid.SampledFrom([]release.Person{ann, bob, cem, dot}).Draw(t, "person")
}

func (m *machine) doPromote(t *rapid.T) {
	refs := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"registry.example/cart:1", "registry.example/till:1", "registry.example/root:1"}), 1, 2, rapid.ID).Draw(t, "artifacts")
	to := rapid.SampledFrom([]string{"dev", "test", "prod"}).Draw(t, "to")
	_, err := m.Promote(t.Context(), somebody(t), release.PromotionAsk{Artifacts: refs, To: to, DryRun: rapid.IntRange(0, 9).Draw(t, "dry") == 0})
	expected(t, err)
}

func (m *machine) doAsk(t *rapid.T) {
	q := release.Request{Kind: rapid.SampledFrom([]release.Kind{release.KindWaiver, release.KindRules, release.KindImprovement}).Draw(t, "kind")}
	n := rapid.IntRange(0, 3).Draw(t, "variant")
	switch q.Kind {
	case release.KindWaiver:
		q.Waiver = waiver()
		q.Waiver.Until = m.time().Add(time.Duration(1+n*24) * time.Hour)
	case release.KindRules:
		q.Rules = &release.RulesAsk{Source: road + fmt.Sprintln("#", n), From: m.time().Add(time.Duration(n-1) * 24 * time.Hour)}
	default:
		q.Improvement = &release.ImprovementAsk{Place: touchstone.Place{Environment: "prod", Namespace: "shop"},
			Workload: touchstone.Workload{Kind: "Deployment", Name: "cart"}, Digest: digest(fmt.Sprint(n))}
	}
	_, err := m.Ask(t.Context(), somebody(t), q)
	expected(t, err)
}

func (m *machine) doAnswer(t *rapid.T) {
	all := m.requests(t)
	if len(all) == 0 {
		t.Skip("nobody has asked for anything")
	}
	id := rapid.SampledFrom(all).Draw(t, "request").ID
	if rapid.IntRange(0, 9).Draw(t, "no") == 0 {
		_, err := m.Reject(t.Context(), somebody(t), id, "no")
		expected(t, err)
		return
	}
	_, err := m.Approve(t.Context(), somebody(t), id, "")
	expected(t, err)
}

func (m *machine) doFreeze(t *rapid.T) {
	from := m.time().Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "from")) * time.Hour)
	f, err := m.Freeze(t.Context(), somebody(t), touchstone.Freeze{From: from, Until: from.Add(6 * time.Hour), Reason: "the sale"})
	check(t, err)
	m.freezes = append(m.freezes, *f)
}

func (m *machine) doTake(t *rapid.T) {
	if len(m.freezes) > 0 && rapid.Bool().Draw(t, "thaw") {
		f := &m.freezes[rapid.IntRange(0, len(m.freezes)-1).Draw(t, "freeze")]
		if err := m.Thaw(t.Context(), somebody(t), f.ID, "it is over"); err == nil && m.time().Before(f.Until) {
			f.Until = m.time()
		}
		return
	}
	waivers := m.book(t).Waivers
	if len(waivers) == 0 {
		t.Skip("nothing is in force")
	}
	id := waivers[0].ID
	check(t, m.Revoke(t.Context(), somebody(t), id, "mended"))
	if slices.ContainsFunc(m.book(t).Waivers, func(o touchstone.Waiver) bool { return o.ID == id }) {
		t.Fatalf("the waiver %s holds although it was revoked", id)
	}
}

func (m *machine) doWait(t *rapid.T) {
	m.pass(time.Duration(rapid.IntRange(1, 40).Draw(t, "hours")) * time.Hour)
	_, err := m.Tend(t.Context())
	check(t, err)
}

func (m *machine) doRestart(t *rapid.T) {
	before := m.book(t)
	m.reopen(m.t)
	m.checked = ""
	after := m.book(t)
	after.Rules, before.Rules = nil, nil
	if diff := cmp.Diff(*before, *after); diff != "" {
		t.Fatalf("another book after a restart (-before +after)\n%s", diff)
	}
}

func (m *machine) book(t *rapid.T) *gate.Book {
	b, err := m.Book(t.Context())
	check(t, err)
	clone := *b
	return &clone
}

func (m *machine) requests(t *rapid.T) []release.Request {
	all, next, err := m.Requests(t.Context(), release.RequestQuery{Limit: 1000})
	check(t, err)
	if next != "" {
		t.Fatal("too many requests for one page")
	}
	return all
}

// laws holds what the store says to what must never happen. Where nothing was
// written and no time has passed it said so before.
func (m *machine) laws(t *rapid.T) {
	state := fmt.Sprint(m.Generation(), m.time())
	if m.checked == state {
		return
	}
	m.checked = state
	granted := map[string]*release.Request{}
	all := m.requests(t)
	for i := range all {
		q := &all[i]
		var by []string
		for _, a := range q.Approvals {
			if a.By == q.By.Name || slices.Contains(by, a.By) || q.Group != "" && !slices.Contains(a.Groups, q.Group) {
				t.Fatalf("an approval that cannot count: %+v", q)
			}
			by = append(by, a.By)
		}
		if q.State == release.Granted {
			granted[q.ID] = q
			if len(by) < q.Count || q.Count == 0 {
				t.Fatalf("granted with too few approvals: %+v", q)
			}
		}
	}
	b := m.book(t)
	for _, w := range b.Waivers {
		if q := granted[w.ID]; q == nil || q.Kind != release.KindWaiver || w.ApprovedBy == q.By.Name {
			t.Fatalf("a waiver in force that nobody else approved: %+v", w)
		}
	}
	v, err := m.RulesInForce(t.Context())
	check(t, err)
	if q := granted[v.ID]; len(v.By) > 0 && (q == nil || v.By[0] == v.By[1] || v.From.After(m.time()) || v.From.Before(v.Approved)) {
		t.Fatalf("rules in force that nobody else approved, or not yet: %+v", v)
	}
	m.chain(t, granted)
}

// chain holds the promotions to the road.
func (m *machine) chain(t *rapid.T, granted map[string]*release.Request) {
	list, _, err := m.PromotionsList(t.Context(), release.PromotionQuery{Limit: 1000})
	check(t, err)
	at := map[string]time.Time{}
	slices.Reverse(list)
	for _, p := range list {
		thing := p.Artifact + "@" + string(p.Digest)
		if _, twice := at[p.Environment+thing]; twice {
			t.Fatalf("promoted twice: %+v", p)
		}
		at[p.Environment+thing] = p.At
		before := map[string]string{"test": "dev", "prod": "test"}[p.Environment]
		since, there := at[before+thing]
		if before != "" && !there {
			t.Fatalf("promoted past %s: %+v", before, p)
		}
		if p.Environment != "prod" {
			continue
		}
		if p.At.Sub(since) < 24*time.Hour {
			t.Fatalf("promoted before it had soaked: %+v", p)
		}
		for _, f := range m.freezes {
			if f.ID < p.ID && !p.At.Before(f.From) && p.At.Before(f.Until) {
				t.Fatalf("promoted in the freeze %+v: %+v", f, p)
			}
		}
		asked := false
		for _, q := range granted {
			asked = asked || q.Kind == release.KindPromotion && q.By.Name == p.By && len(q.Approvals) >= 2 && slices.ContainsFunc(q.Promotion.Artifacts, func(pinned string) bool { return untagged(pinned) == thing })
		}
		if !asked {
			t.Fatalf("promoted without approvals: %+v", p)
		}
	}
}

// untagged is a pinned reference without its tag.
func untagged(pinned string) string {
	name, d, _ := strings.Cut(pinned, "@")
	repository, _, _ := strings.Cut(name, ":")
	return repository + "@" + d
}

func TestLaws(t *testing.T) {
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{world: newWorld(t), t: t}
		rt.Repeat(map[string]func(*rapid.T){
			"promote": m.doPromote, "promote too": m.doPromote, "ask": m.doAsk, "answer": m.doAnswer, "answer too": m.doAnswer,
			"freeze": m.doFreeze, "take": m.doTake, "wait": m.doWait, "restart": m.doRestart,
			"": m.laws,
		})
		for kind, n := range m.entries(t) {
			reached[kind] += n
		}
	})
	t.Logf("%v", reached)
	for _, kind := range []string{"promotion", "request", "approval", "rejection", "lapse", "waiver", "freeze", "thaw", "rules"} {
		if reached[kind] == 0 {
			t.Errorf("the machine never came to a %s", kind)
		}
	}
}

// The asker's road to prod is walked on purpose, since chance seldom walks it to
// its end; what happens between the steps is chance.
func TestLawsAlongTheRoad(t *testing.T) {
	reached := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{world: newWorld(t), t: t}
		between := func() {
			for range rapid.IntRange(0, 2).Draw(rt, "between") {
				rapid.SampledFrom([]func(*rapid.T){m.doFreeze, m.doWait, m.doAsk, m.doRestart}).Draw(rt, "what")(rt)
			}
			m.laws(rt)
		}
		for _, to := range []string{"dev", "test"} {
			between()
			m.promote(t, ann, to, "cart:1")
		}
		m.pass(24 * time.Hour)
		between()
		res := m.promote(t, ann, "prod", "cart:1")
		for range 8 {
			between()
			if res.Request == nil {
				m.pass(7 * time.Hour)
				res = m.promote(t, ann, "prod", "cart:1")
				continue
			}
			_, err := m.Approve(t.Context(), somebody(rt), res.Request.ID, "")
			expected(rt, err)
		}
		m.laws(rt)
		list, _, err := m.PromotionsList(t.Context(), release.PromotionQuery{Environment: "prod"})
		check(t, err)
		reached += len(list)
	})
	if reached == 0 {
		t.Error("nothing ever came to prod")
	}
	t.Logf("%d times to prod", reached)
}
