package gate_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/artifact/reference"
	"touchstone.dev/touchstone/internal/gate"
)

// publish adds an advisory about a package of Debian 12.
func (h *house) publish(t *testing.T, id, pkg, fixed string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), id+".json")
	check(t, os.WriteFile(path, []byte(`{"schema_version":"1.6.0","id":"DEBIAN-`+id+`","published":"2026-10-01T00:00:00Z","modified":"2026-10-01T00:00:00Z",
"upstream":["`+id+`"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
"affected":[{"package":{"ecosystem":"Debian:12","name":"`+pkg+`"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"`+fixed+`"}]}]}]}`), 0o600))
	_, err := h.config.Gate.Advisories.Import(t.Context(), []string{path}, advisory.ImportOptions{Now: h.clock.now(), AsOf: h.clock.now()})
	check(t, err)
}

func TestReconsiderOpensAndClosesFindings(t *testing.T) {
	h := newHouse(t, nil)
	_, err := h.Reconsider(t.Context()) // the first advisories
	check(t, err)
	h.run(t)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	r := h.running("shop/cart:1", digest, noon.Add(-time.Hour)) // it ran before the gate was there
	check(t, h.Observe(t.Context(), "lab", []gate.Running{r}))
	h.scanned(t, 1)
	check(t, h.Observe(t.Context(), "lab", []gate.Running{r}))
	if o := h.listed(t); o.Verdict != touchstone.Allowed || len(o.Findings) != 0 {
		t.Fatalf("it is %s before, with %+v", o.Verdict, o.Findings)
	}

	h.clock.pass(time.Hour)
	h.publish(t, "CVE-2026-2", "zlib", "1.3-1")
	out, err := h.Reconsider(t.Context())
	check(t, err)
	if out.Packages != 1 || out.Artifacts != 0 || out.Running != 0 || out.Everything {
		t.Errorf("an advisory about something else: %+v", out)
	}

	h.clock.pass(time.Hour)
	h.publish(t, "CVE-2026-3", "openssl", "3.0.9-1")
	out, err = h.Reconsider(t.Context())
	check(t, err)
	if out.Packages != 1 || out.Running != 1 || out.Opened != 1 || out.Closed != 0 || out.Worse != 1 {
		t.Errorf("an advisory about it: %+v", out)
	}
	o := h.listed(t)
	found := o.Findings
	if len(found) != 1 || found[0].Thing != "CVE-2026-3" || !found[0].Since.Equal(h.clock.now()) || !found[0].Deadline.Equal(h.clock.now().Add(14*24*time.Hour)) || o.Verdict != touchstone.Refused {
		t.Errorf("it is %s, with %+v", o.Verdict, found)
	}
	h.Door = gate.NewDoor(h.config) // what was found is written down
	if o := h.listed(t); len(o.Findings) != 1 || o.Verdict != touchstone.Refused {
		t.Errorf("after a restart it is %s, with %+v", o.Verdict, o.Findings)
	}

	h.clock.pass(time.Hour)
	h.publish(t, "CVE-2026-3", "openssl", "3.0.2-1") // it was mended earlier than first said
	out, err = h.Reconsider(t.Context())
	check(t, err)
	if o := h.listed(t); out.Closed == 0 || o.Verdict != touchstone.Allowed || len(o.Findings) != 0 {
		t.Errorf("%+v: it is %s, with %+v", out, o.Verdict, o.Findings)
	}
	again, err := h.Reconsider(t.Context())
	check(t, err)
	if again != (gate.Reconsidered{}) {
		t.Errorf("without a change: %+v", again)
	}
	if n := entries(t, h.config.Store, "advisories"); n != 4 {
		t.Errorf("%d entries say that the advisories have changed, want 4", n)
	}
}

func TestReconsiderDecidesEverythingWhenTheRevisionBeforeIsGone(t *testing.T) {
	h := newHouse(t, nil)
	h.runs(t)
	_, err := h.Reconsider(t.Context())
	check(t, err)
	h.stop()
	h.publish(t, "CVE-2026-4", "zlib", "1.3-1")
	h.publish(t, "CVE-2026-5", "zlib", "1.3-2")
	out, err := h.Reconsider(t.Context())
	check(t, err)
	if !out.Everything || out.Running != 1 {
		t.Errorf("%+v", out)
	}
}

// A newer base that is approved is a finding on what stands on the one before, with
// the next look at what runs: nobody has to ask, and no advisory to change.
func TestANewerBaseIsAFindingByItself(t *testing.T) {
	h := newHouse(t, nil)
	h.road.set(func() { h.road.book = newRoad(t, doorTable+"  old-base: {dev: any, prod: refuse}\n").book })
	h.run(t)
	approve := func(version string, at time.Time) {
		t.Helper()
		all, err := h.config.Gate.Inspect(t.Context(), archive(t, build(t, "", debian(t, version))), reference.Options{As: "base:12"})
		check(t, err)
		base, err := gate.Base(all[0], "team-base", at, time.Time{})
		check(t, err)
		check(t, h.config.Gate.Golden.Add(base))
	}
	approve("3.0.1-1", noon)
	digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1"), layerOf(t, file("srv/cart", "cart"))))
	snapshot := []gate.Running{h.running("shop/cart:1", digest, noon.Add(-time.Hour))}
	looks := func(want bool) {
		t.Helper()
		check(t, h.Observe(t.Context(), "lab", snapshot))
		o := h.listed(t)
		if got := slices.ContainsFunc(o.Findings, func(f touchstone.Finding) bool { return f.Rule == "old-base" }); !o.Seen || got != want {
			t.Fatalf("seen %t, %+v", o.Seen, o.Findings)
		}
	}
	check(t, h.Observe(t.Context(), "lab", snapshot))
	h.scanned(t, 1)
	looks(false)
	approve("3.0.2-1", noon.Add(time.Hour))
	h.clock.pass(2 * time.Hour)
	looks(true)
	_, err := h.config.Gate.Golden.Remove("base:12")
	check(t, err)
	h.clock.pass(time.Minute)
	looks(false)
}
