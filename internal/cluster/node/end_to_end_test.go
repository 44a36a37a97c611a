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
	for _, proof := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"day one on a cluster full of pods", day.one},
		{"what was never seen is refused, scanned and let in by itself", neverSeen},
		{"nobody gets into prod", logins},
		{"the server is killed while pods are created and while it scans", killed},
	} {
		t.Run(proof.name, func(t *testing.T) { proof.run(t, w) })
	}
}
