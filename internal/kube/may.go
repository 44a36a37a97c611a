package kube

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What roles name to give people rights that are the gate's own (RBAC's
// apiGroups and resources). None of these is an object of the API.
const (
	Group         = "touchstone.dev"
	ResourceGlass = "glass" // verb "break", in a namespace: let one workload in against the rules
	ResourceGates = "gates" // verb "disable": take the gate away from a namespace, or altogether
)

// May asks whether the person may do the verb on ResourceGlass in the namespace.
func (k *Cluster) May(ctx context.Context, who authenticationv1.UserInfo, verb, namespace string) (bool, error) {
	extra := make(map[string]authorizationv1.ExtraValue, len(who.Extra))
	for name, values := range who.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review, err := k.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: who.Username, UID: who.UID, Groups: who.Groups, Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: Group, Resource: ResourceGlass},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking whether %s may %s the glass in %s: %w", who.Username, verb, namespace, err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
