package containerd

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/protobuf/types/known/anypb"

	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/makeimage"
)

// What a container was made from is known whatever becomes of the name, and is
// opened for inspection by what is told.
func TestImage(t *testing.T) {
	d := newDaemon(t)
	r := d.open()
	d.run("c", nil, "stubborn")
	get := func() Image {
		t.Helper()
		c, err := r.Get(context.Background(), "k8s.io", "c")
		if err != nil {
			t.Fatal(err)
		}
		return c.Image
	}
	first := get()
	opens := func(im Image) {
		t.Helper()
		sources, err := oci.OpenContainerd(context.Background(), im.Open, oci.Containerd{Address: d.socket, Namespaces: []string{"k8s.io"}}, oci.Options{})
		if err != nil {
			t.Fatalf("opening %q: %v", im.Open, err)
		}
		defer closeAll(sources)
		if len(sources) != 1 || sources[0].Artifact().Digest != im.Manifest {
			t.Errorf("%q opens %d images, not %s", im.Open, len(sources), im.Manifest)
		}
	}
	opens(first)

	// The name is given to another image; this one has another name besides.
	byDigest := string(first.Config)
	d.ctr("-n", "k8s.io", "image", "tag", testImage, byDigest)
	other := filepath.Join(d.dir, "other.tar")
	if err := makeimage.WriteArchive(other, testImage, actorImage(t, 1)); err != nil {
		t.Fatal(err)
	}
	d.ctr("-n", "k8s.io", "image", "import", other)
	moved := get()
	if moved.Name != testImage || moved.Open != byDigest || !moved.Proven || moved.Config != first.Config || moved.Manifest != first.Manifest {
		t.Errorf("after its name was given away: %+v", moved)
	}
	opens(moved)

	// The other name is removed too: what its own name stands for is no proof.
	d.ctr("-n", "k8s.io", "image", "rm", byDigest)
	if lost := get(); lost.Proven || lost.Problem == "" || lost.Config == first.Config {
		t.Errorf("after every name was given away: %+v", lost)
	}
	d.ctr("-n", "k8s.io", "image", "rm", testImage)
	if gone := get(); gone.Open != "" || gone.Proven || gone.Problem == "" {
		t.Errorf("after the images were removed: %+v", gone)
	}
	if c := r.running(t)["c"]; c.Status != Running || c.Rootfs.Kind != RootfsOverlay || len(c.Rootfs.Lower) != 2 {
		t.Errorf("the container without an image is %+v", c)
	}
}

func closeAll(sources []artifact.Source) {
	for _, s := range sources {
		_ = s.Close()
	}
}

// Of a container that the CRI plugin made, the config is known although the image
// is gone, and the sandbox is told apart.
func TestImageOfThePlugin(t *testing.T) {
	d := newDaemon(t)
	r := d.open()
	config := "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	extend := func(name string, document any) func(*containersapi.Container, map[string]any) {
		return func(c *containersapi.Container, _ map[string]any) {
			value, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			c.Labels[labelPod], c.Labels[labelContainer] = "web-1", "web"
			c.Extensions = map[string]*anypb.Any{name: {TypeUrl: "github.com/containerd/cri/pkg/store/container/Metadata", Value: value}}
		}
	}
	d.runEdited("container", extend(extensionContainer, map[string]any{"Version": "v1", "Metadata": map[string]any{"ImageRef": config}}), "stubborn")
	d.runEdited("sandbox", extend(extensionSandbox, map[string]any{"Version": "v1"}), "stubborn")
	d.run("claims", []string{"--label", "io.cri-containerd.kind=sandbox"}, "stubborn")
	d.ctr("-n", "k8s.io", "image", "rm", testImage)
	all := r.running(t)
	if im := all["container"].Image; string(im.Config) != config || im.Open != "" || im.Proven {
		t.Errorf("image %+v", im)
	}
	for id, want := range map[string]Pod{
		"container": {Name: "web-1", Container: "web", CRI: true}, "sandbox": {Name: "web-1", Sandbox: true, CRI: true}, "claims": {},
	} {
		if got := all[id].Pod; got != want {
			t.Errorf("pod of %s: %+v, want %+v", id, got, want)
		}
	}
}
