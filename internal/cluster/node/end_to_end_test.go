package node

import "testing"

// The real server stands at the door of a real cluster, and each proof goes
// through it from end to end. They share it, and are taken in this order: the
// first finds a cluster on which there was no gate.
func TestTheGateEndToEnd(t *testing.T) {
	w := newWorld(t)
	day := w.before(t)
	w.s.start(t)
	w.s.install(t, w)
	t.Run("day one on a cluster full of pods", func(t *testing.T) { day.one(t, w) })
	day.release() // where another proof alone is asked for
	for _, proof := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"what was never seen is refused, scanned and let in by itself", neverSeen},
		{"a tag points elsewhere between check and run", moved},
		{"a sidecar is injected", sidecar},
		{"nobody gets into prod", logins},
		{"what a guard tells", guards},
		{"a guard on the node", guarded},
		{"the glass is broken", glass},
		{"what is better than what runs", improves},
		{"what must be promoted", promoted},
		{"a new advisory", advisory},
		{"a pull secret", pullSecret},
		{"the registry is down", registryDown},
		{"the server is killed while pods are created and while it scans", killed},
		{"the gate is dead and switched off", gateOff},
		{"a static pod", static},
		{"the cluster starts from cold", cold},
		{"the gate is taken away", uninstalled},
	} {
		t.Run(proof.name, func(t *testing.T) { proof.run(t, w) })
	}
}
