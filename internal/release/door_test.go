package release_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/makeimage"
	"touchstone.dev/touchstone/internal/release"
)

// gated puts the real door in the place of the one that the other tests have.
func (w *world) gated(t *testing.T) *gate.Door {
	t.Helper()
	dir := t.TempDir()
	store, err := blob.Open(blob.Config{Dir: filepath.Join(dir, "evidence")})
	check(t, err)
	inspector, err := inspect.New(inspect.Config{Store: store, Key: []byte("key")})
	check(t, err)
	t.Cleanup(func() { check(t, inspector.Close()) })
	d := gate.NewDoor(gate.DoorConfig{
		Gate: gate.New(gate.Config{
			Inspector: inspector, Advisories: advisory.OpenFolder(filepath.Join(dir, "advisories")),
			Golden: golden.Open(filepath.Join(dir, "golden.json")), Tool: "touchstone test", Now: w.time,
		}),
		Store: w.store, Road: w, Enforce: true, Now: w.time, Platforms: []string{"linux/amd64"},
		Registries: oci.Registries{Keychain: authn.NewMultiKeychain(), Retries: -1}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	w.Through(d)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		check(t, <-done)
	})
	return d
}

// An image in a registry goes the whole road: it is scanned, promoted, approved,
// and let in where it was promoted and nowhere else.
func TestTheRoadThroughTheRealDoor(t *testing.T) {
	w := newWorld(t)
	d := w.gated(t)
	events, end := d.Subscribe()
	defer end()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/shop/cart"
	push(t, repository+":1", "hello")

	_, err := w.Promote(t.Context(), ann, release.PromotionAsk{Artifacts: []string{"not an image"}, To: "dev"})
	wants(t, err, release.ErrInvalid)
	promote := func(to string) *release.Result {
		t.Helper()
		res, err := w.Promote(t.Context(), ann, release.PromotionAsk{Artifacts: []string{repository + ":1"}, To: to})
		check(t, err)
		return res
	}
	if res := promote("dev"); !res.Answers[0].Scanning || len(res.Promoted) != 0 || res.Request != nil {
		t.Fatalf("not seen before: %+v", res)
	}
	for limit := time.After(20 * time.Second); ; {
		select {
		case e := <-events:
			if e.Seen == nil {
				continue
			}
		case <-limit:
			t.Fatal("it was not scanned")
		}
		break
	}
	for _, to := range []string{"dev", "test"} {
		if res := promote(to); len(res.Promoted) != 1 || res.Promoted[0].Artifact != repository {
			t.Fatalf("to %s: %+v", to, res)
		}
	}
	w.pass(time.Hour)
	if res := promote("prod"); !res.Opens.Equal(noon.Add(24*time.Hour)) || res.Request != nil {
		t.Fatalf("before it has soaked: opens %s, request %v", res.Opens, res.Request)
	}
	w.pass(23 * time.Hour)
	q := promote("prod").Request
	if q == nil || !strings.HasPrefix(q.Promotion.Artifacts[0], repository+":1@sha256:") {
		t.Fatalf("request %+v", q)
	}
	admitted := func(environment string) touchstone.Verdict {
		t.Helper()
		b, err := w.Book(t.Context())
		check(t, err)
		place := b.Rules.PlaceIn(environment)
		place.Namespace = "shop"
		a, err := d.Ask(t.Context(), gate.Request{Actor: "kubelet", Reference: q.Promotion.Artifacts[0], Question: touchstone.Question{
			Occasion: touchstone.OccasionAdmit, Place: place, Workload: touchstone.Workload{Kind: "Deployment", Name: "cart-" + environment, Container: "cart"},
		}})
		check(t, err)
		return a.Decision.Verdict
	}
	if v := admitted("prod"); v != touchstone.Refused {
		t.Errorf("in prod before it was promoted: %s", v)
	}
	push(t, repository+":1", "something else") // what was asked for stays what it was
	for _, p := range []release.Person{bob, cem} {
		q, err = w.Approve(t.Context(), p, q.ID, "")
		check(t, err)
	}
	if q.State != release.Granted {
		t.Fatalf("%s: %s", q.State, q.Needs)
	}
	if v := admitted("test"); v != touchstone.Allowed {
		t.Errorf("in test, where it was promoted: %s", v)
	}
	if v := admitted("prod"); v != touchstone.Allowed {
		t.Errorf("in prod, where it was promoted: %s", v)
	}
}

// push puts an image that says something under a reference.
func push(t *testing.T, ref, says string) {
	t.Helper()
	l, err := makeimage.Files("COPY . /", makeimage.File{Path: "etc/motd", Data: []byte(says)})
	check(t, err)
	im, err := makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{l}, Created: noon, Platform: "linux/amd64", Config: v1.Config{User: "1000"}})
	check(t, err)
	to, err := name.ParseReference(ref)
	check(t, err)
	check(t, remote.Write(to, im))
}
