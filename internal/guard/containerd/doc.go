// Package containerd tells what runs on a node, from containerd's own API: each
// container with its image, layers, mounts and first process; when one comes,
// goes, is paused or gets another process by exec. It stops containers, and makes
// sure that it stops the one that was meant.
//
// It is for the guard. It judges nothing, knows no rule, reads no file of a
// container, and does not link containerd's client library or Kubernetes. Of
// Kubernetes it knows the labels that the kubelet writes. Runtimes that only speak
// CRI (CRI-O) are not served. It works with containerd 1.6 and later; what of a
// version differs is said where it matters.
//
//	Open ─► Runtime ─ List, Get ─► Container
//	                ─ Watch ─────► Event, Event, …   (each tells of a Container)
//	                ─ Stop, Pause, Resume ◄─ Container
//
// An event of containerd is only a hint: what is told is what containerd and
// /proc say when they are asked about that container thereupon. So events that
// come twice, late, or never are no different from others, and a restart of
// containerd is survived: after each subscription everything is asked for again.
//
// A container is the same while its id, and the process id and start time of its
// first process, are the same. The guard must be in the node's PID namespace, for
// process ids are the node's.
//
// What a container or its image says of itself (labels, the OCI spec, the names of
// mounts) is kept up to a bound, and may be hostile: escape it where it is shown.
package containerd
