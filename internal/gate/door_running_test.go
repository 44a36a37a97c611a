package gate_test

import (
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

func (h *house) login(command ...string) gate.Request {
	r := h.pod("shop/cart:1", "prod")
	r.Actor, r.Reference = "ann", "cart-1"
	r.Question.Occasion = touchstone.OccasionLogin
	r.Question.Login = &touchstone.Login{Kind: touchstone.LoginExec, By: "ann", Command: command, TTY: true}
	return r
}

func (h *house) running(ref string, d touchstone.Digest, since time.Time) gate.Running {
	q := h.pod(ref, "prod").Question
	return gate.Running{Place: q.Place, Workload: q.Workload, Reference: h.port.host + "/" + ref, Digest: d, Pod: "cart-1", Since: since}
}

func (h *house) listed(t *testing.T) gate.Observed {
	t.Helper()
	all, _, err := h.RunningNow(t.Context(), gate.RunningQuery{})
	check(t, err)
	if len(all) != 1 {
		t.Fatalf("%d run, want 1", len(all))
	}
	return all[0]
}

func TestLoginIsCountedOnceAndRedacted(t *testing.T) {
	h := newHouse(t, nil)
	first, err := h.Login(t.Context(), h.login("mysql", "--password=hunter2hunter2"))
	check(t, err)
	expect(t, first, touchstone.Refused, "login")
	h.clock.pass(time.Second)
	second, err := h.Login(t.Context(), h.login("mysql", "--password=hunter2hunter2"))
	check(t, err)
	if second.ID != first.ID || entries(t, h.config.Store, "login") != 1 {
		t.Error("one attempt is counted twice")
	}
	h.clock.pass(time.Minute)
	if third, err := h.Login(t.Context(), h.login("mysql", "--password=hunter2hunter2")); err != nil || third.ID == first.ID {
		t.Errorf("a later attempt is not counted (%v)", err)
	}
	kept, err := h.Decision(t.Context(), first.ID)
	check(t, err)
	if got := strings.Join(kept.Question.Login.Command, " "); strings.Contains(got, "hunter2") {
		t.Errorf("the command is kept as %s", got)
	}
	for f, err := range h.config.Store.Facts(t.Context(), record.FactQuery{Kind: "decision"}) {
		check(t, err)
		if strings.Contains(string(f.Value), "mysql") {
			t.Errorf("the command stands in a fact: %s", f.Value)
		}
	}
}

func TestReportModeTellsAndLetsIn(t *testing.T) {
	h := newHouse(t, func(c *gate.DoorConfig) { c.Enforce = false })
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Refused, "unseen")
	if !a.Admit() || a.Enforced {
		t.Error("it is not let in in report mode")
	}
	sw := gate.Switch{Actor: "ann", Cluster: "lab", Namespace: "shop", Enforce: true, Reason: "day two"}
	h.scanned(t, 1)
	check(t, h.Observe(t.Context(), "lab", []gate.Running{
		h.running("shop/cart:1", digest, noon), {Place: h.running("x", "", noon).Place, Reference: "registry.example/new", Digest: digest, Workload: touchstone.Workload{Kind: "Pod", Name: "new"}},
	}))
	if mode, inTheWay, err := h.SetMode(t.Context(), sw); err != nil || len(inTheWay) != 1 || mode.Enforced {
		t.Errorf("it is enforced (%v) with %d unscanned in the way (%v)", mode.Enforced, len(inTheWay), err)
	}
	check(t, h.Observe(t.Context(), "lab", []gate.Running{h.running("shop/cart:1", digest, noon)}))
	h.clock.pass(time.Minute)
	mode, inTheWay, err := h.SetMode(t.Context(), sw)
	check(t, err)
	if !mode.Enforced || len(inTheWay) != 0 {
		t.Fatalf("it is not enforced: %v", inTheWay)
	}
	a = h.ask(t, h.pod("shop/cart:1", "prod"))
	if a.Decision.Verdict != touchstone.Allowed || len(a.Decision.Findings) == 0 {
		t.Errorf("what ran at the switch: %s, findings %v", a.Decision.Verdict, a.Decision.Findings)
	}
	h.port.push(t, "shop/cart:2", build(t, "", debian(t, "3.0.1-1"), layerOf(t, file("new", "new"))))
	h.ask(t, h.pod("shop/cart:2", "prod"))
	h.scanned(t, 1)
	a = h.ask(t, h.pod("shop/cart:2", "prod"))
	expect(t, a, touchstone.Refused, "cvss")
	if a.Admit() {
		t.Error("it is let in although it is new and the rules are enforced")
	}
	h.stop()
	h.open(t)
	if m, err := h.Mode(t.Context(), "lab", "shop"); err != nil || !m.Enforced || m.By != "ann" {
		t.Errorf("after a restart the mode is %+v (%v)", m, err)
	}
}

func TestWhatRunsHasFindingsWithADeadline(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	snapshot := []gate.Running{h.running("shop/cart:1", digest, noon.Add(-time.Hour))}
	check(t, h.Observe(t.Context(), "lab", snapshot)) // it ran before the gate was there
	h.scanned(t, 1)
	check(t, h.Observe(t.Context(), "lab", snapshot))
	o := h.listed(t)
	if !o.Seen || !o.Taken || o.Verdict != touchstone.Refused || len(o.Findings) != 1 || !o.Findings[0].Deadline.Equal(noon.Add(14*24*time.Hour)) {
		t.Fatalf("observed %+v", o)
	}
	before := entries(t, h.config.Store, "observed")
	h.clock.pass(time.Minute)
	check(t, h.Observe(t.Context(), "lab", snapshot))
	if n := entries(t, h.config.Store, "observed"); n != before {
		t.Error("a snapshot without a change was written down")
	}
	h.clock.pass(24 * time.Hour)
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	if a.Decision.Verdict != touchstone.Allowed || len(a.Decision.Findings) != 1 || !a.Decision.Findings[0].Since.Equal(noon) {
		t.Errorf("a restart: %s (%s), findings %v", a.Decision.Verdict, why(a), a.Decision.Findings)
	}

	// The clock outlasts the pods, and the process.
	check(t, h.Observe(t.Context(), "lab", nil))
	if all, _, err := h.RunningNow(t.Context(), gate.RunningQuery{}); err != nil || len(all) != 0 {
		t.Errorf("%d run (%v), want none", len(all), err)
	}
	h.stop()
	h.open(t)
	check(t, h.Observe(t.Context(), "lab", snapshot))
	if o := h.listed(t); len(o.Findings) != 1 || !o.Findings[0].Since.Equal(noon) {
		t.Errorf("after a restart %+v", o.Findings)
	}
}

func TestARestartIsNotBrokenAndPowerIsNoRestart(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	lenient := h.road.book
	h.road.set(func() {
		h.road.book = newRoad(t, strings.Replace(doorTable, "prod: at most 3", "prod: at most 10", 1)).book
	})
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
	h.road.set(func() { h.road.book = lenient }) // and now its holes score too high
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	if a.Decision.Verdict != touchstone.Allowed || len(a.Decision.Findings) != 1 {
		t.Errorf("a restart is %s (%s), findings %v", a.Decision.Verdict, why(a), a.Decision.Findings)
	}
	privileged := h.pod("shop/cart:1", "prod")
	privileged.Question.Privileged = true
	if a := h.ask(t, privileged); a.Decision.Verdict != touchstone.Refused {
		t.Errorf("with more power it is %s", a.Decision.Verdict)
	}
	other := h.pod("shop/cart:1", "prod")
	other.Question.Workload.Name = "till"
	expect(t, h.ask(t, other), touchstone.Refused, "cvss")
}

func TestBreakGlassIsNoLettingIn(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	r := h.pod("shop/cart:1", "prod")
	r.History.Glass = &touchstone.Glass{By: "ann", Reason: "outage", Until: noon.Add(time.Hour)}
	expect(t, h.ask(t, r), touchstone.Allowed, "")
	h.clock.pass(2 * time.Hour)
	expect(t, h.ask(t, r), touchstone.Refused, "cvss")
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Refused, "cvss")
}

func TestWhatPassedUnseenIsAFinding(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	check(t, h.Observe(t.Context(), "lab", nil)) // the gate knows the cluster from now on
	h.clock.pass(time.Hour)
	snapshot := []gate.Running{h.running("shop/cart:1", digest, h.clock.now())}
	check(t, h.Observe(t.Context(), "lab", snapshot))
	h.scanned(t, 1)
	for range 3 { // the same again and again is one finding
		check(t, h.Observe(t.Context(), "lab", snapshot))
	}
	if o := h.listed(t); len(o.Findings) != 1 || o.Findings[0].Rule != gate.RuleAdmission || o.Taken {
		t.Errorf("findings %+v, taken in %v", o.Findings, o.Taken)
	}
}

func TestAClockThatIsSetBack(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.clock.set(noon.Add(365 * 24 * time.Hour))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
	h.clock.set(noon)
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Allowed, "")
	if !a.Decision.At.Equal(noon) {
		t.Errorf("the decision is of %s", a.Decision.At)
	}
}

func TestWhatIsBetterIsLetThroughWithOneApproval(t *testing.T) {
	h := newHouse(t, nil)
	h.road.set(func() {
		h.road.book = newRoad(t, strings.Replace(doorTable, "rules:", "rules:\n  secrets: {dev: allow, prod: refuse}\n  improves: {dev: allow, prod: approve}", 1)).book
	})
	h.run(t)
	bad, secret := debian(t, "3.0.1-1"), layerOf(t, file("root/.netrc", "machine registry.example login deploy password hunter2hunter2\n"))
	worse := h.port.push(t, "shop/cart:1", build(t, "", bad, secret))
	h.port.push(t, "shop/cart:2", build(t, "", bad))
	check(t, h.Observe(t.Context(), "lab", []gate.Running{h.running("shop/cart:1", worse, noon)}))
	h.scanned(t, 1)
	h.ask(t, h.pod("shop/cart:2", "prod"))
	h.scanned(t, 1)
	a := h.ask(t, h.pod("shop/cart:2", "prod"))
	expect(t, a, touchstone.Refused, "cvss")
	if b := a.Decision.Better; !b.Better() || len(b.Mended) != 1 {
		t.Errorf("compared with what runs: %+v", b)
	}
	h.road.set(func() { h.road.asker, h.road.given = "ann", []touchstone.Approval{{By: "ann", At: noon}} })
	expect(t, h.ask(t, h.pod("shop/cart:2", "prod")), touchstone.Refused, "cvss")
	h.road.set(func() { h.road.given = append(h.road.given, touchstone.Approval{By: "bob", At: noon}) })
	expect(t, h.ask(t, h.pod("shop/cart:2", "prod")), touchstone.Allowed, "")
}

func TestNobodyIsHeldUpByWhoListensSlowly(t *testing.T) {
	h := newHouse(t, nil)
	events, cancel := h.Subscribe()
	defer cancel()
	for i := range 300 {
		h.clock.pass(time.Minute)
		if _, err := h.Login(t.Context(), h.login("sh")); err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
	}
	n := 0
	for range events {
		n++
	}
	if n == 0 || n >= 300 {
		t.Errorf("who reads slowly got %d of 300", n)
	}
}
