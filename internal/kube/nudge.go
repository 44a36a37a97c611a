package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone/internal/gate"
)

// AnnotationAskedAgain is written on what makes pods, with the moment, when its
// image would now be let in.
const AnnotationAskedAgain = "touchstone.dev/asked-again"

// Nudge has what keeps the refused pod try again at once. A controller that was
// refused backs off for up to a quarter of an hour; any change of the object that
// it looks after makes it look now. Pods that nothing keeps, and kinds that are not
// Kubernetes' own, are left alone.
func (k *Cluster) Nudge(ctx context.Context, r gate.Request) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{AnnotationAskedAgain: k.c.Now().UTC().Format(time.RFC3339)},
	}})
	if err != nil {
		return err
	}
	namespace := r.Question.Place.Namespace
	for _, w := range k.waiting(namespace, r) {
		_, e := k.metadata.Resource(w.maker.resource).Namespace(namespace).Patch(ctx, w.name, types.MergePatchType, patch,
			metav1.PatchOptions{FieldManager: "touchstone"})
		if e != nil && !apierrors.IsNotFound(e) {
			err = errors.Join(err, fmt.Errorf("nudging the %s %s/%s: %w", w.maker.kind, namespace, w.name, e))
		}
	}
	return err
}

type waiting struct {
	maker maker
	name  string
}

// waiting lists the objects whose controller was refused: what made the pod, and
// where that is not known, the newest that the workload keeps. A workload that
// keeps none was refused it, and waits itself.
func (k *Cluster) waiting(namespace string, r gate.Request) []waiting {
	w := r.Question.Workload
	uid, _, _ := strings.Cut(r.Owner, "/")
	var all []waiting
	for _, m := range makers() {
		if !m.up {
			continue
		}
		kept, _ := k.makers[m.kind].GetIndexer().ByIndex(indexKeeper, keeperKey(namespace, w.Kind, w.Name))
		objects := make([]*metav1.PartialObjectMetadata, 0, len(kept))
		for _, o := range kept {
			objects = append(objects, o.(*metav1.PartialObjectMetadata))
		}
		if i := slices.IndexFunc(objects, func(o *metav1.PartialObjectMetadata) bool { return string(o.UID) == uid }); i >= 0 {
			return []waiting{{m, objects[i].Name}}
		}
		if len(objects) > 0 {
			newest := slices.MaxFunc(objects, func(a, b *metav1.PartialObjectMetadata) int {
				return cmp.Compare(a.CreationTimestamp.Unix(), b.CreationTimestamp.Unix())
			})
			all = append(all, waiting{m, newest.Name})
		}
	}
	for _, m := range makers() {
		if m.kind == w.Kind && len(all) == 0 {
			all = append(all, waiting{m, w.Name})
		}
	}
	return all
}
