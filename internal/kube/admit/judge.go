package admit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"touchstone.dev/touchstone"
)

// judge finds out what a review is about, and asks.
func (w *Webhook) judge(ctx context.Context, rv *decoded, body []byte, mutate bool) (answer, error) {
	r := &rv.Request
	what := r.Resource.Group + "/" + r.Resource.Resource
	switch r.Operation {
	case "DELETE":
		return passed(), nil
	case "CREATE", "UPDATE", "CONNECT":
	default:
		return answer{}, fmt.Errorf("the gate does not know the operation %q", r.Operation)
	}
	if !known(what) {
		return unknown(r, body)
	}
	if rv.problem != nil {
		return answer{}, fmt.Errorf("the object cannot be read: %w", rv.problem)
	}
	if r.Namespace == "" {
		return answer{}, fmt.Errorf("the review of %s names no namespace", what)
	}
	switch {
	case r.Operation == "CONNECT":
		if way, ok := wayIn(r.SubResource); ok && what == "/pods" && !mutate {
			return w.connect(ctx, r, way)
		}
		return passed(), nil
	case what == "/pods" && (r.SubResource == "" || r.SubResource == "ephemeralcontainers"):
		return w.pod(ctx, r, mutate)
	case r.SubResource == "" && what != "/pods" && !mutate:
		return w.workload(ctx, r)
	default: // status, scale, binding, eviction: nothing that is judged changes
		return passed(), nil
	}
}

// known reports whether the resource, "group/resource", is a pod or makes pods.
func known(what string) bool {
	switch what {
	case "/pods", "/replicationcontrollers",
		"apps/deployments", "apps/statefulsets", "apps/daemonsets", "apps/replicasets",
		"batch/jobs", "batch/cronjobs":
		return true
	}
	return false
}

// unknown lets through what cannot make pods: what holds nothing that looks like
// containers anywhere.
func unknown(r *request, body []byte) (answer, error) {
	var raw struct {
		Request struct {
			Object any `json:"object"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return answer{}, fmt.Errorf("the object cannot be read: %w", err)
	}
	if r.Operation != "CONNECT" && holdsContainers(raw.Request.Object) {
		return refused(text(fmt.Sprintf("refused: the gate does not know what a %s is, and it looks as if it made pods", r.Kind.Kind),
			"send the gate only what docs/operations.md names; the pods that it makes are judged as pods")), nil
	}
	return passed(), nil
}

// holdsContainers reports whether a list of containers with images lies anywhere
// in the value.
func holdsContainers(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if list, ok := inner.([]any); ok && key == "containers" && slices.ContainsFunc(list, hasImage) {
				return true
			}
			if holdsContainers(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, holdsContainers)
	}
	return false
}

func hasImage(v any) bool {
	m, ok := v.(map[string]any)
	return ok && m["image"] != nil
}

// place is where the review's object is to run: what the namespace says, made
// stricter by what the workload says of itself.
func (w *Webhook) place(ctx context.Context, namespace string, labels map[string]string) (touchstone.Place, error) {
	book, err := w.c.Road.Book(ctx)
	if err != nil {
		return touchstone.Place{}, fmt.Errorf("reading the rules in force: %w", err)
	}
	ns, err := w.c.Cluster.Namespace(ctx, namespace)
	if err != nil {
		return touchstone.Place{}, fmt.Errorf("looking up the namespace %s: %w", namespace, err)
	}
	return book.Rules.Stricter(book.Rules.PlaceOf(w.c.Name, namespace, "", ns.Labels), labels), nil
}

// system reports whether the cluster or the gate cannot start without the
// namespace.
func (w *Webhook) system(namespace string) bool {
	return w.own(namespace) || slices.Contains(w.c.System, namespace)
}

// own reports whether the gate or its guards run in the namespace.
func (w *Webhook) own(namespace string) bool {
	return namespace != "" && (namespace == w.c.Own || namespace == w.c.Guards)
}
