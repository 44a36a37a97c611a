package containerd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestWhoseMount(t *testing.T) {
	const uid = "0b3c9d3e-7a5f-4a57-9a3e-2f1f4f6d8e11"
	const pod = "/var/lib/kubelet/pods/" + uid
	for _, c := range []struct {
		in   ociMount
		want Mount
	}{
		{ociMount{"/proc", "proc", "proc", nil}, Mount{Kind: MountKernel, Type: "proc"}},
		{ociMount{"/dev", "tmpfs", "tmpfs", []string{"nosuid", "mode=755"}}, Mount{Kind: MountMemory, Type: "tmpfs"}},
		{ociMount{"/sys/fs/cgroup", "cgroup", "cgroup", []string{"ro"}}, Mount{Kind: MountKernel, Type: "cgroup", ReadOnly: true}},
		{ociMount{"/etc/hosts", "bind", pod + "/etc-hosts", []string{"rbind", "rw"}}, Mount{Kind: MountKubelet, Type: "bind"}},
		{ociMount{"/dev/termination-log", "bind", pod + "/containers/web/3f2a", []string{"rbind", "rw"}}, Mount{Kind: MountKubelet, Type: "bind"}},
		{ociMount{"/etc/hostname", "bind", "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/f00/hostname", []string{"rbind"}}, Mount{Kind: MountKubelet, Type: "bind"}},
		{ociMount{"/dev/shm", "bind", "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/f00/shm", []string{"rbind"}}, Mount{Kind: MountKubelet, Type: "bind"}},
		{ociMount{"/x", "bind", "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/f00/else", []string{"rbind"}}, Mount{Kind: MountHost, Type: "bind"}},
		{ociMount{tokenFolder, "bind", pod + "/volumes/kubernetes.io~projected/kube-api-access-x", []string{"rbind", "ro"}}, Mount{Kind: MountKubelet, Type: "bind", ReadOnly: true}},
		{ociMount{"/data", "bind", pod + "/volumes/kubernetes.io~empty-dir/data", []string{"rbind"}}, Mount{Kind: MountVolume, Type: "bind", Volume: "data", Plugin: "empty-dir"}},
		{ociMount{"/db", "bind", pod + "/volumes/kubernetes.io~csi/pvc-1/mount", []string{"rbind"}}, Mount{Kind: MountVolume, Type: "bind", Volume: "pvc-1", Plugin: "csi"}},
		{ociMount{"/etc/app.conf", "bind", pod + "/volume-subpaths/config/web/0", []string{"rbind", "ro"}}, Mount{Kind: MountVolume, Type: "bind", Volume: "config", ReadOnly: true}},
		{ociMount{"/host", "bind", "/var/lib/kubelet/pods/another/volumes/kubernetes.io~empty-dir/data", []string{"rbind"}}, Mount{Kind: MountHost, Type: "bind"}},
		{ociMount{"/etc/../run", "", "/run", []string{"rbind"}}, Mount{Destination: "/run", Kind: MountHost, Type: "bind"}},
		{ociMount{"/img", "overlay", "overlay", []string{"lowerdir=/a:/b"}}, Mount{Kind: MountHost, Type: "overlay"}},
	} {
		if c.want.Destination == "" {
			c.want.Destination = c.in.Destination
		}
		c.want.Source, c.want.Options = c.in.Source, c.in.Options
		if got := c.in.kept(uid); !cmp.Equal(got, c.want) {
			t.Errorf("%+v: %s", c.in, cmp.Diff(c.want, got))
		}
	}
}

func TestGroupNames(t *testing.T) {
	for named, want := range map[string]string{
		"": "", "/": "", "/k8s.io/abc": "abc", "/default/web": "web", "default/web": "web",
		"kubepods-besteffort-podf00.slice:cri-containerd:abc": "cri-containerd-abc.scope",
		":cri-containerd:abc":   "cri-containerd-abc.scope",
		"system.slice::abc":     "abc.scope",
		"a.slice:x:b.slice":     "b.slice",
		"/odd:name/with:colons": "with:colons",
	} {
		if got := lastOfGroup(named); got != want {
			t.Errorf("%q gives %q, want %q", named, got, want)
		}
	}
}

func TestRootfs(t *testing.T) {
	mount := func(kind, source string, options ...string) []*types.Mount {
		return []*types.Mount{{Type: kind, Source: source, Options: options}}
	}
	r := &Runtime{c: Config{HostRoot: "/host"}}
	for _, c := range []struct {
		name   string
		mounts []*types.Mount
		want   Rootfs
	}{
		{"overlay", mount("overlay", "overlay", "index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", `lowerdir=/s/2/fs:/s/a\:b/fs`),
			Rootfs{Kind: RootfsOverlay, Lower: []string{"/host/s/2/fs", "/host/s/a:b/fs"}, Upper: "/host/s/3/fs", Work: "/host/s/3/work"}},
		{"native", mount("bind", "/s/3", "rbind", "rw"), Rootfs{Kind: RootfsFolder, Folder: "/host/s/3"}},
		{"devmapper", mount("ext4", "/dev/mapper/x"), Rootfs{Kind: RootfsOther, Problem: `the root is a mount of type "ext4" by snapshotter s, which is not read by layers`}},
		{"erofs", append(mount("erofs", "/s/1/layer.erofs"), mount("overlay", "overlay", "upperdir=/x")...),
			Rootfs{Kind: RootfsOther, Problem: "the root is made of 2 mounts by snapshotter s, which is not read by layers"}},
		{"a view", mount("overlay", "overlay", "lowerdir=/s/2/fs:/s/1/fs"),
			Rootfs{Kind: RootfsOther, Lower: []string{"/host/s/2/fs", "/host/s/1/fs"}, Problem: "the overlay of snapshotter s does not name its folders"}},
	} {
		got := Rootfs{Snapshotter: "s", Kind: RootfsOther}
		r.lay(&got, c.mounts)
		c.want.Snapshotter = "s"
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// However much a container says of itself, what is kept is bounded.
func TestKeptIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	labels := map[string]string{labelPod: "web-1"}
	for i := range 1000 {
		labels[fmt.Sprint("a", i)] = long[:5000]
	}
	kept, clipped := keptLabels(labels)
	if len(kept) != maxLabels || !clipped || kept[labelPod] != "web-1" {
		t.Errorf("%d labels are kept", len(kept))
	}
	o := ociSpec{}
	for range 10_000 {
		o.Process.Args = append(o.Process.Args, long)
		o.Process.Capabilities.Bounding = append(o.Process.Capabilities.Bounding, long)
		o.Mounts = append(o.Mounts, ociMount{long, long, long, []string{long}})
	}
	s, clipped := o.kept("")
	if !clipped || len(s.Command) != maxWords || len(s.Mounts) != maxMounts || len(s.Command[0]) != maxWord || len(s.Mounts[0].Source) != maxPath {
		t.Errorf("kept are %d words, %d mounts", len(s.Command), len(s.Mounts))
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"process":{"args":["/bin/sh"],"capabilities":{"bounding":["CAP_KILL"]}},"linux":{"namespaces":[{"type":"pid"}]},"mounts":[{"destination":"/a","type":"bind","source":"/pods/u/volumes/x/y","options":["ro"]}]}`))
	f.Add([]byte(`{"process":null,"mounts":[{}],"linux":{"seccomp":{}}}`))
	f.Add([]byte(`{"mounts":[{"source":"/pods/u/volume-subpaths"},{"source":"/pods/u/volumes/a/b","destination":"\u0000"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseSpec(&anypb.Any{Value: data})
		if err != nil {
			return
		}
		s, _ := o.kept("u")
		if len(s.Mounts) > maxMounts || len(s.Command) > maxWords {
			t.Error("more is kept than the bound")
		}
		if _, err := json.Marshal(s); err != nil {
			t.Error(err)
		}
	})
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("1 (a) b) c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1 2"))
	f.Add([]byte("1 (x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if fields, err := statFields(data); err == nil && len(fields) < 20 {
			t.Error("too few fields")
		}
	})
}

func TestTheCommandOfAProcess(t *testing.T) {
	for comm, want := range map[string][]string{
		"check": {"/bin/check", "-q"}, "runc": {"/bin/check", "-q"}, // whatever it is called, it runs
		"runc:[1:CHILD]": nil, "runc:[2:INIT]": nil, "crun": nil,
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "7"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"comm": comm + "\n", "cmdline": "/bin/check\x00-q\x00"} {
			if err := os.WriteFile(filepath.Join(dir, "7", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := &Runtime{c: Config{Proc: dir}}
		if diff := cmp.Diff(want, r.commandOf(7)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", comm, diff)
		}
	}
}
