package containerd

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is told of a container is what it was started with.
func TestList(t *testing.T) {
	d := newDaemon(t)
	r := d.open()
	d.run("web", []string{
		"--label", "io.kubernetes.pod.name=web-1", "--label", "io.kubernetes.pod.namespace=shop", "--label", "io.kubernetes.pod.uid=4711",
		"--label", "io.kubernetes.container.name=web", "--cap-add", "CAP_NET_ADMIN", "--read-only",
		"--mount", "type=bind,src=/tmp,dst=/data,options=rbind:ro",
	}, "stubborn")
	d.run("privileged", []string{"--net-host", "--privileged"})
	d.runEdited("host", withoutNamespace("pid"), "stubborn")
	list, err := r.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 {
		t.Fatalf("%d containers, want 3: %+v", len(list), list)
	}
	slices.SortFunc(list, func(a, b Container) int { return strings.Compare(a.ID, b.ID) })
	host, privileged, web := list[0], list[1], list[2]
	if web.Status != Running || web.Problem != "" || !web.Lone || web.Cgroup != "/touchstone-test/web" || web.Namespace != "k8s.io" {
		t.Errorf("web is %+v", web)
	}
	if want := (Pod{Name: "web-1", Namespace: "shop", UID: "4711", Container: "web"}); web.Pod != want {
		t.Errorf("pod %+v, want %+v", web.Pod, want)
	}
	if age := time.Since(web.Started); age < 0 || age > time.Minute {
		t.Errorf("it says that it was started %s ago", age)
	}
	if !slices.Equal(web.Spec.Command, []string{"/actor", "stubborn"}) || !web.Spec.ReadonlyRoot || web.Spec.HostPID || web.Spec.HostNetwork || web.Spec.Privileged {
		t.Errorf("spec %+v", web.Spec)
	}
	if s := web.Settings(); !slices.Equal(s.Capabilities, []string{"NET_ADMIN"}) || !slices.Equal(s.Host, []string{"path /tmp"}) {
		t.Errorf("settings %+v", s)
	}
	if !host.Spec.HostPID || host.Spec.HostNetwork || host.Spec.Privileged || host.Lone || host.Problem != "" {
		t.Errorf("host is %+v", host)
	}
	if s := privileged.Spec; s.HostPID || !s.HostNetwork || !s.Privileged || !privileged.Lone || privileged.Problem != "" {
		t.Errorf("privileged is %+v", privileged)
	}
	im := web.Image
	if im.Name != testImage || im.Open != testImage || !im.Proven || len(im.DiffIDs) != 2 || !im.Config.Valid() || !im.Target.Valid() || im.Problem != "" {
		t.Errorf("image %+v", im)
	}
	f := web.Rootfs
	if f.Kind != RootfsOverlay || len(f.Lower) != 2 || !strings.HasPrefix(f.Upper, d.dir) || f.Work == "" {
		t.Errorf("rootfs %+v", f)
	}
}
