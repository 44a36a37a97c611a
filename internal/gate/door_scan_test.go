package gate_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

func TestWhatWaitedAtACrashIsTakenUp(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.open(t) // the process ended before anything was scanned
	told := make(chan gate.Request, 1)
	h.Allowed(func(r gate.Request) { told <- r })
	h.run(t)
	h.scanned(t, 1)
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Error("who waited before the crash was not told")
	}
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
}

// rewrite changes the fact of a scan, as an earlier process would have left it.
func (h *house) rewrite(t *testing.T, change func(*gate.Scan)) {
	t.Helper()
	for s, err := range record.List[gate.Scan](t.Context(), h.config.Store, record.FactQuery{Kind: "scan"}) {
		check(t, err)
		change(&s.Content)
		value, err := json.Marshal(s.Content)
		check(t, err)
		_, err = h.config.Store.Commit(t.Context(), record.Change{Kind: "scan", Actor: "test", About: s.Key, Body: value, Facts: []record.Fact{{Kind: "scan", Key: s.Key, Value: value}}})
		check(t, err)
	}
}

func TestAScanThatDiedIsBegunAgain(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.rewrite(t, func(s *gate.Scan) { s.State, s.Attempts, s.Deaths = gate.ScanRunning, 1, 1 })
	h.open(t)
	h.run(t)
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
}

func TestWhatAlwaysKillsBecomesAGap(t *testing.T) {
	h := newHouse(t, nil)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.rewrite(t, func(s *gate.Scan) { s.State, s.Attempts, s.Deaths = gate.ScanRunning, 5, 5 })
	h.open(t)
	h.run(t)
	h.scanned(t, 1)
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Refused, "gaps")
	if a.Decision.Inputs.Evidence == "" || !strings.Contains(a.Decision.Reasons[0].Failing[0], "never ended") {
		t.Errorf("the gap says %v", a.Decision.Reasons[0].Failing)
	}
}

func TestAFailureThatPassesIsTriedAgain(t *testing.T) {
	h := newHouse(t, nil)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.port.down.Store(true)
	h.run(t)
	r := h.pod("shop/cart@"+string(digest), "prod")
	h.ask(t, r)
	h.await(t, 1, func(e gate.Event) bool { return e.Scan != nil && e.Scan.State == gate.ScanFailed })
	expect(t, h.ask(t, r), touchstone.Undecided, "cannot be pulled")
	h.port.down.Store(false)
	h.clock.pass(time.Minute)
	h.scanned(t, 1)
	expect(t, h.ask(t, r), touchstone.Allowed, "")
}
