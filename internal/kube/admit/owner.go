package admit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
)

// believed returns the owner references that count when this user writes them:
// those to a controller, where the user can be that controller.
func (w *Webhook) believed(who *authenticationv1.UserInfo, refs []metav1.OwnerReference) []metav1.OwnerReference {
	i := slices.IndexFunc(refs, func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller })
	if i < 0 || !w.controls(who, refs[i].APIVersion) {
		return nil
	}
	return refs[i : i+1]
}

// controls reports whether the user can be a controller of the API group: one of
// Kubernetes' own for its groups, any service account for others. Who may do
// everything may say so too.
func (w *Webhook) controls(who *authenticationv1.UserInfo, apiVersion string) bool {
	if slices.Contains(who.Groups, "system:masters") {
		return true
	}
	group, _, _ := strings.Cut(apiVersion, "/")
	switch group {
	case "v1", "apps", "batch":
		return slices.ContainsFunc(w.c.Controllers, func(p string) bool { return touchstone.MatchName(p, who.Username) })
	}
	return slices.Contains(who.Groups, "system:serviceaccounts")
}

// kept is who keeps a pod.
type kept struct {
	workload touchstone.Workload // without a container
	// equal names what makes equal pods; empty where nothing does.
	equal string
	// bare is true where nothing that is believed keeps the object: then it is
	// itself what a person wrote.
	bare bool
}

// keeper finds out who keeps a pod that this user writes.
func (w *Webhook) keeper(ctx context.Context, r *request) (kept, error) {
	m := &r.Object.Metadata
	refs := w.believed(&r.User, m.Owners)
	if refs == nil {
		return kept{workload: touchstone.Workload{Kind: "Pod", Name: nameOf(r)}, bare: true}, nil
	}
	o, err := w.owner(ctx, r.Namespace, refs)
	if err != nil {
		return kept{}, err
	}
	k := kept{workload: touchstone.Workload{Kind: o.Kind, Name: o.Name}, equal: o.UID}
	// The revision of a StatefulSet or DaemonSet; a ReplicaSet has but one.
	if hash := m.Labels["controller-revision-hash"]; hash != "" && k.equal != "" {
		k.equal += "/" + hash
	}
	return k, nil
}

// owner follows a reference. One that leads to nothing says itself who the owner
// is: the controller may be gone, and its pod is judged all the same.
func (w *Webhook) owner(ctx context.Context, namespace string, refs []metav1.OwnerReference) (Owner, error) {
	o, err := w.c.Cluster.Owner(ctx, namespace, refs)
	switch {
	case errors.Is(err, ErrNone):
		return Owner{Kind: refs[0].Kind, Name: refs[0].Name, UID: string(refs[0].UID), Direct: refs[0].Kind}, nil
	case err != nil:
		return Owner{}, fmt.Errorf("looking up what keeps the pod: %w", err)
	}
	return o, nil
}

// nameOf returns the object's name, or what it begins with while the API server has
// not made one.
func nameOf(r *request) string {
	for _, n := range []string{r.Object.Metadata.Name, r.Name, r.Object.Metadata.GenerateName} {
		if n != "" {
			return n
		}
	}
	return ""
}
