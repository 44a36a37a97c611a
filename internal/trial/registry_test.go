package trial

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/makeimage"
)

// logFile is the variable that names the file of the registry's requests.
const logFile = "TOUCHSTONE_TRIAL_LOG"

// serveRegistry is the registry's process: it says on standard output where it
// listens, and ends with its standard input. Each request is in the log before
// it is answered.
func serveRegistry() {
	file, err := os.OpenFile(os.Getenv(logFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := fmt.Fprintln(file, r.Method, r.URL.Path); err != nil {
			log.Fatal(err)
		}
		images.ServeHTTP(w, r)
	})}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(listener.Addr())
	log.Fatal(server.Serve(listener))
}

// aRegistry is a registry that runs as a process of its own.
type aRegistry struct {
	t    *testing.T
	host string
	log  string
}

func startRegistry(t *testing.T) aRegistry {
	t.Helper()
	r := aRegistry{t: t, log: filepath.Join(t.TempDir(), "requests")}
	c := command(t, "registry")
	c.Env = append(c.Env, logFile+"="+r.log)
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = c.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the registry does not start: %v", err)
	}
	r.host = strings.TrimSpace(address)
	return r
}

// push pushes an image, or several platforms, and forgets the requests so far.
func (r aRegistry) push(ref string, it remote.Taggable) string {
	r.t.Helper()
	tag, err := name.NewTag(r.host + "/" + ref)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := remote.Push(tag, it); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Truncate(r.log, 0); err != nil {
		r.t.Fatal(err)
	}
	return tag.String()
}

// read returns how often each of the layers was read since this was last asked.
func (r aRegistry) read(im v1.Image) []int {
	r.t.Helper()
	data, err := os.ReadFile(r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.Truncate(r.log, 0); err != nil {
		r.t.Fatal(err)
	}
	requests := strings.Split(string(data), "\n")
	if len(data) == 0 {
		r.t.Error("the registry was not asked for anything")
	}
	layers, err := im.Layers()
	if err != nil {
		r.t.Fatal(err)
	}
	times := make([]int, len(layers))
	for i, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			r.t.Fatal(err)
		}
		for _, request := range requests {
			if strings.HasPrefix(request, "GET ") && strings.HasSuffix(request, "/blobs/"+digest.String()) {
				times[i]++
			}
		}
	}
	return times
}

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
		doc := m.check(test.code, tag, "--platform", test.platform)
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
	other, err := program(t, newProgram(t, hey, "amd64")).Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(other)
	if err != nil {
		t.Fatal(err)
	}
	liar, err := mutate.AppendLayers(empty.Image, static.NewLayer(data, types.DockerUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	if liar, err = mutate.ConfigFile(liar, config); err != nil {
		t.Fatal(err)
	}
	doc := m.check(1, r.push("shop/cart:1.5", liar))
	if got := reason(t, doc, "integrity"); got.Outcome != touchstone.Fail || got.Effect != touchstone.EffectRefuse {
		t.Errorf("integrity: %+v", got)
	}
}
