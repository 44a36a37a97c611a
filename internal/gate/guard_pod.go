package gate

import (
	"time"

	"touchstone.dev/touchstone"
)

// Pod is a pod of a node with all that it declares, as a cluster tells it: what a
// guard on the node holds what runs against.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// UID is what the node's runtime calls the pod by: for one that the node runs by
	// itself that is not the UID of the object which shows it.
	UID      string              `json:"uid"`
	Workload touchstone.Workload `json:"workload"` // what keeps it, without a container
	Place    touchstone.Place    `json:"place"`    // as at the door, the workload's labels heeded
	Created  time.Time           `json:"created"`
	// Static is true for a pod that no API server has admitted.
	Static     bool           `json:"static,omitempty"`
	Containers []PodContainer `json:"containers"`
	// Credential is how its images are pulled. No guard is told.
	Credential Credential `json:"-"`
}

// PodContainer is what a pod declares of one container.
type PodContainer struct {
	Name    string            `json:"name"`
	Role    ContainerRole     `json:"role"`
	Image   string            `json:"image"`            // as the pod writes it
	Digest  touchstone.Digest `json:"digest,omitempty"` // of the manifest that the node runs; empty while it does not say
	Restart RestartPolicy     `json:"restart"`
	// Pulls is true where the node asks the image's registry at each start.
	Pulls bool `json:"pulls,omitempty"`
	// Probes and Hooks are the commands that a kubelet executes in the container by
	// itself: those of its liveness, readiness and startup probes, and after its
	// start and before its stop.
	Probes   [][]string          `json:"probes,omitempty"`
	Hooks    [][]string          `json:"hooks,omitempty"`
	Settings touchstone.Settings `json:"settings,omitzero"`
}

// ContainerRole is what a container is in its pod.
type ContainerRole string

// The roles of containers.
const (
	RoleMain      ContainerRole = "main"
	RoleInit      ContainerRole = "init"
	RoleSidecar   ContainerRole = "sidecar"   // an init container that is always restarted
	RoleEphemeral ContainerRole = "ephemeral" // for debugging, put into a pod that runs
)

// RestartPolicy says when a container that has ended is started again.
type RestartPolicy string

// The policies (core/v1).
const (
	RestartAlways    RestartPolicy = "Always"
	RestartOnFailure RestartPolicy = "OnFailure"
	RestartNever     RestartPolicy = "Never"
)

// find returns the container of the name, or nil.
func (p *Pod) find(container string) *PodContainer {
	for i := range p.Containers {
		if p.Containers[i].Name == container {
			return &p.Containers[i]
		}
	}
	return nil
}
