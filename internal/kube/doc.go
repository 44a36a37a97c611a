// Package kube is a Kubernetes cluster, as far as the gate needs one: what a
// namespace says of itself, what keeps a pod, what runs, what the pods of a node
// declare, who may do what, whose token it is, what a pull secret holds. It does three
// things there: it nudges an owner that waits, evicts a pod for a guard, and writes
// events of what guards have seen. Admission is in package admit, the manifests are in
// package install. No other room links Kubernetes.
//
//	API server ─ informers ─► pods, trimmed ┬─► Cluster (admit asks)
//	             metadata of what makes them ├─► Running (Run tells the gate.Door)
//	                                         └─► Pods of a node (its guard's ground)
//
// Lookups are answered from memory, and by one call where memory does not know yet:
// a pod is admitted milliseconds after its ReplicaSet was made. It judges nothing
// and keeps nothing on disk.
package kube
