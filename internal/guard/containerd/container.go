package containerd

import (
	"slices"
	"strings"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"

	"touchstone.dev/touchstone"
)

// Container is one container as it was when it was asked about.
type Container struct {
	ID        string // the runtime's
	Namespace string // containerd's: "k8s.io", "default", "moby"
	Status    Status
	// Init is the first process; zero where there is none.
	Init Process
	// Lone is true where Init is process 1 of a PID namespace that is the
	// container's own: every process of it ends with Init.
	Lone bool
	// Namespaces of Init, by inode; zero where it is gone, or was out of reach.
	Namespaces Namespaces
	// Cgroup is the path of the container's control group, with "/" first, below
	// each hierarchy's root; "" where it has none of its own.
	Cgroup  string
	Created time.Time // by containerd's clock
	// Started is when Init began, by the guard's clock; zero where there is none.
	Started time.Time

	Image  Image
	Rootfs Rootfs
	Pod    Pod
	Spec   Spec
	// Labels are those of the container up to a bound; those of its image are
	// among them, so that they may be hostile.
	Labels map[string]string
	// Clipped is true where labels, words of the command or mounts were too many or
	// too long to be kept.
	Clipped bool
	// Problem says what could not be found out, and why; empty where all was.
	Problem string
}

// Status is what a container is doing.
type Status string

// The states. What is created has its first process, in its own namespaces and
// with its mounts in place, which waits and executes nothing of the image.
const (
	Created Status = "created"
	Running Status = "running"
	Paused  Status = "paused"
	Stopped Status = "stopped"
	Unknown Status = "unknown" // its shim does not answer
)

// Alive reports whether there are processes.
func (s Status) Alive() bool { return s == Created || s == Running || s == Paused || s == Unknown }

// Pod is the Kubernetes side of a container. Zero where Kubernetes did not make it.
type Pod struct {
	Name      string
	Namespace string
	UID       string
	Container string // its name within the pod; "" for the sandbox
	// Sandbox is true for the container that holds the pod's namespaces ("pause").
	Sandbox bool
	// CRI is true where containerd's CRI plugin made the container, so that the
	// names are what the kubelet says. Otherwise an image's own labels, or whoever
	// started it, can have put anything there; such a container is never a sandbox.
	CRI bool
}

// Spec is what matters of the OCI runtime spec.
type Spec struct {
	Command  []string // as given to the runtime; not redacted
	Terminal bool
	UID, GID uint32
	// Capabilities are those that a process of the container can ever have, without
	// "CAP_": "NET_ADMIN".
	Capabilities    []string
	NoNewPrivileges bool
	Seccomp         bool // there is a filter
	ReadonlyRoot    bool
	// HostPID and the others tell which namespaces are the node's own.
	HostPID, HostNetwork, HostIPC, HostUser bool
	// Privileged is true where nothing is left that would hold the container: every
	// capability that Kubernetes' "privileged" gives, and no path of /proc masked.
	Privileged bool
	Mounts     []Mount
}

// usual are the capabilities that containerd and Docker give unasked.
var usual = [...]string{"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}

// Settings returns the container as rules see a workload's settings. A command is
// not among them: the runtime knows the whole one only, not which part of it the
// workload has set.
func (c *Container) Settings() touchstone.Settings {
	s := touchstone.Settings{Privileged: c.Spec.Privileged}
	for _, name := range c.Spec.Capabilities {
		if !slices.Contains(usual[:], name) {
			s.Capabilities = append(s.Capabilities, name)
		}
	}
	for _, shared := range []struct {
		name string
		is   bool
	}{{"network", c.Spec.HostNetwork}, {"pid", c.Spec.HostPID}, {"ipc", c.Spec.HostIPC}} {
		if shared.is {
			s.Host = append(s.Host, shared.name)
		}
	}
	for _, m := range c.Spec.Mounts {
		if m.Kind == MountHost {
			s.Host = append(s.Host, "path "+m.Source)
		}
	}
	return s
}

// Same reports whether both are one container, in one life.
func (c *Container) Same(d *Container) bool {
	return c.ID == d.ID && c.Namespace == d.Namespace && c.Init == d.Init
}

// Bounds of what is kept of one container.
const (
	maxName   = 512  // bytes of a name, a label's key, an option
	maxPath   = 4096 // bytes, as in the kernel
	maxLabel  = 1024 // bytes of a label's value
	maxLabels = 64
	maxWord   = 4096 // bytes of a word of a command
	maxWords  = 64
	maxMounts = 4096
)

// clip returns s, or its first n bytes, as text that JSON can hold. The copy does
// not keep what it was cut from.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))
}

// keptLabels returns the labels up to the bound: those of Kubernetes first, then
// by name.
func keptLabels(labels map[string]string) (kept map[string]string, clipped bool) {
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if x, y := strings.HasPrefix(a, "io.kubernetes."), strings.HasPrefix(b, "io.kubernetes."); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	if len(keys) > maxLabels {
		keys, clipped = keys[:maxLabels], true
	}
	kept = make(map[string]string, len(keys))
	for _, k := range keys {
		clipped = clipped || len(k) > maxName || len(labels[k]) > maxLabel
		kept[clip(k, maxName)] = clip(labels[k], maxLabel)
	}
	return kept, clipped
}

// Labels and extensions that name what Kubernetes has made (kubelet,
// pkg/kubelet/types/labels.go; containerd, internal/cri/labels). Nobody but the
// plugin sets the extensions.
const (
	labelPod           = "io.kubernetes.pod.name"
	labelNamespace     = "io.kubernetes.pod.namespace"
	labelUID           = "io.kubernetes.pod.uid"
	labelContainer     = "io.kubernetes.container.name"
	extensionContainer = "io.cri-containerd.container.metadata"
	extensionSandbox   = "io.cri-containerd.sandbox.metadata"
)

func podOf(c *containersapi.Container) Pod {
	labels, extensions := c.GetLabels(), c.GetExtensions()
	_, sandbox := extensions[extensionSandbox]
	_, container := extensions[extensionContainer]
	p := Pod{
		Name: clip(labels[labelPod], maxName), Namespace: clip(labels[labelNamespace], maxName), UID: clip(labels[labelUID], maxName),
		Container: clip(labels[labelContainer], maxName),
		Sandbox:   sandbox, CRI: sandbox || container,
	}
	if sandbox {
		p.Container = ""
	}
	return p
}
