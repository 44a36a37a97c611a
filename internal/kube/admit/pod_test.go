package admit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

const (
	cart  = "registry.example/cart:1"
	root  = "registry.example/root:1"
	fresh = "registry.example/new:1"
	gone  = "registry.example/gone:1"
)

func at(image string, d touchstone.Digest) string { return image + "@" + string(d) }

func TestPodsAreJudgedAndPinned(t *testing.T) {
	for name, tc := range map[string]struct {
		pod     *corev1.Pod
		options []option
		want    bool
		says    string // part of the message
		warns   string // part of a warning; empty for none at all
		image   string // of the first container, after the patch
	}{
		"mutate pins":                   {pod: pod(cart), options: []option{mutate}, want: true, image: at(cart, one)},
		"mutate completes the tag":      {pod: pod("registry.example/pause"), options: []option{mutate}, want: true, image: at("registry.example/pause:latest", two)},
		"mutate leaves a digest":        {pod: pod(at(cart, one)), options: []option{mutate}, want: true, image: at(cart, one)},
		"mutate refuses":                {pod: pod(root), options: []option{mutate}, says: "refused: registry.example/root:1 (c0): runs-as-root: "},
		"mutate refuses what is new":    {pod: pod(fresh), options: []option{mutate}, says: "registry.example/new:1 (c0) was not seen before: scan started, try again in about 10 s"},
		"mutate leaves the undecided":   {pod: pod(gone), options: []option{mutate}, want: true, image: gone},
		"validate lets in":              {pod: pod(at(cart, one)), want: true},
		"validate refuses":              {pod: pod(at(root, two)), says: "refused: " + at(root, two) + " (c0): runs-as-root: "},
		"validate refuses what is new":  {pod: pod(at(fresh, one)), says: "try again in about 10 s"},
		"validate refuses what is late": {pod: pod(at(cart, one), cart), says: "refused: registry.example/cart:1 (c1) was added after it was judged"},
		"validate says why undecided":   {pod: pod(gone), says: "undecided: registry.example/gone:1 (c0): inspect: the registry does not answer"},
		"no image's name":               {pod: pod("registry.example/UPPER:$(id)"), says: "undecided: judging registry.example/UPPER:$(id)"},
		"a path is no image":            {pod: pod("dir:/etc"), says: "undecided: "},
		"the refused before the unseen": {pod: pod(fresh, root), options: []option{mutate}, says: "not let in either: registry.example/new:1 (c0)"},
		"dev warns":                     {pod: pod(at(root, two)), options: []option{in("lab")}, want: true, warns: "runs-as-root"},
		"dev lets in and scans":         {pod: pod(fresh), options: []option{in("lab"), mutate}, want: true, image: at(fresh, one)},
		"report mode refuses nothing":   {pod: pod(root), options: []option{in("trial")}, want: true, warns: "would be refused: registry.example/root:1"},
		"report mode pins nothing":      {pod: pod(cart), options: []option{in("trial"), mutate}, want: true, image: cart},
		"dry run":                       {pod: pod(at(cart, one)), options: []option{dry}, want: true},
		"deletion":                      {pod: pod(root), options: []option{operation("DELETE")}, want: true},
		"an unknown operation":          {pod: pod(cart), options: []option{operation("MERGE")}, says: "does not know the operation"},
		"status":                        {pod: pod(root), options: []option{onto(pod(root)), sub("status")}, want: true},
		"an update that changes no image": {
			pod: relabelled(pod(root)), options: []option{onto(pod(root))}, want: true,
		},
		"an update to another image":        {pod: pod(at(root, two)), options: []option{onto(pod(at(cart, one)))}, says: "runs-as-root"},
		"an update to another image, early": {pod: pod(cart), options: []option{onto(pod(at(root, two))), mutate}, want: true, image: at(cart, one)},
		"kube-system has rules too":         {pod: pod(at(root, two)), options: []option{in("kube-system")}, says: "runs-as-root"},
		"the gate's own":                    {pod: pod(at(root, two)), options: []option{in("touchstone")}, want: true, warns: "break-glass of touchstone"},
		"the gate's own, new":               {pod: pod(at(fresh, one)), options: []option{in("touchstone")}, want: true, warns: "being scanned"},
		"the gate's own, false":             {pod: pod("registry.example/lie:1@" + string(two)), options: []option{in("touchstone")}, says: "integrity"},
		"a mirror pod":                      {pod: mirrored(pod(root)), options: []option{as("system:node:n1", "system:nodes")}, want: true, warns: "runs on with a finding"},
		"a mirror pod is left alone":        {pod: mirrored(pod(cart)), options: []option{as("system:node:n1", "system:nodes"), mutate}, want: true, image: cart},
		"a mirror pod of a person":          {pod: mirrored(pod(at(root, two))), says: "runs-as-root"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, nil)
			got := f.send("Pod", tc.pod, tc.options...)
			if got.Allowed != tc.want || !strings.Contains(message(got), tc.says) {
				t.Fatalf("allowed %v, want %v; says %q, want %q", got.Allowed, tc.want, message(got), tc.says)
			}
			if warned := strings.Join(got.Warnings, "\n"); tc.warns == "" && warned != "" || !strings.Contains(warned, tc.warns) {
				t.Errorf("warns %q, want %q", warned, tc.warns)
			}
			if tc.image == "" {
				return
			}
			after := tc.pod
			if got.Patch != nil {
				after = patched(t, tc.pod, got.Patch)
			}
			if image := after.Spec.Containers[0].Image; image != tc.image {
				t.Errorf("image %q, want %q", image, tc.image)
			}
		})
	}
}

func relabelled(p *corev1.Pod) *corev1.Pod {
	p.Labels = map[string]string{"a": "b"}
	return p
}

func mirrored(p *corev1.Pod) *corev1.Pod {
	p.Annotations = map[string]string{"kubernetes.io/config.mirror": "x"}
	return p
}

func TestNothingButImagesIsRewrittenAndOnlyOnce(t *testing.T) {
	f := newFront(t, nil)
	p := pod(cart, at(cart, one), "registry.example/pause")
	p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: cart}}
	p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: root}}}}
	got := f.send("Pod", p, mutate)
	if !got.Allowed {
		t.Fatal(message(got))
	}
	after := patched(t, p, got.Patch)
	want := p.DeepCopy()
	want.Spec.Containers[0].Image = at(cart, one)
	want.Spec.Containers[2].Image = at("registry.example/pause:latest", two)
	want.Spec.InitContainers[0].Image = at(cart, one)
	want.Spec.Volumes[1].Image.Reference = at(root, two)
	if diff := cmp.Diff(want, after); diff != "" {
		t.Error(diff)
	}
	if again := f.send("Pod", after, mutate); !again.Allowed || again.Patch != nil {
		t.Errorf("asked again: %v, patch %s", again.Allowed, again.Patch)
	}
	if final := f.send("Pod", after); !final.Allowed {
		t.Error(message(final))
	}
}

func TestWhatAPodSetsIsJudgedAsItWillRun(t *testing.T) {
	f := newFront(t, nil)
	p := pod(at(root, two), at(cart, one))
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(50)), RunAsNonRoot: new(true)}
	p.Spec.HostNetwork, p.Spec.HostPID = true, true
	p.Spec.ServiceAccountName = "seller"
	p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	p.Spec.Volumes = []corev1.Volume{{Name: "run", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run"}}}}
	p.Spec.Containers[1].Command, p.Spec.Containers[1].Args = []string{"sh"}, []string{"-c", "true"}
	p.Spec.Containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "run", MountPath: "/run"}}
	p.Spec.Containers[1].SecurityContext = &corev1.SecurityContext{
		RunAsUser: new(int64(0)), RunAsNonRoot: new(false), Privileged: new(true), Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}},
	}
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart-5f", UID: "rs-1", Controller: new(true)}}
	got := f.send("Pod", p, as("system:serviceaccount:kube-system:replicaset-controller"))
	if got.Allowed || !strings.Contains(message(got), "cart:1") {
		t.Errorf("the container that is root again: %v, %s", got.Allowed, message(got))
	}
	asked := f.desk.asked
	slices.SortFunc(asked, func(a, b gate.Request) int {
		return strings.Compare(a.Question.Workload.Container, b.Question.Workload.Container)
	})
	want := []touchstone.Settings{
		{User: "1000:50", NotRoot: true, Host: []string{"network", "pid"}},
		{User: "0:50", Command: []string{"sh"}, Args: []string{"-c", "true"}, Capabilities: []string{"NET_ADMIN"}, Privileged: true, Host: []string{"network", "pid", "path /var/run"}},
	}
	for i, q := range asked {
		if diff := cmp.Diff(want[i], q.Question.Settings); diff != "" {
			t.Error(diff)
		}
		if q.Owner != "rs-1" || q.Question.Workload.Kind != "Deployment" || q.Question.Workload.Name != "cart" {
			t.Errorf("owner %q, workload %v", q.Owner, q.Question.Workload)
		}
		if q.Credential.ServiceAccount != "seller" || !slices.Equal(q.Credential.Secrets, []string{"pull"}) || q.Credential.Namespace != "shop" {
			t.Errorf("credential %v", q.Credential)
		}
	}
}

func TestAHostProcessIsPrivileged(t *testing.T) {
	for name, set := range map[string]func(*corev1.PodSpec, *corev1.WindowsSecurityContextOptions){
		"by the pod": func(s *corev1.PodSpec, w *corev1.WindowsSecurityContextOptions) {
			s.SecurityContext = &corev1.PodSecurityContext{WindowsOptions: w}
		},
		"by the container": func(s *corev1.PodSpec, w *corev1.WindowsSecurityContextOptions) {
			s.Containers[0].SecurityContext = &corev1.SecurityContext{WindowsOptions: w}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, nil)
			p := pod(at(cart, one))
			set(&p.Spec, &corev1.WindowsSecurityContextOptions{HostProcess: new(true)})
			f.send("Pod", p)
			if len(f.desk.asked) != 1 || !f.desk.asked[0].Question.Privileged {
				t.Errorf("asked %+v", f.desk.asked)
			}
		})
	}
}

func TestAnOwnerIsBelievedOnlyOfWhoCanBeIt(t *testing.T) {
	for _, tc := range []struct {
		user    string
		groups  []string
		version string
		kind    string
		name    string
		want    touchstone.Workload
	}{
		{"bob", nil, "apps/v1", "ReplicaSet", "cart-5f", touchstone.Workload{Kind: "Pod", Name: "cart"}},
		{"system:serviceaccount:shop:default", []string{"system:serviceaccounts"}, "apps/v1", "ReplicaSet", "cart-5f", touchstone.Workload{Kind: "Pod", Name: "cart"}},
		{"system:serviceaccount:kube-system:replicaset-controller", nil, "apps/v1", "ReplicaSet", "cart-5f", touchstone.Workload{Kind: "Deployment", Name: "cart"}},
		{"system:kube-controller-manager", nil, "batch/v1", "Job", "nightly-1", touchstone.Workload{Kind: "CronJob", Name: "nightly"}},
		{"root", []string{"system:masters"}, "apps/v1", "ReplicaSet", "cart-5f", touchstone.Workload{Kind: "Deployment", Name: "cart"}},
		{"bob", nil, "example.org/v1", "Rollout", "blue", touchstone.Workload{Kind: "Pod", Name: "cart"}},
		{"system:serviceaccount:ops:rollouts", []string{"system:serviceaccounts"}, "example.org/v1", "Rollout", "blue", touchstone.Workload{Kind: "Rollout", Name: "blue"}},
		{"system:kube-controller-manager", nil, "apps/v1", "ReplicaSet", "unheard-of", touchstone.Workload{Kind: "ReplicaSet", Name: "unheard-of"}},
	} {
		t.Run(tc.user+" "+tc.kind, func(t *testing.T) {
			f := newFront(t, nil)
			p := pod(at(cart, one))
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: tc.version, Kind: tc.kind, Name: tc.name, UID: "x", Controller: new(true)}}
			f.send("Pod", p, as(tc.user, tc.groups...))
			tc.want.Container = "c0"
			if got := f.desk.asked[0].Question.Workload; got != tc.want {
				t.Errorf("workload %v, want %v", got, tc.want)
			}
		})
	}
}

func TestLabelsOfAPodMakeItsPlaceStricterAlone(t *testing.T) {
	f := newFront(t, nil)
	p := pod(at(root, two))
	p.Labels = map[string]string{"touchstone.dev/environment": "prod"}
	if got := f.send("Pod", p, in("lab")); got.Allowed {
		t.Error("a pod that asks for prod is judged by dev")
	}
	p.Labels = map[string]string{"touchstone.dev/environment": "dev"}
	if got := f.send("Pod", p); got.Allowed {
		t.Error("a pod in prod chose dev")
	}
}

func TestAThousandContainers(t *testing.T) {
	f := newFront(t, nil)
	images := make([]string, 1000)
	for i := range images {
		images[i] = at(cart, one)
	}
	if got := f.send("Pod", pod(images...)); !got.Allowed {
		t.Error(message(got))
	}
	images[777] = at(root, two)
	got := f.send("Pod", pod(images...))
	if got.Allowed || !strings.Contains(message(got), "(c777)") {
		t.Errorf("%v: %s", got.Allowed, message(got))
	}
	for i := range images {
		images[i] = root
	}
	got = f.send("Pod", pod(images...), mutate)
	if got.Allowed || len(message(got)) > 4096 || !strings.Contains(message(got), "others") {
		t.Errorf("%v: %s", got.Allowed, message(got))
	}
	if got := f.send("Pod", pod(make([]string, 2001)...)); got.Allowed || !strings.Contains(message(got), "2001 images") {
		t.Errorf("%v: %s", got.Allowed, message(got))
	}
}

func TestMutateAsksAheadAndValidateIsWrittenDown(t *testing.T) {
	f := newFront(t, nil)
	f.send("Pod", pod(cart), mutate)
	f.send("Pod", pod(at(cart, one)))
	f.send("Pod", pod(at(cart, one)), dry)
	var got []string
	for _, q := range f.desk.asked {
		got = append(got, fmt.Sprintf("quiet %v, dry %v", q.Quiet, q.DryRun))
	}
	want := []string{"quiet true, dry false", "quiet false, dry false", "quiet false, dry true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
