package containerd

import (
	"path"
	"slices"
	"strings"
)

// Mount is one mount that the runtime made for a container, besides its root.
// What was mounted later, from inside or by propagation, is not known here.
type Mount struct {
	Destination string // in the container, absolute
	// Source is the path on the node, as the node names it, for a bind mount; a
	// word without meaning for others.
	Source   string
	Type     string // "bind", "tmpfs", "proc", …
	ReadOnly bool
	Options  []string // as in mount(8), up to a bound
	Kind     MountKind
	// Volume is the pod's volume, where Kind is MountVolume, and Plugin what brings
	// it: "empty-dir", "configmap", "secret", "projected", "csi", …
	Volume, Plugin string
}

// MountKind tells whose a mount is.
type MountKind string

// The kinds. A container may write to what is the kubelet's too, where it is not
// read-only (/etc/hosts, the termination log): whose it is does not make what lies
// there known.
const (
	MountVolume  MountKind = "volume"  // of the pod: its data
	MountHost    MountKind = "host"    // any other path of the node
	MountKubelet MountKind = "kubelet" // the kubelet's or CRI's files for a pod: /etc/hosts, the service account's token, /dev/shm
	MountMemory  MountKind = "memory"  // a tmpfs of the container's own
	MountKernel  MountKind = "kernel"  // proc, sysfs, cgroup, devpts, mqueue: nothing can be put there and run
)

// Where the service account's token is mounted.
const tokenFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

func (m *ociMount) kept(podUID string) Mount {
	k := Mount{
		Destination: path.Join("/", clip(m.Destination, maxPath-1)), Source: clip(m.Source, maxPath), Type: clip(m.Type, maxName),
		ReadOnly: slices.Contains(m.Options, "ro") || slices.Contains(m.Options, "rro"),
	}
	options := m.Options[:min(len(m.Options), maxLabels)]
	for _, o := range options {
		k.Options = append(k.Options, clip(o, maxName))
	}
	bound := m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
	switch {
	case bound:
		k.Type = "bind"
		k.Kind, k.Volume, k.Plugin = whose(k.Source, k.Destination, podUID)
	case m.Type == "tmpfs":
		k.Kind = MountMemory
	case slices.Contains([]string{"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "bpf", "securityfs", "debugfs", "tracefs"}, m.Type):
		k.Kind = MountKernel
	default:
		k.Kind = MountHost // overlay, erofs, fuse, …: from outside, whatever it is
	}
	return k
}

// whose tells whose a bind mount is by where it comes from. The kubelet's root
// folder differs from node to node, so that a path is known by what follows the
// pod's UID; containerd's by its plugin's name.
func whose(source, destination, podUID string) (kind MountKind, volume, plugin string) {
	if folder, file, ok := strings.Cut(source, "/io.containerd.grpc.v1.cri/sandboxes/"); ok && strings.HasPrefix(folder, "/") {
		if _, file, _ = strings.Cut(file, "/"); slices.Contains([]string{"hostname", "hosts", "resolv.conf", "shm"}, file) {
			return MountKubelet, "", ""
		}
	}
	if podUID == "" {
		return MountHost, "", ""
	}
	_, below, ok := strings.Cut(source, "/pods/"+podUID+"/")
	if !ok {
		return MountHost, "", ""
	}
	parts := strings.Split(below, "/")
	switch {
	case below == "etc-hosts", len(parts) == 3 && parts[0] == "containers":
		return MountKubelet, "", ""
	case destination == tokenFolder && parts[0] == "volumes":
		return MountKubelet, "", ""
	case parts[0] == "volumes" && len(parts) >= 3:
		return MountVolume, parts[2], strings.TrimPrefix(parts[1], "kubernetes.io~")
	case parts[0] == "volume-subpaths" && len(parts) >= 2:
		return MountVolume, parts[1], "" // the path does not tell
	}
	return MountHost, "", ""
}
