// Package kube is a Kubernetes cluster, as far as the gate needs one: what a
// namespace says of itself, what keeps a pod, what runs, who may do what, what a
// pull secret holds; and the one thing that it does there, which is to nudge an
// owner that waits. Admission is in package admit, the manifests are in package
// install. No other room links Kubernetes.
//
//	API server ─ informers ─► pods, trimmed ┬─► Cluster (admit asks)
//	             metadata of what makes them ┘   Running (Run tells the gate.Door)
//
// Lookups are answered from memory, and by one call where memory does not know yet:
// a pod is admitted milliseconds after its ReplicaSet was made. It judges nothing
// and keeps nothing on disk.
package kube
