package oci

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// anonymous is a keychain without credentials, so that no test depends on who
// runs it.
func anonymous() authn.Keychain { return authn.NewMultiKeychain() }

func push(t *testing.T, ref string, what any) {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	switch it := what.(type) {
	case v1.Image:
		err = remote.Write(parsed, it)
	case v1.ImageIndex:
		err = remote.WriteIndex(parsed, it)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenRegistry(t *testing.T) {
	host := startRegistry(t)
	img, index := imageOf(t, "linux", "amd64", "", "one", "two"), indexOf(t)
	push(t, host+"/shop/cart:1.4", img)
	push(t, host+"/shop/cart", img)
	push(t, host+"/shop/all:1", index)
	push(t, host+"/shop/windows:1", foreignImage(t))
	whole := digestOfImage(t, index)

	for _, test := range []struct {
		ref, platform string
		want          []touchstone.Artifact
		err           string
	}{
		{ref: host + "/shop/cart:1.4", want: []touchstone.Artifact{{Name: host + "/shop/cart:1.4", Platform: "linux/amd64"}}},
		{ref: host + "/shop/cart", want: []touchstone.Artifact{{Name: host + "/shop/cart:latest", Platform: "linux/amd64"}}},
		{ref: host + "/shop/cart@" + string(digestOfImage(t, img)),
			want: []touchstone.Artifact{{Name: host + "/shop/cart@" + string(digestOfImage(t, img)), Platform: "linux/amd64"}}},
		{ref: host + "/shop/all:1", want: []touchstone.Artifact{
			{Name: host + "/shop/all:1", Index: whole, Platform: "linux/amd64"},
			{Name: host + "/shop/all:1", Index: whole, Platform: "linux/arm64/v8"}}},
		{ref: host + "/shop/all:1", platform: "linux/arm64", want: []touchstone.Artifact{
			{Name: host + "/shop/all:1", Index: whole, Platform: "linux/arm64/v8"}}},
		{ref: host + "/shop/windows:1", want: []touchstone.Artifact{{Name: host + "/shop/windows:1", Platform: "windows/amd64"}}},
		{ref: host + "/shop/all:1", platform: "linux/s390x", err: "no image for platform linux/s390x\nhint: there is linux/amd64, linux/arm64/v8"},
		{ref: host + "/shop/cart:1.4", platform: "linux/arm64", err: "no image for platform linux/arm64\nhint: there is linux/amd64"},
		{ref: host + "/shop/all:1", platform: "linux", err: "not of the form os/architecture"},
		{ref: host + "/shop/cart:2", err: "the registry answered 404 Not Found (MANIFEST_UNKNOWN: Unknown manifest)\nhint: check the name and the tag"},
		{ref: "Shop/Cart", err: "neither a file nor the name of an image"},
	} {
		t.Run(test.ref[strings.LastIndex(test.ref, "/")+1:]+" "+test.platform, func(t *testing.T) {
			opened, err := OpenRegistry(context.Background(), test.ref, Registries{Keychain: anonymous()}, Options{Platform: test.platform})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []touchstone.Artifact
			for _, s := range opened {
				a := s.Artifact()
				if !a.Digest.Valid() || a.Kind != touchstone.KindImage {
					t.Errorf("artifact %+v", a)
				}
				a.Digest, a.Kind = "", ""
				got = append(got, a)
				check(t, s)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForeignLayer(t *testing.T) {
	host := startRegistry(t)
	push(t, host+"/windows:1", foreignImage(t))
	opened, err := OpenRegistry(context.Background(), host+"/windows:1", Registries{Keychain: anonymous()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened[0].Close() }()
	layers := opened[0].Layers()
	if len(layers) != 2 || layers[0].Absent != "" || !strings.Contains(layers[1].Absent, "foreign") {
		t.Errorf("layers %+v", layers)
	}
}

func TestMirror(t *testing.T) {
	host, mirror := startRegistry(t), startRegistry(t)
	img := imageOf(t, "linux", "amd64", "", "one")
	push(t, mirror+"/hub/library/busybox:1", img)
	push(t, host+"/only/here:1", img)
	r := Registries{Keychain: anonymous(), Mirrors: map[string]string{"docker.io": mirror + "/hub", host: mirror}}

	for ref, want := range map[string]touchstone.Artifact{
		"busybox:1":           {Name: "docker.io/library/busybox:1", Source: mirror + "/hub/library/busybox:1"},
		host + "/only/here:1": {Name: host + "/only/here:1"}, // the mirror does not have it
	} {
		opened, err := OpenRegistry(context.Background(), ref, r, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want.Kind, want.Digest, want.Platform = touchstone.KindImage, digestOfImage(t, img), "linux/amd64"
		if diff := cmp.Diff(want, opened[0].Artifact()); diff != "" {
			t.Error(diff)
		}
		check(t, opened[0])
	}
	_, err := OpenRegistry(context.Background(), host+"/nowhere:1", r, Options{})
	if !errors.Is(err, artifact.ErrOutside) || !strings.Contains(err.Error(), "from its mirror") {
		t.Errorf("error %v", err)
	}
}
