package admit_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"touchstone.dev/touchstone/internal/kube/admit"
)

// made returns one of each kind that makes pods, of the image.
func made(image string) map[string]runtime.Object {
	t := corev1.PodTemplateSpec{Spec: pod(image).Spec}
	m := metav1.ObjectMeta{Name: "cart", Namespace: "shop"}
	return map[string]runtime.Object{
		"Deployment":            &appsv1.Deployment{ObjectMeta: m, Spec: appsv1.DeploymentSpec{Template: t}},
		"StatefulSet":           &appsv1.StatefulSet{ObjectMeta: m, Spec: appsv1.StatefulSetSpec{Template: t}},
		"DaemonSet":             &appsv1.DaemonSet{ObjectMeta: m, Spec: appsv1.DaemonSetSpec{Template: t}},
		"ReplicaSet":            &appsv1.ReplicaSet{ObjectMeta: m, Spec: appsv1.ReplicaSetSpec{Template: t}},
		"ReplicationController": &corev1.ReplicationController{ObjectMeta: m, Spec: corev1.ReplicationControllerSpec{Template: &t}},
		"Job":                   &batchv1.Job{ObjectMeta: m, Spec: batchv1.JobSpec{Template: t}},
		"CronJob":               &batchv1.CronJob{ObjectMeta: m, Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: t}}}},
	}
}

func TestWhatMakesPodsIsToldEarly(t *testing.T) {
	for kind := range made("") {
		for _, tc := range []struct {
			image string
			want  bool
			says  string // in the refusal, or in a warning
		}{
			{cart, true, ""},
			{root, false, "refused: registry.example/root:1 (c0): runs-as-root"},
			{fresh, true, "was not seen before: scan started"},
			{gone, true, "its pods would be undecided: registry.example/gone:1"},
			{"", true, "names no image yet"},
		} {
			t.Run(kind+" "+tc.image, func(t *testing.T) {
				f := newFront(t, nil)
				got := f.send(kind, made(tc.image)[kind])
				told := message(got) + strings.Join(got.Warnings, "\n")
				if got.Allowed != tc.want || !strings.Contains(told, tc.says) || tc.says == "" && told != "" {
					t.Errorf("allowed %v, want %v; says %q, want %q", got.Allowed, tc.want, told, tc.says)
				}
				if q := f.desk.asked[0]; !q.Quiet || q.Question.Workload.Kind != kind || q.Question.Workload.Name != "cart" || q.Owner != "" {
					t.Errorf("asked %+v", q)
				}
				if got := f.send(kind, made(tc.image)[kind], mutate); !got.Allowed || got.Patch != nil || len(f.desk.asked) != 1 {
					t.Error("what makes pods is rewritten or judged by the mutating webhook")
				}
			})
		}
	}
}

func TestWhatChangesNothingIsNotAsked(t *testing.T) {
	scaled := deployment(root, "")
	scaled.Spec.Replicas = new(int32(0))
	scaled.Labels = map[string]string{"a": "b"}
	owned := made(root)["ReplicaSet"].(*appsv1.ReplicaSet)
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart", UID: "d", Controller: new(true)}}
	owned.Annotations = map[string]string{admit.Annotation: "copied from the Deployment"}
	for name, tc := range map[string]struct {
		kind    string
		object  runtime.Object
		options []option
	}{
		"scaled":                      {"Deployment", scaled, []option{onto(deployment(root, ""))}},
		"by its scale":                {"Deployment", made(root)["Deployment"], []option{sub("scale"), onto(made(root)["Deployment"])}},
		"its status":                  {"Deployment", made(root)["Deployment"], []option{sub("status"), onto(made(cart)["Deployment"])}},
		"deleted":                     {"Deployment", nil, []option{operation("DELETE")}},
		"of a Deployment":             {"ReplicaSet", owned, []option{as("system:serviceaccount:kube-system:deployment-controller")}},
		"something else":              {"Widget", widget(map[string]any{"size": "3"}), nil},
		"something of the same shape": {"Widget", widget(map[string]any{"template": "none", "volumes": "some"}), nil},
		"without a template":          {"ReplicationController", &corev1.ReplicationController{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, nil)
			if got := f.send(tc.kind, tc.object, tc.options...); !got.Allowed || len(got.Warnings) > 0 || len(f.desk.asked) > 0 {
				t.Errorf("%v: %s %v; asked %v", got.Allowed, message(got), got.Warnings, f.desk.asked)
			}
		})
	}
}

func widget(spec map[string]any) runtime.Object {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Widget", "metadata": map[string]any{"name": "w"}, "spec": spec}}
}

func TestWhatIsUnknownAndMayMakePodsIsRefused(t *testing.T) {
	f := newFront(t, nil)
	for _, spec := range []map[string]any{
		{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": cart}}}}},
		{"predictor": map[string]any{"containers": []any{map[string]any{"image": cart}}}},
		{"template": "text", "deep": []any{map[string]any{"containers": []any{map[string]any{"image": cart}}}}},
	} {
		if got := f.send("Widget", widget(spec)); got.Allowed || !strings.Contains(message(got), "does not know what a Widget is") {
			t.Errorf("%v: %s", got.Allowed, message(got))
		}
	}
}

func TestAChangeOfWhatMakesPodsIsJudged(t *testing.T) {
	f := newFront(t, nil)
	if got := f.send("Deployment", deployment(root, ""), onto(deployment(cart, ""))); got.Allowed {
		t.Error("another image is let in")
	}
	powerful := deployment(cart, "")
	powerful.Spec.Template.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(0))}
	if got := f.send("Deployment", powerful, onto(deployment(cart, ""))); got.Allowed {
		t.Error("the same image as root is let in")
	}
	forged := made(root)["ReplicaSet"].(*appsv1.ReplicaSet)
	forged.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart", UID: "d", Controller: new(true)}}
	if got := f.send("ReplicaSet", forged); got.Allowed {
		t.Error("a person's ReplicaSet passes for a Deployment's")
	}
	only := newFront(t, func(c *admit.Config) { c.OnlyWarn = true })
	if got := only.send("Deployment", deployment(root, "")); !got.Allowed || len(got.Warnings) == 0 {
		t.Errorf("%v: %v", got.Allowed, got.Warnings)
	}
}
