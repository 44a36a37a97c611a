package reference_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/artifact/reference"
)

func image(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// place makes one of each thing that a reference can name, in a folder that
// becomes the working folder, and a registry that has shop/cart:1.
func place(t *testing.T) (registryHost string) {
	t.Helper()
	t.Chdir(t.TempDir())
	img := image(t)
	tag, err := name.NewTag("shop/cart:1")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	pushed, err := name.ParseReference(host + "/shop/cart:1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := layout.Write("layout", empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		tarball.MultiWriteToFile("cart.tar", map[name.Tag]v1.Image{tag: img}),
		os.Link("cart.tar", "busybox"), // a name that a registry may have too
		os.Link("cart.tar", "odd:name@home.tar"),
		l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "1"})),
		os.MkdirAll("tree/etc", 0o755),
		remote.Write(pushed, img),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return host
}

func TestOpen(t *testing.T) {
	host := place(t)
	for _, test := range []struct {
		ref string
		o   reference.Options
		say string // "name source kind platform", or of the error
	}{
		{ref: host + "/shop/cart:1", say: host + "/shop/cart:1  image linux/amd64"},
		{ref: "cart.tar", say: " cart.tar image linux/amd64"},
		{ref: "cart.tar", o: reference.Options{As: "shop/cart:1"}, say: "shop/cart:1 cart.tar image linux/amd64"},
		{ref: "busybox", say: " busybox image linux/amd64"},
		{ref: "layout", say: " layout image linux/amd64"},
		{ref: "oci:layout", say: " layout image linux/amd64"},
		{ref: "oci:layout:1", say: " layout image linux/amd64"},
		{ref: "docker-archive:cart.tar", say: " cart.tar image linux/amd64"},
		{ref: "docker-archive:cart.tar:shop/cart:1", say: " cart.tar image linux/amd64"},
		{ref: "docker-archive:odd:name@home.tar:shop/cart:1", say: " odd:name@home.tar image linux/amd64"},
		{ref: "dir:tree", say: " tree filesystem "},
		{ref: "rootfs:cart.tar", say: " cart.tar filesystem "}, // whoever says so, means so

		{ref: "", say: "no reference given"},
		{ref: "tree", say: "tree is a folder and no OCI layout\nhint: dir:tree"},
		{ref: "rootfs:tree", say: "tree is not a regular file"},
		{ref: "./none", say: "./none: no such file"},
		{ref: "none.tar", say: "none.tar: no such file\nhint: if an image in a registry is meant, write docker.io/library/none.tar:latest"},
		{ref: "oci:none:1", say: "none:1: no such file or folder"},
		{ref: "oci:layout:2", say: "no such image: 2\nhint: there is 1"},
		{ref: "oci-archive:cart.tar", say: "not an image archive of the form oci-archive"},
		{ref: "docker://busybox", say: "references have no docker://\nhint: write busybox"},
		{ref: "containerd:", say: "no image of containerd named"},
		{ref: "containerd://k8s.io/pause", say: "containerd cannot be reached"},
		{ref: "dir:tree", o: reference.Options{Platform: "linux/amd64"}, say: "does not say what platform"},
		{ref: "cart.tar", o: reference.Options{Platform: "linux/arm64"}, say: "no image for platform linux/arm64\nhint: there is linux/amd64"},
		{ref: host + "/shop/cart:1", o: reference.Options{As: "x"}, say: "a name can be claimed for a file only"},
		{ref: host + "/shop/none", say: "404"},
	} {
		t.Run(test.ref, func(t *testing.T) {
			test.o.Registries.Keychain = authn.NewMultiKeychain()
			test.o.Containerd = oci.Containerd{Address: filepath.Join(t.TempDir(), "none.sock")}
			opened, err := reference.Open(context.Background(), test.ref, test.o)
			if err != nil {
				if !strings.Contains(err.Error(), test.say) {
					t.Errorf("error %q, want %q", err, test.say)
				}
				return
			}
			for _, s := range opened {
				a := s.Artifact()
				got := fmt.Sprintf("%s %s %s %s", a.Name, a.Source, a.Kind, a.Platform)
				if diff := cmp.Diff(test.say, got); diff != "" {
					t.Error(diff)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestResolve(t *testing.T) {
	host := place(t)
	o := reference.Options{Registries: oci.Registries{Keychain: authn.NewMultiKeychain()}}
	for _, platform := range []string{"", "linux/amd64"} {
		digest, err := reference.Resolve(context.Background(), host+"/shop/cart:1", platform, o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := reference.Resolve(context.Background(), host+"/shop/cart@"+string(digest), platform, o)
		if err != nil || again != digest {
			t.Errorf("platform %q: %s, then %s (%v)", platform, digest, again, err)
		}
	}
	if _, err := reference.Resolve(context.Background(), host+"/shop/none", "", o); !errors.Is(err, artifact.ErrOutside) {
		t.Errorf("error %v", err)
	}
}

// A root file system is told by its content and by its name no more than an
// image is.
func TestOpenRootfs(t *testing.T) {
	data := shared(t, "data/images/alpine-minirootfs-3.20.3-x86_64.tar.gz")
	plain := filepath.Join(t.TempDir(), "no-name-to-go-by")
	raw, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	opened, err := reference.Open(context.Background(), plain, reference.Options{As: "alpine:3.20"})
	if err != nil {
		t.Fatal(err)
	}
	a := opened[0].Artifact()
	if a.Name != "alpine:3.20" || a.Kind != "filesystem" || opened[0].Layers()[0].Size != int64(len(raw)) {
		t.Errorf("artifact %+v", a)
	}
	if err := opened[0].Close(); err != nil {
		t.Error(err)
	}
}

// Faults are told apart: a gate is undecided for the one, and refuses for the
// other.
func TestFaults(t *testing.T) {
	host := place(t)
	_, err := reference.Open(context.Background(), host+"/shop/none", reference.Options{Registries: oci.Registries{Keychain: authn.NewMultiKeychain()}})
	if !errors.Is(err, artifact.ErrOutside) || errors.Is(err, artifact.ErrFalse) {
		t.Errorf("error %v", err)
	}
	blobs, err := filepath.Glob("layout/blobs/sha256/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		if err := os.WriteFile(blob, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err = reference.Open(context.Background(), "layout", reference.Options{})
	if !errors.Is(err, artifact.ErrFalse) || errors.Is(err, artifact.ErrOutside) {
		t.Errorf("error %v", err)
	}
}

// shared returns a file of the folder that lies beside the repository, and
// skips the test where there is none.
func shared(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	file := filepath.Join(dir, "..", "shared", path)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("../shared/%s is not there", path)
	}
	return file
}
