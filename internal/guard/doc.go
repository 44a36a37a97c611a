// Package guard is the agent on a node: it keeps what runs as its artifact says.
//
// It watches every container that the runtime starts (or the host itself), knows
// what its image holds, and sees four things: something executed that is not in
// the image, files that differ from it, people who get in, and whether it still
// sees all of that. Each is put before touchstone.Decide as a Case; what the
// decision asks for (alert, block, kill) is done by the layers below, step by
// step, and told as a touchstone.RuntimeEvent.
//
//	containerd ─ what runs ─► subject ─ image (manifest, contents) ─┐
//	fanotify   ─ exec, open ─► known by content? ───────────────────┤
//	bpf        ─ exec, mmap ─► verified stamp?  ────────────────────┼─► Decide ─► ladder ─► journal ─► server · metrics · log
//	session    ◄ processes ─── logins ──────────────────────────────┤
//	drift      ◄ written ───── differences ─────────────────────────┘
//	ground     ─ rules, waivers, places: from files or from a server
//
// The guard decides nothing by itself, has no right in a cluster, and links no
// Kubernetes: what takes such a right it asks of the server. It is not for what
// an image's own interpreter is told to do (docs/guard.md says what is left open).
package guard
