package gate_test

import (
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// An owner that was refused for a hole is told as soon as people have waived it; it
// would not ask again for minutes.
func TestWhoWasRefusedIsToldWhenPeoplePutItRight(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	told := make(chan gate.Request, 8)
	h.Allowed(func(r gate.Request) { told <- r })
	h.port.push(t, "shop/cart:1", build(t, "linux/amd64", debian(t, "3.0.1-1")))
	r := h.pod("shop/cart:1", "prod")
	h.ask(t, r)
	h.scanned(t, 1)
	expect(t, h.ask(t, r), touchstone.Refused, "cvss")

	h.road.set(func() {
		b := *h.road.book
		b.Waivers = []touchstone.Waiver{{ID: "w", Rule: "cvss", WholeRule: true, Owner: "shop", Reason: "not used", Until: noon.Add(24 * time.Hour)}}
		h.road.book = &b
	})
	_, err := h.config.Store.Commit(t.Context(), record.Change{Kind: "waiver", Actor: "ann", About: "w", Body: []byte(`{}`)})
	check(t, err)
	select {
	case got := <-told:
		if got.Question.Workload != r.Question.Workload || got.DryRun {
			t.Errorf("told of %+v", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
	}
	expect(t, h.ask(t, r), touchstone.Allowed, "")
}

// An owner whose tag could not be resolved is told once it can be: when it asks, the
// scan begins.
func TestWhoCouldNotBeDecidedAboutIsToldOnceThatCanBe(t *testing.T) {
	h := newHouse(t, nil)
	told := make(chan gate.Request, 8)
	h.Allowed(func(r gate.Request) { told <- r })
	h.port.push(t, "shop/cart:1", build(t, "linux/amd64", debian(t, "3.0.2-1")))
	h.port.down.Store(true)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Undecided, "cannot be resolved")
	h.TellUndecided(t.Context())
	if len(told) != 0 {
		t.Error("told while the registry is down")
	}
	h.port.down.Store(false)
	h.clock.pass(2 * time.Minute) // what a resolver remembers is over
	h.TellUndecided(t.Context())
	if len(told) != 1 {
		t.Fatal("not told although the registry is back")
	}
	h.TellUndecided(t.Context())
	if len(told) != 1 {
		t.Error("told twice")
	}
}
