// Package install puts the gate into a cluster and takes it out again: one list of
// objects, which is printed as YAML, applied, or removed. It also keeps the webhooks'
// caBundle what the server's certificate is signed by. It starts no server.
//
//	Options ─ Manifests ─► objects ─► WriteYAML
//	                              ├─► Apply (server-side apply; again for an upgrade)
//	                              └─► Remove (all but the data)
//
// Options.Guard adds a guard on each node, in a namespace of its own and with no right
// in the cluster.
//
// # What holds when the gate is down
//
// Each webhook configuration has two entries. That for system namespaces and the
// gate's own ignores failures after 2 seconds: the cluster starts, and the gate with
// it, whatever the gate does. That for all other namespaces fails: nothing enters
// unseen. A namespace that carries touchstone.dev/gate=off is excluded from both, for
// a gate that is dead; a policy lets only those set it, or touch the webhooks, who
// may "disable" the "gates" of the group touchstone.dev, as cluster administrators
// may. The policies run inside the API server and need no gate.
package install
