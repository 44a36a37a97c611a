package trial

import (
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/makeimage"
)

func digest(t *testing.T, it interface{ Digest() (v1.Hash, error) }) touchstone.Digest {
	t.Helper()
	h, err := it.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return touchstone.Digest(h.String())
}

// shop is an image of two layers: Alpine and a Go program.
func shop(t *testing.T) v1.Image {
	t.Helper()
	return image(t, makeimage.Image{Layers: []makeimage.Layer{
		tarred(t, "ADD alpine.tar.gz /", shared(t, "images", alpine320)),
		program(t, newProgram(t, hey, "amd64")),
	}, Config: v1.Config{Entrypoint: []string{"/usr/bin/hey"}}})
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	im, r := shop(t), startRegistry(t)
	tag := r.push("shop/cart:1.4", im)
	m := newMachine(t, shared(t, "osv", "Go", "all.zip"))

	first := m.check(1, tag)
	want := touchstone.Artifact{Name: tag, Kind: touchstone.KindImage, Digest: digest(t, im), Platform: "linux/amd64"}
	if diff := cmp.Diff(want, first.Artifact); diff != "" {
		t.Errorf("artifact (- want, + got):\n%s", diff)
	}
	if got := r.read(im); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("the layers were read %d times, want once each", got)
	}
	for _, ref := range []string{tag, r.host + "/shop/cart@" + string(want.Digest)} {
		again := m.check(1, ref)
		if got := r.read(im); !slices.Equal(got, []int{0, 0}) {
			t.Errorf("%s: the layers were read again: %d times", ref, got)
		}
		if again.Artifact.Digest != want.Digest || again.Decision.Inputs != first.Decision.Inputs {
			t.Errorf("%s: decided on %+v of %s, and before on %+v", ref, again.Decision.Inputs, again.Artifact.Digest, first.Decision.Inputs)
		}
		if diff := cmp.Diff(first.Packages, again.Packages); diff != "" {
			t.Errorf("%s: packages (- first, + again):\n%s", ref, diff)
		}
	}

	// A new build on the same base: only what is new is read.
	next := image(t, makeimage.Image{Layers: []makeimage.Layer{
		tarred(t, "ADD alpine.tar.gz /", shared(t, "images", alpine320)),
		program(t, newProgram(t, jwt, "amd64")),
	}})
	m.check(0, r.push("shop/cart:1.5", next))
	if got := r.read(next); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("of a build on a known base the layers were read %d times, want the new one alone", got)
	}
}

// Of an index every platform is judged, and the worst holds.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	single := func(module, arch string) v1.Image {
		return image(t, makeimage.Image{Layers: []makeimage.Layer{program(t, newProgram(t, module, arch))}, Platform: "linux/" + arch})
	}
	good, bad := single(jwt, "amd64"), single(hey, "arm64")
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: good, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: bad, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	r := startRegistry(t)
	tag := r.push("shop/cart:1.4", index)
	m := newMachine(t, shared(t, "osv", "Go", "all.zip"))

	for _, test := range []struct {
		platform string
		code     int
		want     touchstone.Artifact
		verdicts []touchstone.PlatformVerdict
	}{
		{"", 1, touchstone.Artifact{Digest: digest(t, bad), Platform: "linux/arm64"}, []touchstone.PlatformVerdict{
			{Platform: "linux/amd64", Digest: digest(t, good), Verdict: touchstone.Allowed},
			{Platform: "linux/arm64", Digest: digest(t, bad), Verdict: touchstone.Refused},
		}},
		{"linux/amd64", 0, touchstone.Artifact{Digest: digest(t, good), Platform: "linux/amd64"}, nil},
		{"linux/arm64", 1, touchstone.Artifact{Digest: digest(t, bad), Platform: "linux/arm64"}, nil},
	} {
		var args []string
		if test.platform != "" {
			args = append(args, "--platform", test.platform)
		}
		doc := m.check(test.code, tag, args...)
		test.want.Name, test.want.Kind, test.want.Index = tag, touchstone.KindImage, digest(t, index)
		if diff := cmp.Diff(test.want, doc.Artifact); diff != "" {
			t.Errorf("--platform %q: artifact (- want, + got):\n%s", test.platform, diff)
		}
		if diff := cmp.Diff(test.verdicts, doc.Platforms); diff != "" {
			t.Errorf("--platform %q: platforms (- want, + got):\n%s", test.platform, diff)
		}
	}
}

// What was checked as an archive is known after its push.
func TestKnownBeforeThePush(t *testing.T) {
	t.Parallel()
	im, r := shop(t), startRegistry(t)
	m := newMachine(t, shared(t, "osv", "Go", "all.zip"))
	before := m.check(1, archive(t, im))
	after := m.check(1, r.push("shop/cart:1.4", im))
	if got := r.read(im); !slices.Equal(got, []int{0, 0}) {
		t.Errorf("the layers were read again after the push: %d times", got)
	}
	if before.Decision.Inputs.Evidence != after.Decision.Inputs.Evidence {
		t.Errorf("evidence %s before the push, %s after it", before.Decision.Inputs.Evidence, after.Decision.Inputs.Evidence)
	}
}

// An archive may hold its layers uncompressed, as docker save writes them. What
// the registry stores has other digests then, so that it must be read once to be
// known for the same.
func TestKnownUncompressed(t *testing.T) {
	t.Parallel()
	im, r := shop(t), startRegistry(t)
	m := newMachine(t, shared(t, "osv", "Go", "all.zip"))
	before := m.check(1, archive(t, uncompressed(t, im)))
	tag := r.push("shop/cart:1.4", im)
	for _, want := range [][]int{{1, 1}, {0, 0}} {
		after := m.check(1, tag)
		if got := r.read(im); !slices.Equal(got, want) {
			t.Errorf("the layers were read %d times, want %d", got, want)
		}
		if before.Decision.Inputs.Evidence != after.Decision.Inputs.Evidence {
			t.Errorf("evidence %s before the push, %s after it", before.Decision.Inputs.Evidence, after.Decision.Inputs.Evidence)
		}
	}
}

// uncompressed is the image with the same config over layers that are not
// compressed.
func uncompressed(t *testing.T, im v1.Image) v1.Image {
	t.Helper()
	layers, err := im.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var plain []v1.Layer
	for _, l := range layers {
		plain = append(plain, static.NewLayer(content(t, l), types.DockerUncompressedLayer))
	}
	config, err := im.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return withConfig(t, config, plain...)
}

// content is what a layer holds, as a tar.
func content(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// withConfig is an image that claims this config over these layers.
func withConfig(t *testing.T, config *v1.ConfigFile, layers ...v1.Layer) v1.Image {
	t.Helper()
	im, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	if im, err = mutate.ConfigFile(im, config); err != nil {
		t.Fatal(err)
	}
	return im
}

// An image that claims the config of a known one over other layers is read, and
// found out: knowing a config says nothing about bytes that nobody has read.
func TestFalseConfig(t *testing.T) {
	t.Parallel()
	im, r := image(t, makeimage.Image{Layers: []makeimage.Layer{program(t, newProgram(t, jwt, "amd64"))}}), startRegistry(t)
	m := newMachine(t, shared(t, "osv", "Go", "all.zip"))
	m.check(0, r.push("shop/cart:1.4", im))
	config, err := im.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	other := static.NewLayer(content(t, program(t, newProgram(t, hey, "amd64"))), types.DockerUncompressedLayer)
	liar := withConfig(t, config, other)
	doc := m.check(1, r.push("shop/cart:1.5", liar))
	if got := reason(t, doc, "integrity"); got.Outcome != touchstone.Fail || got.Effect != touchstone.EffectRefuse {
		t.Errorf("integrity: %+v", got)
	}
}
