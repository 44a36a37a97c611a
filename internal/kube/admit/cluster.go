package admit

import (
	"context"
	"errors"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
)

// ErrNone says that the cluster has no such object.
var ErrNone = errors.New("no such object")

// Cluster is what the webhook looks up in the cluster that asks it. Everything
// is answered from memory where it can be: each method but May is called for
// nearly every review. It may be used from many goroutines.
type Cluster interface {
	// Namespace returns a namespace's metadata, or ErrNone.
	Namespace(ctx context.Context, name string) (Namespace, error)
	// Owner follows the controlling reference (metav1.OwnerReference.Controller)
	// upwards, ReplicaSet to Deployment and Job to CronJob, as far as the cluster
	// can tell. An object counts only where its UID is that of the reference. No
	// controlling reference gives the zero Owner; one that leads to nothing gives
	// ErrNone; one of a kind that the cluster does not follow gives what the
	// reference itself says.
	Owner(ctx context.Context, namespace string, refs []metav1.OwnerReference) (Owner, error)
	// Runs returns the digest at which the workload's container runs now, as the
	// nodes tell it; empty when it does not run, or nobody knows. The worst case
	// of several, while a roll-out is under way, is that of the older pods.
	Runs(namespace string, w touchstone.Workload) touchstone.Digest
	// Pod returns the metadata of a pod that is there, or ErrNone.
	Pod(ctx context.Context, namespace, name string) (*metav1.ObjectMeta, error)
	// May asks whether the person may do the verb on "glass" in the group
	// touchstone.dev in the namespace (SubjectAccessReview).
	May(ctx context.Context, who authenticationv1.UserInfo, verb, namespace string) (bool, error)
}

// Namespace is what the webhook looks at of a namespace.
type Namespace struct {
	Labels      map[string]string
	Annotations map[string]string
}

// Owner is what keeps a pod.
type Owner struct {
	// Kind and Name are those of the topmost controller: "Deployment", "cart".
	Kind string
	Name string
	// UID is that of the direct controller: the ReplicaSet's, not the Deployment's.
	UID string
	// Direct is the kind of the direct controller: "ReplicaSet".
	Direct string
}
