// Package roll has rehydration's eyes and hands in a Kubernetes cluster: what runs,
// with its age, its services and its disruption budgets; rollouts, evictions and
// drained nodes; one leader; events on the objects.
//
//	API server ─ informers ─► Fleet ─► rehydrate.Controller ─► Hands ─► API server
//	                                        ▲    Lease
//	             gate.Book ─► Policies ─────┘
//
// A rollout is made by one annotation on the pod template, as kubectl rollout restart
// makes it: the controller of the workload then replaces its pods by its own
// strategy. The annotation names the step, so that hands which have died know their
// own again, and going back is to put the annotation back: what was there before is
// then the template again, and its ReplicaSet or revision is still there. Nothing
// else of a workload is changed. The package decides nothing.
package roll
