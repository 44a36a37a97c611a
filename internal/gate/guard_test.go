package gate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// uid is the pod's, and the container of it that runs first.
const (
	uid   = "0b1c2d3e-aaaa-bbbb-cccc-123456789abc"
	first = "c0ffee01"
)

// guard is that of node1, where one pod of the workload cart runs.
func (h *house) guard(digest touchstone.Digest) gate.Guard {
	place := h.pod("shop/cart:1", "prod").Question.Place
	place.Node = "node1"
	return gate.Guard{Node: "node1", Actor: "system:guard:node1", Cluster: "lab", Pods: map[string]*gate.Pod{uid: {
		Namespace: "shop", Name: "cart-1", UID: uid, Workload: touchstone.Workload{Kind: "Deployment", Name: "cart"}, Place: place,
		Containers: []gate.PodContainer{{Name: "cart", Role: gate.RoleMain, Image: h.port.host + "/shop/cart:1", Digest: digest, Restart: gate.RestartAlways}},
	}}}
}

// sighted is an event about that container.
func (h *house) sighted(kind touchstone.RuntimeEventKind, action touchstone.Effect) touchstone.RuntimeEvent {
	now := h.clock.now()
	e := touchstone.RuntimeEvent{
		Schema: touchstone.SchemaRuntimeEvent, ID: record.NewID(now), At: now, Count: 1, Kind: kind, Node: "node1",
		Running:  touchstone.Running{ID: first, PodUID: uid, Workload: touchstone.Workload{Container: "cart"}},
		Artifact: touchstone.Artifact{Name: h.port.host + "/shop/cart:1", Kind: touchstone.KindImage},
		Reason:   touchstone.Reason{Rule: string(kind)}, Action: action,
	}
	switch kind {
	case touchstone.EventRunUnknown:
		e.Execution = &touchstone.Execution{Kind: touchstone.ExecuteProgram, Path: "tmp/x", Size: 7}
	case touchstone.EventChange:
		e.Drift = &touchstone.Drift{Change: touchstone.Changed, Path: "etc/passwd"}
	case touchstone.EventLogin:
		e.Login = &touchstone.Login{Kind: touchstone.LoginExec, Command: []string{"sh"}}
	}
	return e
}

func (h *house) sight(t *testing.T, by gate.Guard, events ...touchstone.RuntimeEvent) []gate.Sighting {
	t.Helper()
	out, err := h.Sight(t.Context(), by, events)
	check(t, err)
	return out
}

// However often, in whatever order and parts events are sent, and whenever the server
// starts anew in between, each is there once, and says the most that was said of it.
func TestEventsCountOnce(t *testing.T) {
	h := newHouse(t, nil)
	by := h.guard("")
	rapid.Check(t, func(r *rapid.T) {
		h.clock.pass(time.Hour)
		began := h.clock.now()
		var all []touchstone.RuntimeEvent
		for i := range rapid.IntRange(1, 5).Draw(r, "events") {
			e := h.sighted(touchstone.EventRunUnknown, touchstone.EffectAlert)
			e.Execution.Path = fmt.Sprint("tmp/", i)
			for n := range rapid.IntRange(1, 3).Draw(r, "versions") {
				e.Count = n + 1
				all = append(all, e)
			}
		}
		want := map[string]int{}
		taken := 0
		for range rapid.IntRange(1, 8).Draw(r, "calls") {
			if rapid.IntRange(0, 5).Draw(r, "restart") == 0 {
				h.open(t)
			}
			batch := rapid.SliceOfN(rapid.SampledFrom(all), 1, 6).Draw(r, "batch")
			for i, one := range h.sight(t, by, batch...) {
				if one.Problem != "" {
					r.Fatalf("%s: %s", one.ID, one.Problem)
				}
				if more := batch[i].Count > want[one.ID]; more != one.News {
					r.Fatalf("%s with the count %d after %d: news %v", one.ID, batch[i].Count, want[one.ID], one.News)
				} else if more {
					taken++
				}
				want[one.ID] = max(want[one.ID], batch[i].Count)
			}
		}
		list, _, err := h.Sightings(t.Context(), gate.SightingQuery{Node: "node1", Limit: 100})
		check(t, err)
		got := map[string]int{}
		for _, e := range list {
			if !e.At.Before(began) {
				got[e.ID] = e.Count
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

func TestWhatIsNoEventIsRefusedByItself(t *testing.T) {
	h := newHouse(t, nil)
	good := h.sighted(touchstone.EventRunUnknown, touchstone.EffectKill)
	for what, change := range map[string]func(*touchstone.RuntimeEvent){
		"another node's":    func(e *touchstone.RuntimeEvent) { e.Node = "node2" },
		"no id":             func(e *touchstone.RuntimeEvent) { e.ID = "" },
		"a strange id":      func(e *touchstone.RuntimeEvent) { e.ID = strings.ToLower(e.ID) },
		"an id of long ago": func(e *touchstone.RuntimeEvent) { e.ID = ulid.MustNew(1, nil).String() },
		"an id to come":     func(e *touchstone.RuntimeEvent) { e.ID = ulid.MustNew(ulid.MaxTime(), nil).String() },
		"a moment to come":  func(e *touchstone.RuntimeEvent) { e.At = e.At.AddDate(1, 0, 0) },
		"another schema":    func(e *touchstone.RuntimeEvent) { e.Schema = "x" },
		"nothing seen":      func(e *touchstone.RuntimeEvent) { e.Execution = nil },
		"two things seen":   func(e *touchstone.RuntimeEvent) { e.Drift = &touchstone.Drift{} },
		"another kind":      func(e *touchstone.RuntimeEvent) { e.Kind = touchstone.EventLogin },
		"an unknown kind":   func(e *touchstone.RuntimeEvent) { e.Kind = "x" },
		"an unknown action": func(e *touchstone.RuntimeEvent) { e.Action = "refuse" },
		"no count":          func(e *touchstone.RuntimeEvent) { e.Count = 0 },
		"too large": func(e *touchstone.RuntimeEvent) {
			e.Execution = &touchstone.Execution{Path: strings.Repeat("x", 300<<10)}
		},
		"too many processes": func(e *touchstone.RuntimeEvent) { e.Tree = make([]touchstone.Process, 1000) },
		"a NUL":              func(e *touchstone.RuntimeEvent) { e.Running.ID = "a\x00b" },
		"a long name":        func(e *touchstone.RuntimeEvent) { e.Running.ID = strings.Repeat("x", 5000) },
	} {
		bad := good
		bad.ID = record.NewID(h.clock.now())
		change(&bad)
		good.ID = record.NewID(h.clock.now())
		got := h.sight(t, h.guard(""), bad, good)
		if got[0].Problem == "" || got[0].News || got[1].Problem != "" || !got[1].News {
			t.Errorf("%s: %q, and the good one beside it: %q", what, got[0].Problem, got[1].Problem)
		}
	}
	other := h.guard("")
	other.Node = "node2"
	stolen := good
	stolen.Node, stolen.Count = "node2", 9
	if got := h.sight(t, other, stolen); got[0].Problem == "" {
		t.Error("an event was overwritten from another node")
	}
}

// The server knows better than a guard what a pod is, and keeps no secret of a
// command.
func TestTheServerBelievesItself(t *testing.T) {
	h := newHouse(t, nil)
	e := h.sighted(touchstone.EventLogin, touchstone.EffectAlert)
	e.Login.Command = []string{"mysql", "--password=hunter2hunter2"}
	e.Login.Admitted = "01J00000000000000000000000"
	e.Process = &touchstone.Process{PID: 7, Command: e.Login.Command}
	e.Tree = []touchstone.Process{{PID: 8, Command: e.Login.Command}}
	e.Place = touchstone.Place{Environment: "dev", Namespace: "other"}
	e.Running.Namespace, e.Running.Pod = "other", "cart-x"
	e.Running.Workload = touchstone.Workload{Kind: "Pod", Name: "x", Container: "cart"}
	got := h.sight(t, h.guard(""), e)[0].Event
	if got.Place.Environment != "prod" || got.Running.Pod != "cart-1" || got.Running.Namespace != "shop" ||
		got.Running.Workload != (touchstone.Workload{Kind: "Deployment", Name: "cart", Container: "cart"}) || got.Login.Admitted != "" {
		t.Errorf("%+v", got)
	}
	if words := fmt.Sprint(got.Login.Command, got.Process.Command, got.Tree); strings.Contains(words, "hunter2") {
		t.Errorf("it keeps %s", words)
	}
	for f, err := range h.config.Store.Facts(t.Context(), record.FactQuery{Kind: "guard-event"}) {
		check(t, err)
		if strings.Contains(string(f.Value), "hunter2") {
			t.Errorf("it keeps %s", f.Value)
		}
	}
}

// A session is joined with the decision that let it in: its own, and no other's.
func TestLoginsAreJoined(t *testing.T) {
	h := newHouse(t, nil)
	h.road.set(func() { // logins are let in
		h.road.book = newRoad(t, strings.ReplaceAll(doorTable, "login: {dev: allow, prod: block}", "login: {others: allow}")).book
	})
	let := func(actor, pod string, change func(*touchstone.Login), command ...string) string {
		r := h.login(command...)
		r.Actor, r.Pod, r.Reference = actor, pod, ""
		r.Question.Login.By = actor
		if change != nil {
			change(r.Question.Login)
		}
		a, err := h.Login(t.Context(), r)
		check(t, err)
		expect(t, a, touchstone.Allowed, "")
		return a.ID
	}
	session := func(kind touchstone.LoginKind, command ...string) *touchstone.Login {
		e := h.sighted(touchstone.EventLogin, touchstone.EffectAlert)
		e.Login = &touchstone.Login{Kind: kind, Command: command}
		one := h.sight(t, h.guard(""), e)[0]
		again := h.sight(t, h.guard(""), e)[0]
		if again.News || again.Event.Login.Admitted != one.Event.Login.Admitted {
			t.Errorf("sent again it is joined with %q, and was with %q", again.Event.Login.Admitted, one.Event.Login.Admitted)
		}
		return one.Event.Login
	}
	wanted := func(what string, l *touchstone.Login, by, id string) {
		t.Helper()
		if l.By != by || l.Admitted != id {
			t.Errorf("%s: joined with %q of %q, want %q of %q", what, l.Admitted, l.By, id, by)
		}
	}
	ann := let("ann", "cart-1", nil, "sh", "-c", "id")
	let("eve", "cart-2", nil, "sh", "-c", "id")
	h.clock.pass(time.Second)
	wanted("another command", session(touchstone.LoginExec, "bash"), "", "")
	wanted("another way in", session(touchstone.LoginAttach, "sh", "-c", "id"), "", "")
	wanted("past the runtime", session(touchstone.LoginNsenter, "sh", "-c", "id"), "", "")
	wanted("hers", session(touchstone.LoginExec, "sh", "-c", "id"), "ann", ann)
	wanted("a second one", session(touchstone.LoginExec, "sh", "-c", "id"), "", "")

	h.clock.pass(time.Second)
	bob := let("bob", "cart-1", nil, "sh", "-c", "id")
	h.open(t)
	h.clock.pass(time.Second)
	wanted("after a restart", session(touchstone.LoginExec, "sh", "-c", "id"), "bob", bob)

	script := let("ann", "cart-1", nil, "./run", "x")
	wanted("a script", session(touchstone.LoginExec, "/bin/sh", "./run", "x"), "ann", script)
	secret := let("ann", "cart-1", nil, "mysql", "--password=hunter2hunter2")
	wanted("a secret", session(touchstone.LoginExec, "mysql", "***"), "ann", secret)
	let("ann", "cart-1", nil, "late")
	h.clock.pass(time.Minute)
	wanted("much later", session(touchstone.LoginExec, "late"), "", "")
	debug := let("ann", "cart-1", func(l *touchstone.Login) { l.Kind = touchstone.LoginDebug }, "sh")
	h.clock.pass(5 * time.Minute) // its image is pulled
	wanted("debugging", session(touchstone.LoginDebug, "sh"), "ann", debug)
}

func TestARefusedLoginLetsNobodyIn(t *testing.T) {
	h := newHouse(t, nil)
	r := h.login("sh")
	r.Pod = "cart-1"
	a, err := h.Login(t.Context(), r)
	check(t, err)
	expect(t, a, touchstone.Refused, "login")
	if l := h.sight(t, h.guard(""), h.sighted(touchstone.EventLogin, touchstone.EffectBlock))[0].Event.Login; l.Admitted != "" {
		t.Errorf("joined with %s, which was refused", l.Admitted)
	}
}

// What a guard sees is a finding with a deadline until another container is there, as
// the cluster tells it.
func TestWhatAGuardSeesIsAFinding(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	runs := h.running("shop/cart:1", digest, h.clock.now())
	runs.PodUID, runs.ID = uid, first
	check(t, h.Observe(t.Context(), "lab", []gate.Running{runs}))
	h.scanned(t, 1)
	check(t, h.Observe(t.Context(), "lab", []gate.Running{runs}))
	had := len(h.listed(t).Findings)
	h.clock.pass(time.Second)
	found := func(o gate.Observed) (out []string) {
		for _, f := range o.Findings {
			if slices.Contains([]string{"run-unknown", "change", "login"}, f.Rule) {
				out = append(out, f.Rule+" "+f.Thing)
				if want := f.Since.Add(14 * 24 * time.Hour); !f.Deadline.Equal(want) {
					t.Errorf("%s is to be mended by %s, want %s", f.Rule, f.Deadline, want)
				}
			}
		}
		return out
	}
	expectFound := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, found(h.listed(t))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", when, diff)
		}
	}
	by := h.guard(digest)
	e := h.sighted(touchstone.EventRunUnknown, touchstone.EffectKill)
	h.sight(t, by, e, h.sighted(touchstone.EventLogin, touchstone.EffectAlert), h.sighted(touchstone.EventChange, touchstone.EffectNone))
	expectFound("at once", "login exec", "run-unknown tmp/x")
	check(t, h.Observe(t.Context(), "lab", []gate.Running{runs}))
	expectFound("while it runs", "login exec", "run-unknown tmp/x")
	h.stop()
	h.open(t)
	expectFound("after a restart", "login exec", "run-unknown tmp/x")
	check(t, h.Observe(t.Context(), "lab", []gate.Running{runs}))
	h.sight(t, by, h.replaced())
	expectFound("by the guard's word alone", "login exec", "run-unknown tmp/x")

	h.clock.pass(5 * time.Second)
	runs.ID, runs.Since = "c0ffee02", h.clock.now().Truncate(time.Second)
	check(t, h.Observe(t.Context(), "lab", []gate.Running{runs}))
	if o := h.listed(t); len(o.Findings) != had {
		t.Errorf("with another container in place: %+v", o.Findings)
	}
	told, err := h.Sighting(t.Context(), e.ID)
	check(t, err)
	if told.ReplacedBy != "shop/cart-1 c0ffee02" {
		t.Errorf("replaced by %q", told.ReplacedBy)
	}
}

func (h *house) replaced() touchstone.RuntimeEvent {
	e := h.sighted(touchstone.EventReplaced, touchstone.EffectNone)
	e.ReplacedBy = "shop/cart-1 another"
	return e
}

// A pod that is gone leaves its finding until another of the workload runs, and none
// for ever.
func TestWhatIsGoneIsForgotten(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	runs := h.running("shop/cart:1", digest, h.clock.now())
	runs.PodUID, runs.ID = uid, first
	observe := func(all ...gate.Running) { t.Helper(); check(t, h.Observe(t.Context(), "lab", all)) }
	taints := func() (n int) {
		for _, err := range h.config.Store.Facts(t.Context(), record.FactQuery{Kind: "taint"}) {
			check(t, err)
			n++
		}
		return n
	}
	observe(runs)
	h.sight(t, h.guard(""), h.sighted(touchstone.EventChange, touchstone.EffectAlert))
	observe()
	if taints() != 1 {
		t.Error("forgotten before the cluster could know it")
	}
	other := runs
	other.PodUID, other.ID, other.Pod, other.Since = "other", "c0ffee03", "cart-2", h.clock.now().Add(2*time.Second)
	h.clock.pass(2 * time.Minute)
	observe()
	if taints() != 1 {
		t.Error("forgotten although nothing is in its place")
	}
	observe(other)
	if taints() != 0 {
		t.Error("still there although another runs")
	}
	h.sight(t, h.guard(""), h.sighted(touchstone.EventChange, touchstone.EffectAlert))
	h.clock.pass(11 * time.Minute)
	observe()
	if taints() != 0 {
		t.Error("still there although nothing will come")
	}
}

// However much a guard tells of one container, its findings are few.
func TestFindingsOfAGuardAreFew(t *testing.T) {
	h := newHouse(t, nil)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	runs := h.running("shop/cart:1", digest, h.clock.now())
	runs.PodUID, runs.ID = uid, first
	check(t, h.Observe(t.Context(), "lab", []gate.Running{runs}))
	for i := range 60 {
		e := h.sighted(touchstone.EventChange, touchstone.EffectAlert)
		e.Drift.Path = fmt.Sprintf("etc/%d%s", i, strings.Repeat("é", 400))
		h.sight(t, h.guard(digest), e)
	}
	o := h.listed(t)
	if n := len(o.Findings); n < 20 || n > 22 {
		t.Errorf("%d findings", n)
	}
	for _, f := range o.Findings {
		if len(f.Thing) > 210 {
			t.Errorf("%d bytes in %s", len(f.Thing), f.Thing)
		}
	}
}
