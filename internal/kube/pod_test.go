package kube

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone"
)

func TestDigestOf(t *testing.T) {
	for _, test := range []struct {
		reference, imageID string
		want               touchstone.Digest
	}{
		{"shop/cart:1", "registry.example/shop/cart@sha256:a", "sha256:a"},
		{"shop/cart:1", "docker-pullable://registry.example/shop/cart@sha256:a", "sha256:a"},
		{"shop/cart@sha256:b", "registry.example/other@sha256:a", "sha256:b"}, // the same image under two manifests
		{"shop/cart:1@sha256:b", "sha256:config", "sha256:b"},
		{"shop/cart:1", "sha256:config", ""}, // from no registry
		{"shop/cart@sha256:b", "", ""},       // not pulled yet
		{"shop/cart:1", "", ""},
	} {
		if got := digestOf(test.reference, test.imageID); got != test.want {
			t.Errorf("%s with imageID %q: %q, want %q", test.reference, test.imageID, got, test.want)
		}
	}
}

func TestWhatOfAPodRuns(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	status := func(name string, now, last corev1.ContainerState) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, ImageID: "x@sha256:1", State: now, LastTerminationState: last}
	}
	p := &corev1.Pod{
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "migrate"}, {Name: "sidecar"}},
			Containers:     []corev1.Container{{Name: "app"}, {Name: "crashes"}, {Name: "pulls"}},
			EphemeralContainers: []corev1.EphemeralContainer{
				{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}},
			},
			Volumes: []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "models/cat@sha256:2"}}}},
		},
		Status: corev1.PodStatus{
			InitContainerStatuses:      []corev1.ContainerStatus{status("migrate", ended, corev1.ContainerState{}), status("sidecar", running, corev1.ContainerState{})},
			ContainerStatuses:          []corev1.ContainerStatus{status("app", running, ended), status("crashes", waits, ended), status("pulls", waits, corev1.ContainerState{})},
			EphemeralContainerStatuses: []corev1.ContainerStatus{status("debug", running, corev1.ContainerState{})},
		},
	}
	got := map[string]touchstone.Digest{}
	for _, c := range containers(p, nil) {
		got[c.name] = c.digest
	}
	want := map[string]touchstone.Digest{"sidecar": "sha256:1", "app": "sha256:1", "crashes": "sha256:1", "debug": "sha256:1", "model": "sha256:2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What runs counts from its last start, not from its pod's: a tag may have been
// pointed elsewhere in between, and what came that way was never asked about.
func TestWhatCrashesRunsSinceItsLastStart(t *testing.T) {
	made := metav1.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	started := metav1.NewTime(made.Add(72 * time.Hour))
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: made},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "shop/cart:1"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", ImageID: "shop/cart@sha256:other", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: started}},
		}}},
	}
	if got := containers(p, nil); len(got) != 1 || !got[0].since.Equal(started.Time) {
		t.Errorf("%+v, want since %s", got, started)
	}
	forged := metav1.NewTime(made.Add(-time.Hour))
	p.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: forged}}
	if got := containers(p, nil); len(got) != 1 || !got[0].since.Equal(made.Time) {
		t.Errorf("%+v, want since its pod was made, %s", got, made)
	}
}

// A pod as the API server sends it takes a few kilobytes; what is kept of it, a
// fraction.
func BenchmarkKeptPod(b *testing.B) {
	for b.Loop() {
		const pods = 10_000
		kept := make([]any, 0, pods)
		before := heap()
		for i := range pods {
			p, err := trimPod(fullPod(i))
			if err != nil {
				b.Fatal(err)
			}
			kept = append(kept, p)
		}
		b.ReportMetric(float64(heap()-before)/pods, "B/pod")
		runtime.KeepAlive(kept)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func fullPod(i int) *corev1.Pod {
	yes, name := true, fmt.Sprintf("cart-7c9f8b6d5-%05d", i)
	image := fmt.Sprintf("registry.example/shop/cart:1.%d", i)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID(name), Labels: map[string]string{"app": name, "pod-template-hash": name},
		Annotations:     map[string]string{"example/long": string(make([]byte, 1000))},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name, UID: types.UID(name), Controller: &yes}},
		ManagedFields:   []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(string(make([]byte, 2000)))}},
	}}
	for _, c := range []string{"app", "proxy"} {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c, Image: image, Env: make([]corev1.EnvVar, 20)})
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c, ImageID: image + "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	return p
}
