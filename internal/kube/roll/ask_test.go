package roll_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/roll"
	"touchstone.dev/touchstone/internal/makeimage"
	"touchstone.dev/touchstone/internal/rehydrate"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/storetest"
)

const doorTable = `version: 1
environments: [prod]
rules:
  unseen: {prod: refuse}
  gaps: {prod: allow}
  no-advisories: {prod: allow}
  stale-advisories: {prod: any}
  unscored: {prod: allow}
  runs-as-root: {prod: refuse}
  replace-after: {prod: at most 7d}
`

func (r road) Promotions(context.Context, string, touchstone.Digest) ([]touchstone.Promotion, error) {
	return nil, nil
}

func (r road) Improvement(context.Context, touchstone.Workload, touchstone.Place, touchstone.Digest) (string, []touchstone.Approval, error) {
	return "", nil, nil
}

// push puts an image that runs as the user under a name.
func push(t *testing.T, ref, user, content string) {
	t.Helper()
	files, err := makeimage.Files("COPY . .", makeimage.File{Path: "srv/" + content, Mode: 0o644, Data: []byte("x")})
	check(t, err)
	im, err := makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{files}, Created: noon(), Config: v1.Config{User: user}})
	check(t, err)
	r, err := name.ParseReference(ref)
	check(t, err)
	check(t, remote.Write(r, im))
}

// The gate is asked about the very pod that a rollout would make: its image under the
// name in the template as it is in the registry now.
func TestTheGateIsAskedAboutWhatWouldFollow(t *testing.T) {
	c := shared.Use(t)
	port := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer port.Close()
	image := strings.TrimPrefix(port.URL, "http://") + "/shop/cart:1.4"
	push(t, image, "1000", "a")

	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	blobs, err := blob.Open(blob.Config{Dir: filepath.Join(dir, "evidence")})
	check(t, err)
	inspector, err := inspect.New(inspect.Config{Store: blobs, Key: []byte("key")})
	check(t, err)
	t.Cleanup(func() { check(t, inspector.Close()) })
	table, _, err := rules.Load("touchstone.yaml", []byte(doorTable), noon())
	check(t, err)
	r := road{&gate.Book{Rules: table, Source: []byte(doorTable)}}
	store := storetest.Open(t)
	var later atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	door := gate.NewDoor(gate.DoorConfig{
		Gate: gate.New(gate.Config{
			Inspector: inspector, Advisories: advisory.OpenFolder(filepath.Join(dir, "advisories")), Golden: golden.Open(filepath.Join(dir, "golden.json")),
			Rules: table, Tool: "touchstone test", Now: clock,
		}),
		Store: store, Road: r, Enforce: true, Log: quiet, Now: clock, Platforms: []string{"linux/amd64"}, Registries: oci.Registries{Keychain: authn.NewMultiKeychain(), Retries: -1},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	t.Cleanup(func() { cancel(); ended.Wait() })
	ended.Go(func() { _ = door.Run(ctx) })
	cluster, err := kube.New(kube.Config{REST: c.Config(), Name: "pay-1", Road: r, Log: quiet})
	check(t, err)

	ns := c.Namespace(t, "follow", nil)
	d := deployment(t, c, ns, 1)
	_, err = c.Client().AppsV1().Deployments(ns).Patch(t.Context(), d.Name, types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"securityContext":{"runAsUser":null,"runAsNonRoot":null},"containers":[{"name":"cart","image":"`+image+`"}]}}}}`), metav1.PatchOptions{})
	check(t, err)
	_, err = c.Client().AppsV1().ReplicaSets(ns).Patch(t.Context(), "cart-1", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"cart","image":"`+image+`"}]}}}}`), metav1.PatchOptions{})
	check(t, err)
	k := runs(t, c, func(config *roll.Config) { config.Road, config.Found = r, door })
	ask := &roll.Door{Cluster: cluster, Resolve: door.Resolve, Roll: k, Hook: admit.New(admit.Config{Door: door, Road: r, Cluster: cluster, Store: store, Name: "pay-1", Own: "touchstone", Log: quiet})}
	says := func(want rehydrate.Answer, about string) {
		t.Helper()
		c.Eventually(t, string(want), 30*time.Second, func(ctx context.Context) error {
			got, _ := await(t, c, k, ns, 1)
			w := got["Deployment cart"]
			f, err := ask.Ask(ctx, &w)
			if err != nil {
				return err
			}
			if f.Answer != want || !strings.Contains(f.Why, about) {
				return errorf("%q: %s", f.Answer, f.Why)
			}
			return nil
		})
	}
	says(rehydrate.Refused, "not seen before") // a dry run starts no scan
	_, err = door.Ask(t.Context(), gate.Request{Actor: "test", Reference: image, Question: touchstone.Question{Occasion: touchstone.OccasionAdmit, Place: table.PlaceOf("pay-1", ns, "", nil)}})
	check(t, err)
	says(rehydrate.Allowed, "")
	push(t, image, "0", "b") // the tag is another image now, which is looked up once a minute
	later.Store(int64(2 * time.Minute))
	says(rehydrate.Refused, "")
	port.Close()
	later.Store(int64(4 * time.Minute))
	says(rehydrate.Undecided, "")
}
