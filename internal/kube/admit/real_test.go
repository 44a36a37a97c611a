package admit_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
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
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/admit/load"
	"touchstone.dev/touchstone/internal/makeimage"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/storetest"
)

// house is a webhook before a real door with a real registry.
type house struct {
	*front
	door *gate.Door
	host string // of the registry
}

func (d *desk) Promotions(context.Context, string, touchstone.Digest) ([]touchstone.Promotion, error) {
	return nil, nil
}

func (d *desk) Improvement(context.Context, touchstone.Workload, touchstone.Place, touchstone.Digest) (string, []touchstone.Approval, error) {
	return "", nil, nil
}

// newHouse opens the door; the desk is only the road to it.
func newHouse(t testing.TB) *house {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	port := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(port.Close)
	dir := t.TempDir()
	blobs, err := blob.Open(blob.Config{Dir: filepath.Join(dir, "evidence")})
	must(err)
	inspector, err := inspect.New(inspect.Config{Store: blobs, Key: []byte("key")})
	must(err)
	t.Cleanup(func() { must(inspector.Close()) })
	// Every decision is about one moment: nothing lapses while it is measured.
	d, now := newDesk(t), time.Now()
	d.now = time.Now
	d.rules, _, err = rules.Load("touchstone.yaml", []byte(table), now)
	must(err)
	quiet := slog.New(slog.DiscardHandler)
	h := &house{front: &front{TB: t, desk: d, town: newTown(), store: storetest.Open(t)}, host: strings.TrimPrefix(port.URL, "http://")}
	h.door = gate.NewDoor(gate.DoorConfig{
		Gate: gate.New(gate.Config{
			Inspector: inspector, Advisories: advisory.OpenFolder(filepath.Join(dir, "advisories")),
			Golden: golden.Open(filepath.Join(dir, "golden.json")), Rules: d.rules, Tool: "touchstone test", Now: time.Now,
		}),
		Store: h.store, Road: d, Enforce: true, Now: time.Now, Log: quiet, Platforms: []string{"linux/amd64"},
		Registries: oci.Registries{Keychain: authn.NewMultiKeychain(), Retries: -1},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.door.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	h.hook = admit.New(admit.Config{Door: h.door, Road: d, Cluster: h.town, Store: h.store, Name: "east", Own: "touchstone", Log: quiet})
	return h
}

// push puts an image that runs as the user under a name, and returns its digest.
func (h *house) push(ref, user string) touchstone.Digest {
	h.Helper()
	files, err := makeimage.Files("COPY . .", makeimage.File{Path: "srv/" + user, Mode: 0o644, Data: []byte("x")})
	if err != nil {
		h.Fatal(err)
	}
	im, err := makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{files}, Created: noon, Config: v1.Config{User: user}})
	if err != nil {
		h.Fatal(err)
	}
	r, err := name.ParseReference(h.host + "/" + ref)
	if err != nil {
		h.Fatal(err)
	}
	if err := remote.Write(r, im); err != nil {
		h.Fatal(err)
	}
	d, err := im.Digest()
	if err != nil {
		h.Fatal(err)
	}
	return touchstone.Digest(d.String())
}

// scan has the image looked at, and returns when it was.
func (h *house) scan(ref string) {
	h.Helper()
	events, stop := h.door.Subscribe()
	defer stop()
	if got := h.send("Pod", pod(h.host+"/"+ref), mutate); got.Allowed || !strings.Contains(message(got), "not seen before: scan started") {
		h.Fatalf("%v: %s", got.Allowed, message(got))
	}
	limit := time.After(20 * time.Second)
	for {
		select {
		case e := <-events:
			if e.Seen != nil {
				return
			}
		case <-limit:
			h.Fatal("the scan did not end")
		}
	}
}

func TestThroughARealDoor(t *testing.T) {
	h := newHouse(t)
	digest := h.push("shop/cart:1", "1000")
	image := h.host + "/shop/cart:1"
	h.scan("shop/cart:1")
	byController := as(replicaSets)
	first := h.send("Pod", ofCart(image), mutate, byController)
	if !first.Allowed {
		t.Fatal(message(first))
	}
	// The tag points elsewhere before the pod is stored: what was judged runs.
	h.push("shop/cart:1", "0")
	final := patched(t, ofCart(image), first.Patch)
	if final.Spec.Containers[0].Image != at(image, digest) {
		t.Errorf("pinned as %s", final.Spec.Containers[0].Image)
	}
	if got := h.send("Pod", final, byController); !got.Allowed || got.AuditAnnotations["decisions"] == "" {
		t.Error(message(got), got.AuditAnnotations)
	}
	if second := h.send("Pod", ofCart(image), mutate, byController); string(second.Patch) != string(first.Patch) {
		t.Errorf("the second pod of the ReplicaSet gets %s %s", second.Patch, message(second))
	}
	if got := h.send("Pod", pod(at(image, digest), h.host+"/shop/cart:2"), byController); got.Allowed {
		t.Error("a sidecar that was injected late is let in")
	}
	if got := h.letIn(); got != 1 { // neither what was asked ahead nor what came with the sidecar
		t.Errorf("%d images were written down as let in, want 1", got)
	}
	exec := []option{operation("CONNECT"), sub("exec"), func(a *ask) { a.Name = "cart-5f-x" }}
	if got := h.send("Pod", pod(), exec...); got.Allowed || !strings.Contains(message(got), "prod allows: block") {
		t.Errorf("%v: %s", got.Allowed, message(got))
	}
}

// letIn counts what the log says was let in.
func (h *house) letIn() (n int) {
	h.Helper()
	for e, err := range h.store.Entries(h.Context(), record.EntryQuery{Kinds: []string{"admission"}}) {
		if err != nil {
			h.Fatal(err)
		}
		body, err := h.store.Blob(h.Context(), e.Body)
		if err != nil {
			h.Fatal(err)
		}
		var said struct {
			Verdict touchstone.Verdict
			Ahead   bool
		}
		if err := json.Unmarshal(body, &said); err != nil {
			h.Fatal(err)
		}
		if said.Verdict == touchstone.Allowed && !said.Ahead {
			n++
		}
	}
	return n
}

// BenchmarkReview holds the webhook, before a real door with a durable store,
// against one that allows everything, over TLS with 200 in flight.
func BenchmarkReview(b *testing.B) {
	h := newHouse(b)
	digest := h.push("shop/cart:1", "1000")
	h.scan("shop/cart:1")
	image := h.host + "/shop/cart:1"
	for name, tc := range map[string]struct {
		path, image string
		allowed     bool
	}{
		"mutate by tag":   {admit.PathMutate, image, true},
		"validate known":  {admit.PathValidate, at(image, digest), true},
		"validate unseen": {admit.PathValidate, h.host + "/shop/cart@" + string(one), false},
	} {
		b.Run(name, func(b *testing.B) {
			var bodies [][]byte
			for i := range 50 {
				body, err := load.Review("shop", tc.image, i)
				if err != nil {
					b.Fatal(err)
				}
				bodies = append(bodies, body)
			}
			// The API server speaks HTTP/1.1 to webhooks, on connections that it keeps
			// (k8s.io/apiserver/pkg/util/webhook).
			measure := func(handler http.Handler, allowed bool) load.Result {
				server := httptest.NewTLSServer(handler)
				defer server.Close()
				client := server.Client()
				client.Transport.(*http.Transport).MaxIdleConnsPerHost = 200
				c := load.Config{
					Client: client, URL: server.URL + tc.path + "?timeout=10s", Bodies: bodies, Requests: 1000, Allowed: allowed,
				}
				load.Run(b.Context(), c) // opens the connections
				c.Requests = max(b.N, 2000)
				r := load.Run(b.Context(), c)
				if r.Errors > 0 {
					b.Fatalf("%d errors: %v", r.Errors, r.First)
				}
				return r
			}
			b.ResetTimer()
			ours, floor := measure(h.hook, tc.allowed), measure(load.AllowAll(), true)
			b.ReportMetric(0, "ns/op") // of both together, which says nothing
			b.ReportMetric(float64(ours.P99)/float64(floor.P99), "×floor")
			b.ReportMetric(float64(ours.P99.Milliseconds()), "p99-ms")
			b.ReportMetric(ours.Rate, "reviews/s")
			b.ReportMetric(floor.Rate, "floor/s")
		})
	}
}
