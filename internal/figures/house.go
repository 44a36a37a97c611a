package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone/internal/advisory/synthetic"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/admit/load"
	"touchstone.dev/touchstone/internal/makeimage"
)

// namespace is where the pods are to run; the rules call it test.
const namespace = "shop-test"

// house is a server with a registry behind it and a floor beside it.
type house struct {
	program, data string
	registry      string // host:port
	webhook, key  string
	client        *http.Client
	floor         *floorDoor
	server        *exec.Cmd
	said          bytes.Buffer
	watched       context.CancelFunc
	most          atomic.Int64 // bytes of memory that the server had
	closing       []func()
}

func newHouse(ctx context.Context, program string) (*house, error) {
	h := &house{program: program}
	if err := h.open(ctx); err != nil {
		h.close()
		return nil, fmt.Errorf("%w\n%s", err, h.said.String())
	}
	return h, nil
}

func (h *house) open(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "touchstone-figures-*")
	if err != nil {
		return err
	}
	h.closing = append(h.closing, func() { _ = os.RemoveAll(folder) })
	h.data = filepath.Join(folder, "server")
	h.openRegistry()
	if err := h.advise(ctx, filepath.Join(folder, "archives")); err != nil {
		return err
	}
	rules, err := exec.CommandContext(ctx, h.program, "rules", "example").Output()
	if err != nil {
		return fmt.Errorf("reading the example rules: %w", err)
	}
	place := "places:\n  - {namespace: shop-*, environment: test, owner: team-shop}\n"
	file := filepath.Join(folder, "touchstone.yaml")
	if err := os.WriteFile(file, bytes.Replace(rules, []byte("places:\n"), []byte(place), 1), 0o600); err != nil {
		return err
	}
	if h.floor, err = openFloor(ctx); err != nil {
		return err
	}
	h.closing = append(h.closing, h.floor.close)
	return h.serve(ctx, file)
}

// advise gives the server advisories, made up ones.
func (h *house) advise(ctx context.Context, folder string) error {
	archives, err := synthetic.Write(folder, 20_000, 1)
	if err != nil {
		return err
	}
	exploited := filepath.Join(folder, "kev.json")
	if err := os.WriteFile(exploited, []byte(`{"catalogVersion":"1","dateReleased":"2026-11-01T00:00:00Z","vulnerabilities":[{"cveID":"CVE-1999-0001"}]}`), 0o600); err != nil {
		return err
	}
	args := []string{"db", "import", "--quiet", "--data", h.data, exploited}
	for _, a := range archives {
		args = append(args, a.Path)
	}
	if said, err := exec.CommandContext(ctx, h.program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("importing advisories: %w\n%s", err, said)
	}
	return nil
}

// openRegistry opens one that never answers for what is below stuck/.
func (h *house) openRegistry() {
	closed := make(chan struct{})
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/stuck/") {
			select {
			case <-closed:
			case <-r.Context().Done():
			}
			return
		}
		inner.ServeHTTP(w, r)
	}))
	h.registry = strings.TrimPrefix(hub.URL, "http://")
	h.closing = append(h.closing, func() { close(closed); hub.Close() })
}

func (h *house) serve(ctx context.Context, rules string) error {
	api, err := freePort()
	if err != nil {
		return err
	}
	webhook, err := freePort()
	if err != nil {
		return err
	}
	h.server = exec.CommandContext(ctx, h.program, "serve", "--data", h.data, "--rules", rules, "--enforce", "--quiet", "--listen", api, "--webhook-listen", webhook)
	h.server.Stderr = &h.said
	if err := h.server.Start(); err != nil {
		return err
	}
	h.watch(ctx)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		pem, err := os.ReadFile(filepath.Join(h.data, "ca.pem"))
		if err != nil {
			continue
		}
		key, err := os.ReadFile(filepath.Join(h.data, "webhook.key"))
		if err != nil {
			continue
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		h.client, h.key, h.webhook = clientOf(pool), strings.TrimSpace(string(key)), "https://"+webhook
		if conn, err := net.DialTimeout("tcp", webhook, time.Second); err == nil {
			return conn.Close()
		}
	}
	return errors.New("the server is not ready")
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// clientOf is a client as the API server is one: HTTP/1.1, on connections that it
// keeps (k8s.io/apiserver/pkg/util/webhook).
func clientOf(pool *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 200, DisableCompression: true,
	}}
}

// watch looks at the server's memory all the time.
func (h *house) watch(ctx context.Context) {
	ctx, h.watched = context.WithCancel(ctx)
	tick := time.NewTicker(20 * time.Millisecond)
	pid := h.server.Process.Pid
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				h.most.Store(max(h.most.Load(), anonymous(pid)))
			}
		}
	}()
}

// held is the most memory that the server had.
func (h *house) held() int64 { return h.most.Load() }

func (h *house) stop() {
	if h.server == nil || h.server.Process == nil {
		return
	}
	h.watched()
	_ = h.server.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = h.server.Wait()                          // nothing more is wanted of it
}

func (h *house) close() {
	h.stop()
	for i := len(h.closing) - 1; i >= 0; i-- {
		h.closing[i]()
	}
}

func (h *house) run(ctx context.Context, path string, bodies [][]byte, n int, allowed bool) load.Result {
	return load.Run(ctx, load.Config{Client: h.client, URL: h.webhook + path + "/" + h.key + "?timeout=10s", Bodies: bodies, Requests: n, Allowed: allowed})
}

// image is one that was let in.
type image struct{ tag, digest string }

// letIn pushes images, has them scanned and promotes them to where they are to run.
func (h *house) letIn(ctx context.Context) ([]image, error) {
	var images []image
	for i := range known {
		im, err := h.push(i)
		if err != nil {
			return nil, err
		}
		images = append(images, im)
		body, err := load.Review(namespace, im.tag, i)
		if err != nil {
			return nil, err
		}
		h.run(ctx, admit.PathMutate, [][]byte{body}, 1, false) // starts the scan
	}
	for _, im := range images {
		for _, env := range []string{"dev", "test"} {
			if err := h.promote(ctx, im.tag+"@"+im.digest, env); err != nil {
				return nil, err
			}
		}
	}
	return images, nil
}

func (h *house) promote(ctx context.Context, ref, env string) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		said, err := exec.CommandContext(ctx, h.program, "promote", ref, "--to", env, "--data", h.data).CombinedOutput()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("promoting %s to %s: %w\n%s", ref, env, err, said)
		}
	}
}

// push makes an image of a hundred packages, of which nothing is known.
func (h *house) push(n int) (image, error) {
	var status strings.Builder
	for i := range 100 {
		fmt.Fprintf(&status, "Package: shop-%d-%d\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.%d-1\nMaintainer: nobody\nDescription: one of many\n\n", n, i, i)
	}
	files, err := makeimage.Files("COPY . .",
		makeimage.File{Path: "etc/os-release", Mode: 0o644, Data: []byte("ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n")},
		makeimage.File{Path: "var/lib/dpkg/status", Mode: 0o644, Data: []byte(status.String())})
	if err != nil {
		return image{}, err
	}
	im, err := makeimage.Build(makeimage.Image{Layers: []makeimage.Layer{files}, Created: time.Now().UTC().Truncate(time.Second), Config: v1.Config{User: "65532", Entrypoint: []string{"/app"}}})
	if err != nil {
		return image{}, err
	}
	tag := fmt.Sprintf("%s/shop/app-%d:1", h.registry, n)
	ref, err := name.ParseReference(tag)
	if err != nil {
		return image{}, err
	}
	if err := remote.Write(ref, im); err != nil {
		return image{}, err
	}
	digest, err := im.Digest()
	return image{tag, digest.String()}, err
}

// allowing is the argument that makes this program the floor.
const allowing = "allow-everything"

// allowAll is a webhook that allows everything, until its input ends. It tells its
// URL and its certificate.
func allowAll(out io.Writer, in io.Reader) error {
	s := httptest.NewTLSServer(load.AllowAll())
	defer s.Close()
	fmt.Fprintln(out, s.URL, base64.StdEncoding.EncodeToString(s.Certificate().Raw))
	_, err := io.Copy(io.Discard, in)
	return err
}

// floorDoor is that webhook in a process of its own, as the server is one.
type floorDoor struct {
	url    string
	client *http.Client
	c      *exec.Cmd
	in     io.Closer
}

func openFloor(ctx context.Context) (*floorDoor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, allowing)
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	f := &floorDoor{c: c, in: in}
	told, err := bufio.NewReader(out).ReadString('\n')
	url, der, _ := strings.Cut(strings.TrimSpace(told), " ")
	raw, err2 := base64.StdEncoding.DecodeString(der)
	cert, err3 := x509.ParseCertificate(raw)
	if err := errors.Join(err, err2, err3); err != nil {
		f.close()
		return nil, fmt.Errorf("starting the floor: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	f.url, f.client = url, clientOf(pool)
	return f, nil
}

func (f *floorDoor) run(ctx context.Context, bodies [][]byte, n int) load.Result {
	return load.Run(ctx, load.Config{Client: f.client, URL: f.url + "/?timeout=10s", Bodies: bodies, Requests: n, Allowed: true})
}

func (f *floorDoor) close() {
	_ = f.in.Close()
	_ = f.c.Wait() // it has nothing to tell
}
