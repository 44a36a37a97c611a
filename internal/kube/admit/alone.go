package admit

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
)

// Alone is a Cluster that cannot be asked: the webhook then knows what each review
// says and nothing more. Namespaces have no labels but their name, owners are what
// the reference itself says, nothing is known to run, and nobody may break the
// glass.
type Alone struct{}

var _ Cluster = Alone{}

// Namespace implements Cluster.
func (Alone) Namespace(_ context.Context, name string) (Namespace, error) {
	return Namespace{Labels: map[string]string{corev1.LabelMetadataName: name}}, nil
}

// Owner implements Cluster.
func (Alone) Owner(_ context.Context, _ string, refs []metav1.OwnerReference) (Owner, error) {
	for i := range refs {
		if r := &refs[i]; r.Controller != nil && *r.Controller {
			return Owner{Kind: r.Kind, Name: r.Name, UID: string(r.UID), Direct: r.Kind}, nil
		}
	}
	return Owner{}, nil
}

// Runs implements Cluster.
func (Alone) Runs(string, touchstone.Workload) touchstone.Digest { return "" }

// Pod implements Cluster.
func (Alone) Pod(context.Context, string, string) (*metav1.ObjectMeta, error) { return nil, ErrNone }

// May implements Cluster.
func (Alone) May(context.Context, authenticationv1.UserInfo, string, string) (bool, error) {
	return false, nil
}
