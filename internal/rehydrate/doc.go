// Package rehydrate replaces what runs before it is old, finding or no finding.
//
//	Fleet ─┐
//	Memory ┼─ Plan(now) ─► Due of each workload: why, when, what it waits for ─► Step
//	Limits ┘                                                                      │
//	Controller: Lease ─► Fleet ─► Plan ─► Gate.Ask ─► Plan ─► record ─► Hands ◄───┘
//
// Plan is a pure function of plain data: it sees no clock, disk or network, and may
// be asked about a month that has not come (see Ahead). The Controller does what it
// says: each step is written down before it is done and settled after, so that a
// crash in the middle neither repeats nor loses one.
//
// The package knows no Kubernetes. What runs, and the hands that replace it, are
// interfaces: kube/roll has them for a cluster, Hook for everything else. It judges
// nothing: before anything is taken away the gate is asked about what would follow.
package rehydrate
