package server

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
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

	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/makeimage"
)

const table = `version: 1
environments: [dev, prod]
places:
  - {namespace: shop, environment: prod, owner: team-shop}
rules:
  runs-as-root: {dev: warn, prod: refuse}
  stale-advisories: {dev: any, prod: at most 24h}
  unseen: {dev: allow, prod: refuse}
`

const hole = `{"schema_version":"1.6.0","id":"DEBIAN-CVE-2026-1","published":"2026-10-01T00:00:00Z","modified":"2026-10-01T00:00:00Z",
"affected":[{"package":{"ecosystem":"Debian:12","name":"zlib"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is a clock that tests set.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) set(t time.Time)      { c.at.Store(t.UnixNano()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// house is a server with all that it stands in.
type house struct {
	*Server
	config Config
	clock  *clock
	told   *bytes.Buffer
	admin  *api.Client
	token  string
	stop   func() error
}

// configure makes what a server is configured with: real rooms, one advisory and
// an empty registry.
func configure(t testing.TB, data string) (Config, *clock, *bytes.Buffer) {
	t.Helper()
	c, told := &clock{}, &bytes.Buffer{}
	c.set(noon)
	records := filepath.Join(t.TempDir(), "records")
	check(t, os.Mkdir(records, 0o700))
	check(t, os.WriteFile(filepath.Join(records, "hole.json"), []byte(hole), 0o600))
	folder := advisory.OpenFolder(filepath.Join(data, "advisories"))
	_, err := folder.Import(t.Context(), []string{records}, advisory.ImportOptions{Now: noon, AsOf: noon})
	check(t, err)
	evidence, err := blob.Open(blob.Config{Dir: filepath.Join(data, "evidence")})
	check(t, err)
	inspector, err := inspect.New(inspect.Config{Store: evidence, Key: []byte("key")})
	check(t, err)
	t.Cleanup(func() { check(t, inspector.Close()) })
	return Config{
		Data: data, Listen: "127.0.0.1:0", WebhookListen: "127.0.0.1:0", Cluster: "lab", Tool: "touchstone test",
		Gate: gate.New(gate.Config{
			Inspector: inspector, Advisories: folder, Golden: golden.Open(filepath.Join(data, "golden.json")), Tool: "touchstone test", Now: c.now,
		}),
		Rules: []byte(table), Platforms: []string{"linux/amd64"},
		Registries: oci.Registries{Keychain: authn.NewMultiKeychain(), Retries: -1},
		Tell:       told, Log: slog.New(slog.DiscardHandler), Now: c.now,
	}, c, told
}

// open starts a server, and stops it at the end of the test.
func open(t testing.TB, change func(*Config)) *house {
	t.Helper()
	c, clock, told := configure(t, filepath.Join(t.TempDir(), "data"))
	if change != nil {
		change(&c)
	}
	h := &house{config: c, clock: clock, told: told}
	h.start(t)
	return h
}

func (h *house) start(t testing.TB) {
	t.Helper()
	s, err := New(t.Context(), h.config)
	check(t, err)
	h.Server = s
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { check(t, h.stop()) })
	select {
	case <-s.Started():
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	data, err := os.ReadFile(FirstToken(h.config.Data))
	check(t, err)
	h.token = strings.TrimSpace(string(data))
	h.admin = h.client(t, h.token)
}

func (h *house) client(t testing.TB, token string) *api.Client {
	t.Helper()
	carrier, err := api.Pinned(Authority(h.config.Data))
	check(t, err)
	carrier.Transport.(*http.Transport).TLSClientConfig.Time = h.clock.now
	t.Cleanup(carrier.CloseIdleConnections)
	return &api.Client{Base: "https://" + h.API(), Token: token, HTTP: carrier, Attempts: 1}
}

// as makes a token, and a client that has it.
func (h *house) as(t testing.TB, name string, role api.Role, scope ...string) *api.Client {
	t.Helper()
	made, err := h.admin.MakeToken(t.Context(), api.TokenAsk{Name: name, Role: role, Scope: scope, Groups: []string{"release"}})
	check(t, err)
	return h.client(t, made.Secret)
}

// call makes a raw call and returns its status and answer.
func (h *house) call(t testing.TB, method, path, token, body string, header ...string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+h.API()+path, strings.NewReader(body))
	check(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := h.admin.HTTP.Do(req)
	check(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, data, res.Header
}

// port is a registry in memory.
func port(t testing.TB) string {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push puts an image that runs as the user into a registry, and returns its name.
func push(t testing.TB, host, repository, user string) string {
	t.Helper()
	l, err := makeimage.Files("COPY . /", makeimage.File{Path: "etc/hello", Data: []byte(repository + user)})
	check(t, err)
	im, err := makeimage.Build(makeimage.Image{Created: noon, Config: v1.Config{User: user}, Layers: []makeimage.Layer{l}})
	check(t, err)
	ref, err := name.ParseReference(host + "/" + repository)
	check(t, err)
	check(t, remote.Write(ref, im))
	return ref.String()
}
