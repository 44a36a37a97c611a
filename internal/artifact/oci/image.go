package oci

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// image is one image of one platform. It implements artifact.Source.
type image struct {
	artifact touchstone.Artifact
	platform platform
	config   []byte
	layers   []artifact.Layer
	release  func() error // nil after Close
}

func (i *image) Artifact() touchstone.Artifact { return i.artifact }
func (i *image) Config() []byte                { return i.config }
func (i *image) Layers() []artifact.Layer      { return i.layers }

func (i *image) Close() error {
	if i.release == nil {
		return nil
	}
	release := i.release
	i.release = nil
	return release()
}

// assemble checks that manifest and config belong together and returns the
// image that they describe. No layer is read.
func assemble(ctx context.Context, c content, leaf leaf, raw []byte) (*image, error) {
	layers := leaf.document.Layers
	if len(layers) > maxLayers {
		return nil, fmt.Errorf("the manifest has %d layers, more than %d", len(layers), maxLayers)
	}
	config, err := parseConfig(raw, len(layers))
	if err != nil {
		return nil, err
	}
	img := &image{config: raw, platform: config.platform()}
	if claimed, ok := platformOf(leaf.descriptor); ok {
		img.platform = claimed // by this, a runtime chooses
	}
	for n, d := range layers {
		layer, err := layerOf(ctx, c, d)
		if err != nil {
			return nil, err
		}
		layer.DiffID = config.RootFS.DiffIDs[n]
		img.layers = append(img.layers, layer)
	}
	img.artifact = touchstone.Artifact{
		Kind:     touchstone.KindImage,
		Digest:   touchstone.Digest(leaf.descriptor.Digest),
		Index:    leaf.index,
		Platform: img.platform.String(),
	}
	return img, nil
}

// layerOf returns one layer, with its bytes out of reach where the place lacks
// them or cannot make sense of them.
func layerOf(ctx context.Context, c content, d ocispec.Descriptor) (artifact.Layer, error) {
	if err := checkDescriptor(d); err != nil {
		return artifact.Layer{}, err
	}
	layer := artifact.Layer{
		Digest:    touchstone.Digest(d.Digest),
		Size:      d.Size,
		MediaType: d.MediaType,
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			r, err := c.open(ctx, d)
			if err != nil {
				return nil, err
			}
			return &measured{ReadCloser: r, name: string(d.Digest), size: d.Size}, nil
		},
	}
	if strings.HasSuffix(d.MediaType, encryptedSuffix) {
		layer.Absent = "the layer is encrypted"
		return layer, nil
	}
	there, err := c.has(ctx, d)
	if err != nil {
		return artifact.Layer{}, err
	}
	switch {
	case there:
		layer.Stamp = c.stamp(d)
	case foreign(d):
		layer.Absent = "the layer is foreign: the manifest points elsewhere for its bytes, and only what lies beside the manifest is read"
	default:
		layer.Absent = "the manifest names the layer, but its bytes are not there"
	}
	return layer, nil
}

// foreign reports whether a layer's bytes may be kept apart from the image (OCI
// image-spec, layer.md, "Non-Distributable Layers").
func foreign(d ocispec.Descriptor) bool {
	return d.MediaType == dockerForeignLayer || strings.HasPrefix(d.MediaType, ociForeignLayerStart) || len(d.URLs) > 0
}

// measured holds a layer to the size that its manifest claims, so that no
// stream is endless.
type measured struct {
	io.ReadCloser
	name string
	size int64 // what is still to come
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.size -= int64(n)
	if m.size < 0 {
		return 0, artifact.Falsef("layer %s is longer than its manifest says", m.name)
	}
	if err == io.EOF && m.size > 0 {
		return n, artifact.Falsef("layer %s is %d bytes shorter than its manifest says", m.name, m.size)
	}
	return n, err
}

// shared closes what several images are read from when the last is closed.
func shared(users int, close func() error) func() error {
	var left atomic.Int64
	left.Store(int64(users))
	return func() error {
		if left.Add(-1) > 0 {
			return nil
		}
		return close()
	}
}
