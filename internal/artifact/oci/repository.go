package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone"
)

// repository is a repository in a registry, logged in to (OCI
// distribution-spec, "Pull").
type repository struct {
	name    name.Repository
	client  *http.Client
	carrier *carrier
	secrets secrets
	r       Registries
	limit   int64 // of a manifest in bytes
	root    ocispec.Descriptor
	rootRaw []byte // the root's bytes, so that they are fetched once
}

// connect logs in as far as the registry asks for it.
func connect(ctx context.Context, repo name.Repository, r Registries, limit int64) (*repository, error) {
	c := &repository{name: repo, r: r, limit: limit, carrier: newCarrier(r, limit+2)}
	doing := "logging in to " + repo.RegistryStr()
	auth, err := authn.Resolve(ctx, r.Keychain, repo)
	if err != nil {
		return nil, c.secrets.explain(repo.RegistryStr(), "reading the credentials for "+repo.RegistryStr(), err)
	}
	if config, err := authn.Authorization(ctx, auth); err == nil {
		c.secrets = secretsOf(config)
	}
	rt, err := transport.NewWithContext(ctx, repo.Registry, auth, c.carrier, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, c.secrets.explain(repo.RegistryStr(), doing, err)
	}
	c.client = &http.Client{Transport: rt, CheckRedirect: c.carrier.redirect}
	return c, nil
}

// fetchRoot fetches the manifest or index under a tag or digest.
func (c *repository) fetchRoot(ctx context.Context, identifier string) (ocispec.Descriptor, error) {
	resp, err := c.get(ctx, "manifests", identifier, nil)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer resp.Body.Close()
	doing := "reading manifest " + identifier
	raw, err := readAll(explained{resp.Body, c, doing}, c.limit)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%s: %w", doing, err)
	}
	if looksLikePage(raw) {
		return ocispec.Descriptor{}, c.explain(doing, &pageError{})
	}
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	c.rootRaw = raw
	c.root = ocispec.Descriptor{
		MediaType: strings.TrimSpace(mediaType),
		Digest:    godigest.Digest(touchstone.DigestOf(raw)),
		Size:      int64(len(raw)),
	}
	return c.root, nil
}

func looksLikePage(raw []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, "\ufeff \t\r\n"), []byte("<"))
}

// open implements content.
func (c *repository) open(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	switch {
	case d.Digest == c.root.Digest:
		return io.NopCloser(bytes.NewReader(c.rootRaw)), nil
	case isManifestType(d.MediaType), isIndexType(d.MediaType), schema1(d.MediaType):
		resp, err := c.get(ctx, "manifests", string(d.Digest), nil) //nolint:bodyclose // the caller closes what explained holds
		if err != nil {
			return nil, err
		}
		return explained{resp.Body, c, "reading manifest " + string(d.Digest)}, nil
	default:
		return c.openBlob(ctx, d)
	}
}

// explained is an answer whose errors are told in words of our own.
type explained struct {
	io.ReadCloser
	c     *repository
	doing string
}

func (e explained) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = e.c.explain(e.doing, err)
	}
	return n, err
}

// has implements content.
func (c *repository) has(ctx context.Context, d ocispec.Descriptor) (bool, error) {
	if !foreign(d) {
		return true, nil
	}
	resp, err := c.send(ctx, http.MethodHead, "blobs", string(d.Digest), nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }() // HEAD has no body
	switch resp.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	return false, c.explain("looking for layer "+string(d.Digest), &statusError{code: resp.StatusCode})
}

// stamp implements content: nothing is known of bytes that are far away.
func (c *repository) stamp(ocispec.Descriptor) string { return "" }

// get requests a manifest or a blob and expects it.
func (c *repository) get(ctx context.Context, kind, identifier string, header http.Header) (*http.Response, error) {
	resp, err := c.send(ctx, http.MethodGet, kind, identifier, header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	failed := &statusError{code: resp.StatusCode}
	var told struct{ Errors []transport.Diagnostic }
	if json.NewDecoder(resp.Body).Decode(&told) == nil { // not every registry tells more
		failed.diagnostics = told.Errors
	}
	_ = resp.Body.Close() // the status is what counts
	return nil, c.explain("reading "+strings.TrimSuffix(kind, "s")+" "+identifier, failed)
}

func (c *repository) send(ctx context.Context, method, kind, identifier string, header http.Header) (*http.Response, error) {
	u := url.URL{Scheme: c.name.Scheme(), Host: c.name.RegistryStr(), Path: "/v2/" + c.name.RepositoryStr() + "/" + kind + "/" + identifier}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", identifier, err)
	}
	if kind == "manifests" {
		req.Header.Set("Accept", strings.Join([]string{
			ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerIndex,
		}, ", "))
	}
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, c.explain("reading "+strings.TrimSuffix(kind, "s")+" "+identifier, err)
	}
	return resp, nil
}

func (c *repository) explain(doing string, err error) error {
	return c.secrets.explain(c.name.RegistryStr(), doing, err)
}
