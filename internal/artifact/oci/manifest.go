package oci

import (
	"encoding/json"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// The media types of docker, beside those of OCI in ocispec.
const (
	dockerManifest       = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex          = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerSchema1        = "application/vnd.docker.distribution.manifest.v1+json"
	dockerSchema1Signed  = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	dockerConfig         = "application/vnd.docker.container.image.v1+json"
	dockerForeignLayer   = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	ociForeignLayerStart = "application/vnd.oci.image.layer.nondistributable.v1."
	encryptedSuffix      = "+encrypted"
)

// document is a manifest or an index, whichever it turns out to be.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	FSLayers      json.RawMessage      `json:"fsLayers"`
}

func (d *document) isIndex() bool { return d.Manifests != nil }

// parse reads a manifest or an index. told is the media type that its
// descriptor or the registry gave, "" if none.
//
// A document that could be taken for either, or that is told to be the one and
// is the other, is false: two readers would see two artifacts in it
// (CVE-2021-41190).
func parse(raw []byte, told string) (*document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("the manifest is not what the OCI image-spec says: %w", err)
	}
	if d.SchemaVersion == 1 || d.FSLayers != nil || schema1(told) || schema1(d.MediaType) {
		return nil, fmt.Errorf("a docker manifest of schema 1, which runtimes no longer accept, is not supported\nhint: push the image again with a current tool")
	}
	if d.Manifests != nil && (d.Config != nil || d.Layers != nil) {
		return nil, artifact.Falsef("the manifest has both layers and manifests, and can be taken for either an image or an index")
	}
	if d.Manifests == nil && d.Config == nil {
		return nil, fmt.Errorf("neither an image manifest nor an index: no config and no manifests")
	}
	for _, t := range []string{told, d.MediaType} {
		if isManifestType(t) && d.isIndex() || isIndexType(t) && !d.isIndex() {
			return nil, artifact.Falsef("a document that is told to be %s is not one", t)
		}
	}
	return &d, nil
}

// imageConfig is the part of an image's config (OCI image-spec, config.md) that
// must agree with the manifest.
type imageConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant"`
	RootFS       struct {
		DiffIDs []touchstone.Digest `json:"diff_ids"`
	} `json:"rootfs"`
}

// parseConfig reads a config whose image has as many layers as told.
func parseConfig(raw []byte, layers int) (*imageConfig, error) {
	var c imageConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("the image's config is not what the OCI image-spec says: %w", err)
	}
	if n := len(c.RootFS.DiffIDs); n != layers {
		return nil, artifact.Falsef("the manifest has %d layers and the config names %d", layers, n)
	}
	for _, id := range c.RootFS.DiffIDs {
		if !id.Valid() {
			return nil, fmt.Errorf("the config names a layer by %.100q, which is not a SHA-256 digest", string(id))
		}
	}
	return &c, nil
}

func (c *imageConfig) platform() platform {
	return platform{os: c.OS, architecture: c.Architecture, variant: c.Variant}
}

func schema1(t string) bool { return t == dockerSchema1 || t == dockerSchema1Signed }

func isManifestType(t string) bool { return t == ocispec.MediaTypeImageManifest || t == dockerManifest }

func isIndexType(t string) bool { return t == ocispec.MediaTypeImageIndex || t == dockerIndex }

// isConfigType reports whether a manifest whose config has this type is an
// image. Docker pushed the last two in its early days and still runs them.
func isConfigType(t string) bool {
	switch t {
	case ocispec.MediaTypeImageConfig, dockerConfig, "application/octet-stream", "text/html", "":
		return true
	}
	return false
}
