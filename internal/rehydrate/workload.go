package rehydrate

import "time"

// Identity names a workload.
type Identity struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"` // empty for a node
	Kind      string `json:"kind"`                // "Deployment", "Node"; "Pod" for one that nothing keeps
	Name      string `json:"name"`
}

// Key names it in the record: "cluster/namespace/kind/name".
func (i Identity) Key() string {
	return i.Cluster + "/" + i.Namespace + "/" + i.Kind + "/" + i.Name
}

// String is what people read: "Deployment shop/cart".
func (i Identity) String() string {
	if i.Namespace == "" {
		return i.Kind + " " + i.Name
	}
	return i.Kind + " " + i.Namespace + "/" + i.Name
}

// Workload is what is replaced as one, and what is known of it at a moment.
type Workload struct {
	Identity
	UID    string
	Owner  string // who answers for it
	Policy *Policy
	Means  Means
	// Started is when the oldest of its containers was started; zero where nobody
	// knows.
	Started time.Time
	// Pods are those that run, and Ready those of them that can serve; Wanted is how
	// many there should be.
	Pods, Ready, Wanted int
	// Takes is how many of the ready ones are away at once while it is replaced;
	// zero where new ones come first.
	Takes int
	// Services are the groups of which it is a part ("shop/cart"): of each, one
	// workload is replaced at a time.
	Services []string
	// Guards are the keys of Fleet.Allowed that count its pods.
	Guards []string
	// Stuck says why no replacement would work, whatever is decided; empty where
	// one would.
	Stuck string
	// Gate is true for the gate, and for whatever runs this.
	Gate bool

	Image string // of its oldest container, for people
	// Built is when its oldest image was built; zero where nobody knows.
	Built time.Time
	// Drifted is since when it differs from its image, Waiting since when a rebuilt
	// image waits under the same name, and Overdue since when a finding on it is
	// past its deadline. Zero for never.
	Drifted, Waiting, Overdue time.Time
	Finding                   string // what Overdue is about
	Base                      string // the newer approved base that its image does not stand on; empty for none

	// State is what the hands need to know of it as it was, to notice that somebody
	// has changed it and to go back; they alone read it.
	State string

	Follower Follower
}

// Means is how a workload is replaced.
type Means int

// The means.
const (
	Rollout Means = iota // its controller makes new ones by itself
	Evict                // the oldest pod is evicted, and its controller makes another
	Job                  // it ends by itself; past the deadline it is evicted
	Bare                 // nothing would make another
	Drain                // a node: its pods leave, and a provider brings a young one
	Handed               // somebody's hook does it
)

// Follower is what the gate said of what would follow. The zero value says that it
// was not asked.
type Follower struct {
	Answer Answer    `json:"answer,omitempty"`
	Why    string    `json:"why,omitempty"` // for people, where it is not allowed
	At     time.Time `json:"at,omitzero"`
	// Since is since when the answer has not been yes; zero where it is.
	Since time.Time `json:"since,omitzero"`
	// Failed is true where nobody could be asked: that says nothing of the image, and
	// is asked again as soon as a yes would be.
	Failed bool `json:"failed,omitempty"`
	// New is true where something else would come than runs: a rebuilt image waits.
	New bool `json:"new,omitempty"`
}

// Answer is what the gate says of what would follow.
type Answer string

// The answers.
const (
	Allowed    Answer = "allowed"
	Refused    Answer = "refused"
	Undecided  Answer = "undecided"
	Unpullable Answer = "unpullable"
)

// Fleet is what runs at a moment.
type Fleet struct {
	Workloads []Workload
	// Allowed is how many pods each disruption budget lets go now, by its key.
	Allowed map[string]int
	// Sizes count pods by cluster and by cluster and namespace. They are counted
	// when it is nil.
	Sizes map[Scope]int
}

// Scope is a namespace, or a cluster where Namespace is empty.
type Scope struct{ Cluster, Namespace string }

// scopes are those that the workload counts in.
func (i Identity) scopes() []Scope {
	if i.Namespace == "" {
		return []Scope{{i.Cluster, ""}}
	}
	return []Scope{{i.Cluster, ""}, {i.Cluster, i.Namespace}}
}

// sizes counts the pods.
func (f *Fleet) sizes() map[Scope]int {
	if f.Sizes != nil {
		return f.Sizes
	}
	out := map[Scope]int{}
	for i := range f.Workloads {
		w := &f.Workloads[i]
		out[Scope{w.Cluster, ""}] += w.Pods
		if w.Namespace != "" {
			out[Scope{w.Cluster, w.Namespace}] += w.Pods
		}
	}
	return out
}
