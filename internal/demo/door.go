package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
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
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// door is the second half of the demo: a registry, a server before it, and pods
// that ask to be let in, as a cluster's API server asks for them.
type door struct {
	*demo
	registry string // host:port
	data     string // the server's
	webhook  string // URL
	key      string // of the webhook's paths
	client   *http.Client
}

// namespace is where the pods are to run; the rules call it test.
const namespace = "shop-test"

// frontDoor starts the server and sends the images, archive to repository, through
// its front door.
func (d *demo) frontDoor(ctx context.Context, images [][2]string) error {
	hub := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer hub.Close()
	f := &door{demo: d, registry: strings.TrimPrefix(hub.URL, "http://"), data: filepath.Join(d.folder, "server")}
	stop, err := f.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, image := range images {
		ref := f.registry + "/" + image[1]
		if err := push(image[0], ref); err != nil {
			return err
		}
		if err := f.enter(ctx, ref); err != nil {
			return err
		}
	}
	if err := f.tell(ctx, "decisions", "--last", "6"); err != nil {
		return err
	}
	return f.tell(ctx, "log", "verify")
}

func push(archive, ref string) error {
	im, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		return fmt.Errorf("reading %s: %w", archive, err)
	}
	to, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	return remote.Write(to, im)
}

// serve starts the server on a data folder of its own, with the advisories that
// were just imported.
func (f *door) serve(ctx context.Context) (stop func(), err error) {
	if err := os.RemoveAll(f.data); err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(f.data, "advisories"), os.DirFS(filepath.Join(f.folder, "data", "advisories"))); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--data", f.data, "--rules", f.rules, "--enforce", "--quiet", "--listen", ports[0], "--webhook-listen", ports[1]}
	fmt.Fprintln(f.out, "$ touchstone serve --enforce")
	c := exec.CommandContext(ctx, f.touchstone, args...)
	c.Dir = f.folder
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	var failed error
	go func() { failed = c.Wait(); close(ended) }()
	stop = func() {
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
	}
	f.webhook = "https://" + ports[1]
	for deadline := time.Now().Add(30 * time.Second); ; {
		if f.client = f.ready(ctx, ports[0]); f.client != nil {
			return stop, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("the server ended: %w\n%s", failed, said.String())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			stop()
			return nil, fmt.Errorf("the server is not ready:\n%s", said.String())
		}
	}
}

// ready returns a client that trusts the server, once that answers.
func (f *door) ready(ctx context.Context, address string) *http.Client {
	pem, err := os.ReadFile(filepath.Join(f.data, "ca.pem"))
	if err != nil {
		return nil
	}
	key, err := os.ReadFile(filepath.Join(f.data, "webhook.key"))
	if err != nil {
		return nil
	}
	f.key = strings.TrimSpace(string(key))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/healthz", nil)
	if err != nil {
		return nil
	}
	res, err := client.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil
	}
	return client
}

func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// enter sends a pod of the image to the door until it was scanned, promotes it as
// far as the rules let it, and sends it again.
func (f *door) enter(ctx context.Context, ref string) error {
	answer, err := f.pod(ctx, ref)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Minute); strings.Contains(answer, "not seen before"); {
		if time.Now().After(deadline) {
			return errors.New("the scan takes too long")
		}
		time.Sleep(500 * time.Millisecond)
		again, err := f.ask(ctx, ref)
		if err != nil {
			return err
		}
		if again != answer {
			fmt.Fprintln(f.out, "  … scanned by itself, and asked again:")
			f.show(again)
			answer = again
		}
	}
	for _, env := range []string{"dev", "test"} {
		if err := f.tell(ctx, "promote", ref, "--to", env); err != nil {
			return err
		}
	}
	if _, err := f.pod(ctx, ref); err != nil {
		return err
	}
	return f.tell(ctx, "promote", ref, "--to", "stage", "--dry-run")
}

// pod asks for a pod of the image, and shows the answer.
func (f *door) pod(ctx context.Context, ref string) (string, error) {
	fmt.Fprintf(f.out, "a pod of %s asks to be let into %s:\n", ref, namespace)
	answer, err := f.ask(ctx, ref)
	if err == nil {
		f.show(answer)
	}
	return answer, err
}

func (f *door) show(answer string) {
	for line := range strings.Lines(strings.TrimSpace(answer)) {
		fmt.Fprintf(f.out, "  %s\n", strings.TrimRight(line, "\n"))
	}
	fmt.Fprintln(f.out)
}

// review is as much of an AdmissionReview (admission.k8s.io/v1) as the demo reads.
type review struct {
	Response struct {
		Allowed bool `json:"allowed"`
		Status  struct {
			Message string `json:"message"`
		} `json:"status"`
		Warnings []string `json:"warnings"`
		Patch    string   `json:"patch"` // base64 of a JSON patch
	} `json:"response"`
}

// ask sends a pod to the door twice, as an API server does: to be rewritten, and
// as it is then. It returns the answer in words.
func (f *door) ask(ctx context.Context, ref string) (string, error) {
	got, err := f.review(ctx, "/mutate", ref)
	if err != nil || !got.Response.Allowed {
		return "✗ " + got.Response.Status.Message, err
	}
	pinned := ref
	var patches []struct{ Value string }
	if patch, err := base64.StdEncoding.DecodeString(got.Response.Patch); err == nil && json.Unmarshal(patch, &patches) == nil && len(patches) == 1 {
		pinned = patches[0].Value
	}
	if got, err = f.review(ctx, "/validate", pinned); err != nil || !got.Response.Allowed {
		return "✗ " + got.Response.Status.Message, err
	}
	answer := "✓ admitted, to run as " + pinned
	for _, w := range got.Response.Warnings {
		answer += "\nwarning: " + w
	}
	return answer, nil
}

// review asks the door about a pod of the image.
func (f *door) review(ctx context.Context, path, ref string) (got review, err error) {
	body, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": map[string]any{
		"uid": "demo", "kind": map[string]string{"version": "v1", "kind": "Pod"}, "resource": map[string]string{"version": "v1", "resource": "pods"},
		"namespace": namespace, "operation": "CREATE", "userInfo": map[string]string{"username": "alice"},
		"object": map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]string{"name": "demo", "namespace": namespace},
			"spec": map[string]any{"containers": []any{map[string]any{"name": "main", "image": ref, "securityContext": map[string]any{"runAsUser": 65532}}}},
		},
	}})
	if err != nil {
		return got, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.webhook+path+"/"+f.key+"?timeout=10s", bytes.NewReader(body))
	if err != nil {
		return got, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return got, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		return got, fmt.Errorf("reading the answer of the door: %w", err)
	}
	return got, nil
}

// tell runs touchstone against the server and shows what it prints.
func (f *door) tell(ctx context.Context, args ...string) error {
	fmt.Fprintf(f.out, "$ touchstone %s\n", strings.Join(args, " "))
	c := exec.CommandContext(ctx, f.touchstone, append(args, "--data", f.data)...)
	c.Dir, c.Stdout, c.Stderr = f.folder, f.out, os.Stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	fmt.Fprintln(f.out)
	return nil
}
