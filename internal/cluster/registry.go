package cluster

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone"
)

// Registry is a registry in this process, on a port of its own.
type Registry struct {
	// Host is its name in references: "10.244.77.1:40123", where pods reach it too;
	// "127.0.0.1:40123" without a node.
	Host string

	mu             sync.Mutex
	down           bool
	user, password string
}

// Registry starts a registry from which the node pulls, until the test ends.
func (c *Cluster) Registry(t testing.TB) *Registry {
	t.Helper()
	address := "127.0.0.1"
	if c.options.Node {
		address = nodeAddress
	}
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Registry{Host: l.Addr().String()}
	if c.options.Node {
		if err := c.Trust(r.Host); err != nil {
			t.Fatal(err)
		}
	}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := &http.Server{Handler: r.guard(inner)}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return r
}

func (r *Registry) guard(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		down, user, password := r.down, r.user, r.password
		r.mu.Unlock()
		gotUser, gotPassword, _ := q.BasicAuth()
		switch {
		case down:
			http.Error(w, "down", http.StatusServiceUnavailable)
		case user != "" && (gotUser != user || gotPassword != password):
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
		default:
			inner.ServeHTTP(w, q)
		}
	})
}

// Down has the registry answer nothing but errors, or come back.
func (r *Registry) Down(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// Require has the registry ask for this user and password from now on.
func (r *Registry) Require(user, password string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.password = user, password
}

// Push stores the image as "repository:tag" and returns the reference by tag,
// and the digest. Pushed again under the same tag, the tag points elsewhere.
func (r *Registry) Push(t testing.TB, repositoryAndTag string, im v1.Image) (reference string, digest touchstone.Digest) {
	t.Helper()
	ref, err := name.ParseReference(r.Host + "/" + repositoryAndTag)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	as := authn.FromConfig(authn.AuthConfig{Username: r.user, Password: r.password})
	r.mu.Unlock()
	if err := remote.Write(ref, im, remote.WithAuth(as), remote.WithContext(t.Context())); err != nil {
		t.Fatalf("pushing %s: %v", ref, err)
	}
	d, err := im.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return ref.Name(), touchstone.Digest(d.String())
}

// ByDigest returns the reference with its tag replaced by the digest.
func ByDigest(reference string, d touchstone.Digest) string {
	repository := reference
	if colon := strings.LastIndexByte(reference, ':'); colon > strings.LastIndexByte(reference, '/') {
		repository = reference[:colon]
	}
	return fmt.Sprintf("%s@%s", repository, d)
}
