package oci

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// fake is a registry with one image, shop/cart:1, that does as it should but
// for what a test puts before it.
type fake struct {
	manifest, config, layer []byte
	img                     v1.Image
	// before handles a request if it returns true.
	before func(f *fake, w http.ResponseWriter, r *http.Request) bool
	count  atomic.Int64 // of requests for the layer
}

func newFake(t *testing.T, before func(*fake, http.ResponseWriter, *http.Request) bool) (*fake, string) {
	t.Helper()
	f := &fake{before: before, img: imageOf(t, "linux", "amd64", "", strings.Repeat("incompressible? ", 20000))}
	var err error
	if f.manifest, err = f.img.RawManifest(); err != nil {
		t.Fatal(err)
	}
	if f.config, err = f.img.RawConfigFile(); err != nil {
		t.Fatal(err)
	}
	layers, err := f.img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	if f.layer, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, strings.TrimPrefix(server.URL, "http://")
}

func (f *fake) isLayer(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, string(touchstone.DigestOf(f.layer)))
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.isLayer(r) {
		f.count.Add(1)
	}
	if f.before != nil && f.before(f, w, r) {
		return
	}
	switch {
	case r.URL.Path == "/v2/":
	case strings.Contains(r.URL.Path, "/manifests/"):
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write(f.manifest)
	case f.isLayer(r):
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.layer)) // honours Range
	default:
		_, _ = w.Write(f.config)
	}
}

// quickRegistries does not wait before it tries again.
func quickRegistries() Registries {
	return Registries{Keychain: anonymous(), Backoff: time.Nanosecond, Retries: 3}
}

// openAndRead opens shop/cart:1 and reads its layers.
func openAndRead(host string, r Registries) error {
	opened, err := OpenRegistry(context.Background(), host+"/shop/cart:1", r, Options{MaxManifest: 1 << 20})
	if err != nil {
		return err
	}
	return errors.Join(readLayers(opened[0]), opened[0].Close())
}

// fault names the kind of an error.
func fault(err error) string {
	switch {
	case errors.Is(err, artifact.ErrOutside) && errors.Is(err, artifact.ErrFalse):
		return "both"
	case errors.Is(err, artifact.ErrOutside):
		return "outside"
	case errors.Is(err, artifact.ErrFalse):
		return "false"
	}
	return ""
}

func TestMisbehavingRegistry(t *testing.T) {
	manifests := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }
	answer := func(code int) func(*fake, http.ResponseWriter, *http.Request) bool {
		return func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if manifests(r) {
				w.WriteHeader(code)
			}
			return manifests(r)
		}
	}
	stall := func(w http.ResponseWriter, r *http.Request, first []byte) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(first)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for _, test := range []struct {
		name   string
		before func(f *fake, w http.ResponseWriter, r *http.Request) bool
		fault  string // "outside", "false", or "" for neither
		say    string // in the error; "" if the image must be read whole
	}{
		{name: "well", before: nil},
		{name: "not found", before: answer(404), fault: "outside", say: "404 Not Found\nhint: check the name and the tag"},
		{name: "not logged in", before: answer(401), fault: "outside", say: http.StatusText(http.StatusUnauthorized) + "\nhint: log in"},
		{name: "forbidden", before: answer(403), fault: "outside", say: "403 Forbidden\nhint: log in"},
		{name: "too many", before: answer(429), fault: "outside", say: "429 Too Many Requests\nhint: wait, log in"},
		{name: "broken", before: answer(503), fault: "outside", say: "503 Service Unavailable\nhint: the fault is the registry's"},
		{name: "broken twice", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if !manifests(r) || f.count.Add(1) > 2 {
				return false
			}
			w.WriteHeader(http.StatusBadGateway)
			return true
		}},
		{name: "html", before: func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<!doctype html><title>Log in</title>")
			return true
		}, fault: "outside", say: "the answer is a web page\nhint: a proxy or a login page"},
		{name: "html with status", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if manifests(r) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, "<html>"+strings.Repeat("x", 1<<20))
			}
			return manifests(r)
		}, fault: "outside", say: "404 Not Found\nhint:"},
		{name: "html for a layer", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.isLayer(r) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = io.WriteString(w, "<html>")
			}
			return f.isLayer(r)
		}, fault: "outside", say: "web page"},
		{name: "garbage", before: func(f *fake, _ http.ResponseWriter, _ *http.Request) bool {
			f.manifest = []byte(`{"schemaVersion":`)
			return false
		}, say: "the manifest is not what the OCI image-spec says"},
		{name: "schema 1", before: func(f *fake, _ http.ResponseWriter, _ *http.Request) bool {
			f.manifest = []byte(`{"schemaVersion": 1, "name": "shop/cart", "fsLayers": []}`)
			return false
		}, say: "schema 1"},
		{name: "image and index", before: func(f *fake, _ http.ResponseWriter, _ *http.Request) bool {
			f.manifest = []byte(`{"schemaVersion": 2, "config": {}, "layers": [], "manifests": []}`)
			return false
		}, fault: "false", say: "can be taken for either"},
		{name: "huge manifest", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if manifests(r) {
				for range 64 {
					_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<16))
				}
			}
			return manifests(r)
		}, say: "more than the 1048576 bytes"},
		{name: "endless ping", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			for r.URL.Path == "/v2/" {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
					return true
				}
			}
			return false
		}},
		{name: "wrong config", before: func(f *fake, _ http.ResponseWriter, _ *http.Request) bool {
			f.config = bytes.ToUpper(f.config)
			return false
		}, fault: "false", say: "the bytes under sha256:"},
		{name: "wrong layer", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.isLayer(r) {
				_, _ = w.Write(bytes.Repeat([]byte("x"), len(f.layer)))
			}
			return f.isLayer(r)
		}, fault: "false", say: "has the digest"},
		{name: "layer too long", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.isLayer(r) {
				_, _ = w.Write(append(f.layer, "more"...))
			}
			return f.isLayer(r)
		}, fault: "false", say: "longer than its manifest says"},
		{name: "layer without end", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			for f.isLayer(r) {
				if _, err := w.Write(f.layer); err != nil {
					return true
				}
			}
			return false
		}, fault: "false", say: "longer than its manifest says"},
		{name: "layer too short", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.isLayer(r) {
				_, _ = w.Write(f.layer[:100])
			}
			return f.isLayer(r)
		}, fault: "false", say: "shorter than its manifest says"},
		{name: "layer gone", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.isLayer(r) {
				w.WriteHeader(http.StatusNotFound)
			}
			return f.isLayer(r)
		}, fault: "outside", say: "404"},
		{name: "layer cut thrice", before: cut(3, false)},
		{name: "layer cut thrice, whole again", before: cut(3, true)},
		{name: "layer cut for ever", before: cut(1000, false), fault: "outside", say: "cut the connection"},
		{name: "stall before the answer", before: func(_ *fake, _ http.ResponseWriter, r *http.Request) bool {
			if manifests(r) {
				<-r.Context().Done()
			}
			return manifests(r)
		}, fault: "outside", say: "did not answer in time"},
		{name: "stall in the manifest", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if manifests(r) {
				stall(w, r, []byte("{"))
			}
			return manifests(r)
		}, fault: "outside", say: "stopped answering: nothing came for 1s"},
		{name: "stall in a layer", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.isLayer(r) {
				w.Header().Set("Content-Length", strconv.Itoa(len(f.layer)))
				_, _ = w.Write(f.layer[:100])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			return f.isLayer(r)
		}, fault: "outside", say: "stopped answering: nothing came for 1s"},
		{name: "stall in drops", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if !f.isLayer(r) {
				return false
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(f.layer)))
			for n := 0; n < len(f.layer) && r.Context().Err() == nil; n++ {
				_, _ = w.Write(f.layer[n : n+1])
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
			return true
		}, fault: "outside", say: "bytes came in 2s"},
		{name: "redirects in a circle", before: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v2/" {
				http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			}
			return r.URL.Path != "/v2/"
		}, fault: "outside", say: "stopped after 10 redirects"},
		{name: "redirect to plain HTTP elsewhere", before: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.isLayer(r) {
				http.Redirect(w, r, "http://storage.example/layer", http.StatusTemporaryRedirect)
			}
			return f.isLayer(r)
		}, fault: "outside", say: "storage.example would have to be reached by plain HTTP"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, host := newFake(t, test.before)
			r := quickRegistries()
			if strings.HasPrefix(test.name, "stall") {
				t.Parallel()
				r.Answer, r.Idle = time.Second, time.Second
			}
			err := openAndRead(host, r)
			if test.say == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.say) {
				t.Fatalf("error %v, want %q", err, test.say)
			}
			if got := fault(err); got != test.fault {
				t.Errorf("error %q: the fault is %q, want %q", err, got, test.fault)
			}
		})
	}
}

// cut breaks the connection in the middle of the layer, the first times it is
// asked for. whole says that the registry does not know of ranges.
func cut(times int64, whole bool) func(*fake, http.ResponseWriter, *http.Request) bool {
	return func(f *fake, w http.ResponseWriter, r *http.Request) bool {
		if !f.isLayer(r) {
			return false
		}
		if whole {
			r.Header.Del("Range")
		}
		if f.count.Load() > times {
			return false
		}
		from, status := 0, http.StatusOK
		if ask := r.Header.Get("Range"); ask != "" {
			from, _ = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(ask, "bytes="), "-"))
			status = http.StatusPartialContent
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(f.layer)-1, len(f.layer)))
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(f.layer)-from))
		w.WriteHeader(status)
		rest := f.layer[from:]
		_, _ = w.Write(rest[:len(rest)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	err := openAndRead(strings.TrimPrefix(server.URL, "https://"), quickRegistries())
	if !errors.Is(err, artifact.ErrOutside) || !strings.Contains(err.Error(), "is not trusted\nhint: set SSL_CERT_FILE") {
		t.Errorf("error %v", err)
	}
}

// credentials is a keychain with one answer.
type credentials authn.AuthConfig

func (c credentials) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(c)), nil
}

func TestTokenDance(t *testing.T) {
	const user, password, token = "nobody", "hunter2-hunter2", "a-token-of-trust"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	var elsewhere, told atomic.Int64
	storage := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		if r.Header.Get("Authorization") != "" {
			told.Add(1)
		}
	}))
	defer storage.Close()

	dance := func(f *fake, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/token" && r.Header.Get("Authorization") == basic && r.URL.Query().Get("scope") == "repository:shop/cart:pull":
			_, _ = fmt.Fprintf(w, `{"token": %q}`, token)
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, `{"errors": [{"code": "DENIED", "message": "no: %s %s"}]}`, password, r.Header.Get("Authorization"))
		case r.Header.Get("Authorization") != "Bearer "+token:
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		case f.isLayer(r):
			http.Redirect(w, r, storage.URL+"/layer", http.StatusTemporaryRedirect)
		default:
			return false
		}
		return true
	}
	_, host := newFake(t, dance)

	r := quickRegistries()
	r.Keychain = credentials{Username: user, Password: password}
	if err := openAndRead(host, r); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("error %v, though the storage gives nothing", err)
	}
	if elsewhere.Load() == 0 || told.Load() != 0 {
		t.Errorf("%d requests elsewhere, %d with credentials", elsewhere.Load(), told.Load())
	}

	r.Keychain = credentials{Username: "somebody", Password: password}
	err := openAndRead(host, r)
	if !errors.Is(err, artifact.ErrOutside) || !strings.Contains(err.Error(), http.StatusText(http.StatusUnauthorized)+" (DENIED: no: [hidden] Basic [hidden])\nhint: log in") {
		t.Errorf("error %v", err)
	}
}

func TestPlainHTTPMustBeAllowed(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:5000": true, "[::1]:5000": true, "localhost": true, "a.localhost:80": true,
		"10.0.0.1:5000": false, "registry.example": false, "listed.example:5000": true, "listed.example": false,
	} {
		c := newCarrier(Registries{Insecure: []string{"listed.example:5000"}}, 0)
		if got := c.plainAllowed(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	c := newCarrier(Registries{Insecure: []string{"10.0.0.2:9000"}}, 0)
	for _, hop := range []struct {
		from, to string
		ok       bool
	}{
		{"https://registry.example/v2/", "https://storage.example/x", true},
		{"https://registry.example/v2/", "https://169.254.169.254/latest", false},
		{"https://registry.example/v2/", "https://127.0.0.1/", false},
		{"https://registry.example/v2/", "https://[::ffff:10.0.0.1]/", false},
		{"https://registry.example/v2/", "https://10.0.0.2:9000/x", true},
		{"http://127.0.0.1:5000/v2/", "http://127.0.0.1:9000/x", true},
	} {
		via := httptest.NewRequest(http.MethodGet, hop.from, nil)
		req := httptest.NewRequest(http.MethodGet, hop.to, nil)
		req.Header.Set("Authorization", "Bearer x")
		if err := c.redirect(req, []*http.Request{via}); (err == nil) != hop.ok {
			t.Errorf("from %s to %s: %v", hop.from, hop.to, err)
		}
		if req.Header.Get("Authorization") != "" {
			t.Errorf("credentials go from %s to %s", hop.from, hop.to)
		}
	}
	_, err := OpenRegistry(context.Background(), "10.255.255.1:1/x", Registries{Keychain: anonymous(), Connect: time.Millisecond, Retries: -1}, Options{})
	if !errors.Is(err, artifact.ErrOutside) {
		t.Errorf("error %v", err)
	}
}
