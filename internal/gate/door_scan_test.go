package gate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

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

func TestWhatNobodyAsksForAnyMoreIsForgotten(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	h.ask(t, h.pod("shop/none@sha256:"+strings.Repeat("ab", 32), "prod"))
	failed := func(e gate.Event) bool { return e.Scan != nil && e.Scan.State == gate.ScanFailed }
	h.await(t, 1, failed)
	h.clock.pass(time.Hour)
	h.await(t, 1, failed)
	h.clock.pass(24 * time.Hour)
	for limit := time.Now().Add(10 * time.Second); h.Stats().Waiting+h.Stats().Running > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("it is still tried again")
		}
	}
	if scans, _, err := h.Scans(t.Context(), "", 0); err != nil || len(scans) != 0 {
		t.Errorf("%d scans are written down (%v)", len(scans), err)
	}
}

func TestOneWhoAsksForManyKeepsNobodyOut(t *testing.T) {
	h := newHouse(t, func(c *gate.DoorConfig) { c.Queue = 40 })
	for i := range 31 {
		a := h.ask(t, h.pod(fmt.Sprintf("shop/cart@sha256:%064d", i), "prod"))
		if want := touchstone.Refused; i < 30 && a.Decision.Verdict != want || i == 30 && a.Decision.Verdict != touchstone.Undecided {
			t.Fatalf("number %d is %s", i, a.Decision.Verdict)
		}
	}
	other := h.pod("shop/cart@sha256:"+strings.Repeat("f", 64), "prod")
	other.Question.Place.Namespace = "till"
	if a := h.ask(t, other); !a.Scanning {
		t.Error("another finds no room")
	}
}

func TestAnIndexIsJudgedByTheWorstThatPlacesRun(t *testing.T) {
	for _, test := range []struct {
		platforms []string
		want      touchstone.Verdict
	}{
		{[]string{"linux/amd64"}, touchstone.Allowed},
		{[]string{"linux/amd64", "linux/arm64"}, touchstone.Refused},
		{[]string{"linux/riscv64"}, touchstone.Refused}, // no place runs any: all of it is judged
	} {
		t.Run(strings.Join(test.platforms, " "), func(t *testing.T) {
			h := newHouse(t, func(c *gate.DoorConfig) { c.Platforms = test.platforms })
			h.run(t)
			ref, err := name.ParseReference(h.port.host + "/shop/cart:1")
			check(t, err)
			good := build(t, "linux/amd64", debian(t, "3.0.2-1"))
			check(t, remote.WriteIndex(ref, mutate.AppendManifests(empty.Index,
				mutate.IndexAddendum{Add: good, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
				mutate.IndexAddendum{Add: build(t, "linux/arm64", debian(t, "3.0.1-1")), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})))
			h.ask(t, h.pod("shop/cart:1", "prod"))
			h.scanned(t, 1)
			a := h.ask(t, h.pod("shop/cart:1", "prod"))
			if a.Decision.Verdict != test.want || a.Artifact.Index == "" || !strings.HasSuffix(a.Pinned, string(a.Artifact.Index)) {
				t.Errorf("it is %s, of %+v, pinned as %s; want %s", a.Decision.Verdict, a.Artifact, a.Pinned, test.want)
			}
			if test.platforms[0] == "linux/amd64" { // a node may name it by the image's own digest
				d, err := good.Digest()
				check(t, err)
				expect(t, h.ask(t, h.pod("shop/cart@"+d.String(), "prod")), touchstone.Allowed, "")
			}
		})
	}
}

// What a node would run is judged, however the index describes it.
func TestAnIndexHidesNothingThatANodeMayChoose(t *testing.T) {
	for what, test := range map[string]struct {
		good, bad v1.Platform
		nodes     []string
		want      touchstone.Verdict
	}{
		"one for less, where its own asks for more": {v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}, v1.Platform{OS: "linux", Architecture: "386"}, []string{"linux/amd64"}, touchstone.Refused},
		"one for less, where there is its own":      {v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "386"}, []string{"linux/amd64"}, touchstone.Allowed},
		"its own under its usual variant":           {v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, v1.Platform{OS: "linux", Architecture: "arm"}, []string{"linux/arm64"}, touchstone.Allowed},
		"another name for its own":                  {v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "x86_64"}, []string{"linux/amd64"}, touchstone.Refused},
		"its own in capitals":                       {v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "Linux", Architecture: "AMD64"}, []string{"linux/amd64"}, touchstone.Refused},
		"no operating system":                       {v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{Architecture: "amd64"}, []string{"linux/amd64"}, touchstone.Refused},
		"one for nobody here":                       {v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "s390x"}, []string{"linux/amd64"}, touchstone.Allowed},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t, func(c *gate.DoorConfig) { c.Platforms = test.nodes })
			h.run(t)
			ref, err := name.ParseReference(h.port.host + "/shop/cart:1")
			check(t, err)
			check(t, remote.WriteIndex(ref, mutate.AppendManifests(empty.Index,
				mutate.IndexAddendum{Add: build(t, "linux/amd64", debian(t, "3.0.1-1")), Descriptor: v1.Descriptor{Platform: &test.bad}},
				mutate.IndexAddendum{Add: build(t, "linux/amd64", debian(t, "3.0.2-1")), Descriptor: v1.Descriptor{Platform: &test.good}})))
			h.ask(t, h.pod("shop/cart:1", "prod"))
			h.scanned(t, 1)
			if a := h.ask(t, h.pod("shop/cart:1", "prod")); a.Decision.Verdict != test.want {
				t.Errorf("it is %s, want %s", a.Decision.Verdict, test.want)
			}
		})
	}
}

func TestAnIndexIsReadAgainForNodesThatCameLater(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	ref, err := name.ParseReference(h.port.host + "/shop/cart:1")
	check(t, err)
	check(t, remote.WriteIndex(ref, mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: build(t, "linux/amd64", debian(t, "3.0.2-1")), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: build(t, "linux/arm64", debian(t, "3.0.1-1")), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
	h.stop()
	h.config.Platforms = []string{"linux/amd64", "linux/arm64"}
	h.open(t)
	h.run(t)
	r := h.pod("shop/cart:1", "prod")
	r.Question.Workload.Name = "till"
	expect(t, h.ask(t, r), touchstone.Refused, "unseen")
	h.scanned(t, 1)
	expect(t, h.ask(t, r), touchstone.Refused, "cvss")
}

func TestWhatSomebodyWaitsForIsScannedFirst(t *testing.T) {
	h := newHouse(t, func(c *gate.DoorConfig) { c.Workers = 1 })
	var snapshot []gate.Running
	for _, version := range []string{"3.0.1-1", "3.0.2-1", "3.0.3-1"} {
		r := h.running("shop/cart:"+version, h.port.push(t, "shop/cart:"+version, build(t, "", debian(t, version))), noon)
		r.Workload.Name = "cart-" + version
		snapshot = append(snapshot, r)
	}
	check(t, h.Observe(t.Context(), "lab", snapshot))
	h.ask(t, h.pod("shop/cart:3.0.3-1", "prod"))
	h.run(t)
	h.await(t, 1, func(e gate.Event) bool {
		if e.Seen != nil && e.Seen.Digest != snapshot[2].Digest {
			t.Errorf("%s was scanned first", e.Seen.Digest)
		}
		return e.Seen != nil
	})
	h.scanned(t, 2)
}

func TestLostEvidenceIsReadAgain(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.2-1")))
	h.ask(t, h.pod("shop/cart:1", "prod"))
	h.scanned(t, 1)
	seen, _, err := h.SeenArtifacts(t.Context(), "", "", 0)
	check(t, err)
	h.stop()
	check(t, h.config.Gate.Inspector.Forget(seen[0].Platforms[0].Evidence))
	h.open(t)
	a := h.ask(t, h.pod("shop/cart:1", "prod"))
	expect(t, a, touchstone.Refused, "unseen")
	if !a.Scanning {
		t.Error("it is not scanned again")
	}
	h.run(t)
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "")
}

func TestEverybodyTakesTurns(t *testing.T) {
	h := newHouse(t, func(c *gate.DoorConfig) { c.Workers = 1 })
	ask := func(ref, namespace, version string) touchstone.Digest {
		d := h.port.push(t, ref, build(t, "", debian(t, version), layerOf(t, file(namespace, ref))))
		r := h.pod(ref, "prod")
		r.Question.Place.Namespace = namespace
		h.ask(t, r)
		return d
	}
	for _, tag := range []string{"1", "2", "3", "4"} {
		ask("many/app:"+tag, "many", "3.0.2-1")
	}
	few := ask("few/app:1", "few", "3.0.2-1")
	h.run(t)
	n := 0
	h.await(t, 1, func(e gate.Event) bool {
		if e.Seen != nil {
			n++
		}
		return e.Seen != nil && e.Seen.Digest == few
	})
	if n > 2 {
		t.Errorf("who asks for one waited behind %d of another's", n-1)
	}
}
