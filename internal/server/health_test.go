package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
)

// health asks anew how the server is.
func (h *house) ask(t *testing.T) (ready bool, problems, warnings string) {
	t.Helper()
	h.health.mu.Lock()
	h.health.at = time.Time{}
	h.health.mu.Unlock()
	got, err := h.admin.Ready(t.Context())
	check(t, err)
	return got.Ready, strings.Join(got.Problems, "\n"), strings.Join(got.Warnings, "\n")
}

func TestHealthTellsTheTruth(t *testing.T) {
	h := open(t, nil)
	if ready, problems, _ := h.ask(t); !ready || problems != "" {
		t.Errorf("at the start: %v %s", ready, problems)
	}
	h.clock.pass(20 * time.Hour)
	if ready, problems, warnings := h.ask(t); !ready || problems != "" || !strings.Contains(warnings, "prod allows 24h") {
		t.Errorf("old advisories: %v %q %q", ready, problems, warnings)
	}
	h.clock.pass(5 * time.Hour)
	if ready, problems, _ := h.ask(t); !ready || !strings.Contains(problems, "nothing new is let in") {
		t.Errorf("stale advisories: %v %q", ready, problems)
	}
	metrics, err := h.admin.Metrics(t.Context())
	check(t, err)
	if !strings.Contains(string(metrics), "touchstone_advisories_age_seconds 90000") || !strings.Contains(string(metrics), "touchstone_problems 1") {
		t.Errorf("%s", metrics)
	}
	_, err = h.store.Commit(t.Context(), record.Change{Kind: "note", Actor: "x", Body: []byte("{}")})
	check(t, err)
	h.clock.set(noon)
	if ready, problems, _ := h.ask(t); !ready || !strings.Contains(problems, "the clock is 25h0m0s behind the log") {
		t.Errorf("a clock that was set back: %v %q", ready, problems)
	}
	h.clock.pass(80 * 24 * time.Hour)
	if _, _, warnings := h.ask(t); !strings.Contains(warnings, "certificate ends in") {
		t.Errorf("a certificate near its end: %q", warnings)
	}
	check(t, h.authority.Renew(h.clock.now()))
	if _, _, warnings := h.ask(t); strings.Contains(warnings, "certificate") {
		t.Errorf("a renewed certificate: %q", warnings)
	}
	check(t, os.RemoveAll(filepath.Join(h.config.Data, "advisories")))
	if ready, problems, _ := h.ask(t); !ready || !strings.Contains(problems, "no advisories") {
		t.Errorf("without advisories: %v %q", ready, problems)
	}
	check(t, h.kept.Close())
	if ready, problems, _ := h.ask(t); ready || !strings.Contains(problems, "the record") {
		t.Errorf("without a record: %v %q", ready, problems)
	}
	if s, a, _ := h.call(t, "GET", "/readyz", "", ""); s != http.StatusServiceUnavailable {
		t.Errorf("%d %s", s, a)
	}
	if got, err := h.admin.Alive(t.Context()); err != nil || !got.Ready {
		t.Errorf("the process lives: %+v %v", got, err)
	}
}

func TestAQueueThatIsStuckIsTold(t *testing.T) {
	h := open(t, nil)
	silent := silence(t)
	dev := h.as(t, "dana", api.Developer)
	for n := range 4 {
		_, err := dev.Check(t.Context(), api.CheckAsk{Reference: fmt.Sprintf("%s/a/b@sha256:%064x", silent, n), Environment: "prod"})
		check(t, err)
	}
	scans, err := dev.Scans(t.Context(), api.Paging{})
	check(t, err)
	if len(scans.Items) != 4 {
		t.Errorf("%+v", scans)
	}
	h.clock.pass(11 * time.Minute)
	if ready, problems, _ := h.ask(t); !ready || !strings.Contains(problems, "has waited for") {
		t.Errorf("%v %q", ready, problems)
	}
}

// silence is a registry that never answers.
func silence(t *testing.T) string {
	ctx, cancel := context.WithCancel(context.Background())
	server := newHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ctx.Done():
		case <-r.Context().Done():
		}
	})
	t.Cleanup(cancel)
	return server
}

// TestAFullDisk lets the disk run full below a server: it says so, decides
// nothing, and goes on when there is room again.
func TestAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=80m"); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	t.Cleanup(func() { check(t, unix.Unmount(disk, unix.MNT_DETACH)) })
	c, clock, told := configure(t, filepath.Join(disk, "data"))
	h := &house{config: c, clock: clock, told: told}
	h.start(t)
	if ready, problems, warnings := h.ask(t); !ready || problems != "" || !strings.Contains(warnings, "nearly full") {
		t.Errorf("a small disk: %v %q %q", ready, problems, warnings)
	}
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	check(t, err)
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	check(t, f.Close())
	_, err = h.admin.MakeToken(t.Context(), api.TokenAsk{Name: "dana", Role: api.Viewer})
	for n := 0; err == nil && n < 500; n++ { // what the log has kept ready is used up first
		_, err = h.admin.MakeToken(t.Context(), api.TokenAsk{Name: "dana", Role: api.Viewer})
	}
	if !status(err, http.StatusInsufficientStorage) {
		t.Errorf("a write on a full disk: %v", err)
	}
	if ready, problems, _ := h.ask(t); ready || !strings.Contains(problems, "disk is full") {
		t.Errorf("a full disk: %v %q", ready, problems)
	}
	got, err := h.admin.Check(t.Context(), api.CheckAsk{Reference: "registry.example/a@sha256:" + strings.Repeat("a", 64), Environment: "prod"})
	if err == nil && got.Check != nil && got.Check.Verdict() == "allowed" {
		t.Errorf("%+v", got.Check)
	}
	check(t, os.Remove(filler))
	if ready, problems, _ := h.ask(t); !ready || problems != "" {
		t.Errorf("with room again: %v %q", ready, problems)
	}
	if _, err := h.admin.MakeToken(t.Context(), api.TokenAsk{Name: "dana", Role: api.Viewer}); err != nil {
		t.Error(err)
	}
}
