package node

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/makeimage"
)

// world is a cluster, a registry, and the real server at the cluster's door.
type world struct {
	c    *cluster.Cluster
	r    *cluster.Registry // reached through slow
	slow *slow
	s    *process
	base v1.Image
	made int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{c: shared.Use(t)}
	w.r = w.c.Registry(t)
	w.slow = slowDown(t, w.c, w.r)
	var err error
	if w.base, err = cluster.PauseImage(); err != nil {
		t.Fatal(err)
	}
	w.s = newProcess(t, w)
	t.Cleanup(func() {
		w.s.kill()
		if t.Failed() {
			t.Logf("the server said:\n%s", w.s.said())
		}
	})
	return w
}

// slow stands before a registry and can hold back what it serves, so that a scan
// lasts as long as a test wants.
type slow struct {
	mu   sync.Mutex
	held chan struct{} // nil while nothing is
	asks chan struct{} // something is asked for while it is held back
}

// slowDown puts a slow before the registry, under whose name it then goes.
func slowDown(t *testing.T, c *cluster.Cluster, r *cluster.Registry) *slow {
	t.Helper()
	s := &slow{asks: make(chan struct{}, 1)}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Host})
	behind.ErrorLog = log.New(io.Discard, "", 0) // who is killed while it is served has gone
	front := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		s.pass(q)
		behind.ServeHTTP(rw, q)
	})}
	go func() { _ = front.Serve(l) }()
	t.Cleanup(func() { _ = front.Close() })
	r.Host = l.Addr().String()
	if err := c.Trust(r.Host); err != nil {
		t.Fatal(err)
	}
	return s
}

// pass waits while blobs are held back and the request is for one.
func (s *slow) pass(q *http.Request) {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held == nil || q.Method != http.MethodGet || !strings.Contains(q.URL.Path, "/blobs/") {
		return
	}
	select {
	case s.asks <- struct{}{}:
	default:
	}
	select {
	case <-held:
	case <-q.Context().Done():
	}
}

// hold holds blobs back until the function that it returns is called.
func (s *slow) hold(t *testing.T) (release func()) {
	t.Helper()
	held := make(chan struct{})
	s.forget()
	s.mu.Lock()
	s.held = held
	s.mu.Unlock()
	release = sync.OnceFunc(func() {
		s.mu.Lock()
		s.held = nil
		s.mu.Unlock()
		close(held)
	})
	t.Cleanup(release)
	return release
}

// forget forgets what was asked for so far.
func (s *slow) forget() {
	select {
	case <-s.asks:
	default:
	}
}

// asked waits until something that is held back is asked for.
func (s *slow) asked(t *testing.T) {
	t.Helper()
	select {
	case <-s.asks:
	case <-time.After(time.Minute):
		t.Fatal("nobody asks the registry for a layer")
	}
}

// packages of an image; what is below 2.0-1 has a hole.
const (
	good  = "openssl 2.0-1"
	bad   = "openssl 1.0-1"
	worse = "openssl 1.0-1, zlib 1.0-1"
)

// push pushes an image with these packages that was never pushed before.
func (w *world) push(t *testing.T, repositoryAndTag, packages string) (reference string, digest touchstone.Digest) {
	t.Helper()
	return w.pushOn(t, w.base, repositoryAndTag, packages)
}

// pushOn is push on top of another image.
func (w *world) pushOn(t *testing.T, base v1.Image, repositoryAndTag, packages string) (reference string, digest touchstone.Digest) {
	t.Helper()
	w.made++
	status := ""
	for one := range strings.SplitSeq(packages, ", ") {
		name, version, _ := strings.Cut(one, " ")
		status += fmt.Sprintf("Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", name, version)
	}
	layer, err := makeimage.Files("COPY system /",
		makeimage.File{Path: "etc/made", Data: fmt.Appendf(nil, "%s %d", w.r.Host, w.made)},
		makeimage.File{Path: "usr/lib/os-release", Data: []byte("ID=debian\nVERSION_ID=\"12\"\n")},
		makeimage.File{Path: "var/lib/dpkg/status", Data: []byte(status)})
	if err != nil {
		t.Fatal(err)
	}
	im, err := mutate.AppendLayers(base, layer.Layer)
	if err != nil {
		t.Fatal(err)
	}
	return w.r.Push(t, repositoryAndTag, im)
}

// namespace makes one whose rules are enforced.
func (w *world) namespace(t *testing.T, stage string) string {
	t.Helper()
	ns := w.c.Namespace(t, stage, map[string]string{"stage": stage})
	w.enforce(t, ns)
	return ns
}

func (w *world) enforce(t *testing.T, ns string) {
	t.Helper()
	got, err := w.s.SetMode(t.Context(), ns, api.ModeAsk{Enforce: true})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Mode.Enforced {
		t.Fatalf("%s is not enforced: %+v", ns, got.InTheWay)
	}
}

// seen has the server scan an image, and waits until it is.
func (w *world) seen(t *testing.T, reference string) *touchstone.Check {
	t.Helper()
	var check *touchstone.Check
	wait(t, reference+" is scanned", time.Minute, func(ctx context.Context) error {
		got, err := w.s.Check(ctx, api.CheckAsk{Reference: reference, Environment: "prod"})
		if err != nil {
			return err
		}
		if got.Scanning {
			return fmt.Errorf("it is being scanned")
		}
		check = got.Check
		return nil
	})
	return check
}

// scanned is when the server had scanned the digest.
func (w *world) scanned(t *testing.T, repository string, digest touchstone.Digest) time.Time {
	t.Helper()
	page, err := w.s.Artifacts(t.Context(), repository, api.Paging{})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(page.Items, func(a api.Artifact) bool { return a.Digest == digest })
	if at < 0 {
		t.Fatalf("%s@%s was not seen; seen are %+v", repository, digest, page.Items)
	}
	return page.Items[at].Seen
}

// create makes a pod that nothing keeps; one that is there already is no error.
func (w *world) create(t *testing.T, ns, name, image string) error {
	t.Helper()
	_, err := w.c.Client().CoreV1().Pods(ns).Create(t.Context(), cluster.Pod(ns, name, image), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// restart ends all pods of a name.
func (w *world) restart(t *testing.T, ns, name string) {
	t.Helper()
	err := w.c.Client().CoreV1().Pods(ns).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		t.Fatal(err)
	}
}

// refusal waits until a controller was refused a pod with these words.
func (w *world) refusal(t *testing.T, ns string, words ...string) string {
	t.Helper()
	var said string
	wait(t, "a refusal in "+ns+" with "+strings.Join(words, ", "), time.Minute, func(ctx context.Context) error {
		events, err := w.c.Client().CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
		if err != nil {
			return err
		}
		var all []string
		for i := range events.Items {
			said = events.Items[i].Message
			all = append(all, said)
			if contains(said, words...) {
				return nil
			}
		}
		return fmt.Errorf("said was: %s", strings.Join(all, "\n"))
	})
	return said
}

func contains(text string, words ...string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// wantRefused fails unless the error is a refusal with these words.
func wantRefused(t *testing.T, err error, words ...string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("it was let in; want a refusal with %q", words)
	case !contains(err.Error(), words...):
		t.Errorf("refused with %q, want %q in it", err, words)
	}
}

// wantImage fails unless every pod's container of that name runs the image.
func wantImage(t *testing.T, pods []corev1.Pod, container, image string) {
	t.Helper()
	for i := range pods {
		for _, c := range pods[i].Spec.Containers {
			if c.Name == container && c.Image != image {
				t.Errorf("%s of %s runs %s, want %s", c.Name, pods[i].Name, c.Image, image)
			}
		}
	}
}

func pinned(tag string, digest touchstone.Digest) string { return tag + "@" + string(digest) }
