package gate_test

import (
	"errors"
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/storetest"
)

func TestRetentionRemovesWhatDecisionsHoldAndNotTheLog(t *testing.T) {
	var h *house
	now := noon
	h = newHouse(t, func(c *gate.DoorConfig) {
		c.Now = func() time.Time { return now }
		c.Store = storetest.OpenAt(t, c.Now)
	})
	store := h.config.Store.(gate.Expirer)
	old := h.ask(t, h.pod("shop/cart:1", "prod"))
	now = now.AddDate(0, 0, 200)
	young := h.ask(t, h.pod("shop/cart:2", "prod"))
	now = now.AddDate(0, 0, 250)
	removed, err := h.Expire(t.Context(), store, gate.DefaultRetention())
	check(t, err)
	if removed["decision"] != 1 {
		t.Errorf("removed %v, want one decision", removed)
	}
	if _, err := h.Replay(t.Context(), old.ID); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("the old decision: %v", err)
	}
	if r, err := h.Replay(t.Context(), young.ID); err != nil || !r.Same {
		t.Errorf("the young decision: %+v, %v", r, err)
	}
	page, _, err := h.Decisions(t.Context(), gate.DecisionQuery{})
	check(t, err)
	if len(page) != 1 || page[0].ID != young.ID {
		t.Errorf("%d decisions are listed, want the young one", len(page))
	}
	if n := entries(t, h.config.Store, "decision"); n != 2 {
		t.Errorf("the log has %d decisions, want both", n)
	}
	again, err := h.Expire(t.Context(), store, gate.DefaultRetention())
	check(t, err)
	if again["decision"] != 0 {
		t.Errorf("removed %v again", again)
	}
}
