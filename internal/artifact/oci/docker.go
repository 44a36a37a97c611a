package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// dockerEntry is one image in the manifest.json of a docker archive (docker
// image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format").
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
	// LayerSources says, by diff ID, where foreign layers are to be had.
	LayerSources map[touchstone.Digest]ocispec.Descriptor
}

// parseDockerList reads manifest.json.
func parseDockerList(raw []byte) ([]dockerEntry, error) {
	var entries []dockerEntry
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("%s is not that of a docker archive: %w", dockerManifestFile, err)
	}
	if len(entries) == 0 || len(entries) > maxPlatforms {
		return nil, fmt.Errorf("%s names %d images; 1 to %d can be read", dockerManifestFile, len(entries), maxPlatforms)
	}
	for _, e := range entries {
		if e.Config == "" {
			return nil, fmt.Errorf("%s is not that of a docker archive: an image has no config", dockerManifestFile)
		}
	}
	return entries, nil
}

// dockerImages returns the images of manifest.json that choice and platform
// ask for. Such an archive has no manifest as registries know it: the digest of
// an image is that of its config, which docker calls the image ID.
func (a *archive) dockerImages(entries []dockerEntry, choice string, o Options) ([]*image, error) {
	want, err := parsePlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	var chosen []*image
	var labels []string
	met := map[touchstone.Digest]bool{}
	for _, e := range entries {
		img, err := a.dockerImage(e, o.MaxManifest)
		if err != nil {
			return nil, err
		}
		id := img.artifact.Digest
		labels = append(labels, e.label(id))
		if met[id] || choice != "" && string(id) != choice && !hasName(e.RepoTags, choice) {
			continue
		}
		met[id] = true
		chosen = append(chosen, img)
	}
	switch {
	case choice == "" && len(chosen) > 1:
		return nil, severalError(labels)
	case len(chosen) == 0:
		return nil, fmt.Errorf("%w: %s\nhint: there is %s", errNoChoice, clean(choice), list(labels))
	}
	e := &expansion{want: want}
	return e.choose(chosen)
}

func (e *dockerEntry) label(id touchstone.Digest) string {
	if len(e.RepoTags) > 0 {
		return e.RepoTags[0]
	}
	return "@" + string(id)
}

// dockerImage assembles one image of the archive.
func (a *archive) dockerImage(e dockerEntry, limit int64) (*image, error) {
	raw, err := readFile(a, clearPath(e.Config), limit)
	if err != nil {
		return nil, fmt.Errorf("reading the config of an image: %w", err)
	}
	if len(e.Layers) > maxLayers {
		return nil, fmt.Errorf("the image has %d layers, more than %d", len(e.Layers), maxLayers)
	}
	config, err := parseConfig(raw, len(e.Layers))
	if err != nil {
		return nil, err
	}
	img := &image{config: raw, platform: config.platform()}
	img.artifact = touchstone.Artifact{
		Kind:     touchstone.KindImage,
		Digest:   touchstone.DigestOf(raw),
		Platform: img.platform.String(),
	}
	for n, name := range e.Layers {
		layer, err := a.dockerLayer(clearPath(name))
		if err != nil {
			return nil, err
		}
		layer.DiffID = config.RootFS.DiffIDs[n]
		if _, foreign := e.LayerSources[layer.DiffID]; foreign && layer.Absent != "" {
			layer.Absent = "the layer is foreign, and the archive does not hold its bytes"
		}
		img.layers = append(img.layers, layer)
	}
	return img, nil
}

func (a *archive) dockerLayer(name string) (artifact.Layer, error) {
	layer := artifact.Layer{
		Size: -1,
		Open: func(context.Context) (io.ReadCloser, error) { return a.open(name) },
	}
	info, err := a.stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		layer.Absent = "the archive names the layer, but does not hold its bytes"
	case err != nil:
		return artifact.Layer{}, err
	default:
		layer.Size, layer.Stamp = info.size, info.stamp
	}
	return layer, nil
}

func clearPath(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// agree checks that an archive which can be read in both forms holds the same
// image in both: one tool would load the one and another the other.
func (a *archive) agree(ctx context.Context, entries []dockerEntry, choice string, o Options) error {
	if touchstone.Digest(choice).Valid() {
		return nil // a digest means the same to everybody
	}
	o.Platform = ""
	docker, err := a.dockerImages(entries, choice, o)
	if errors.Is(err, errNoChoice) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("as a docker archive: %w", err)
	}
	layout, err := openLayout(ctx, a, choice, o)
	if err != nil {
		return err
	}
	for _, d := range docker {
		same := slices.ContainsFunc(layout, func(l *image) bool { return touchstone.DigestOf(l.config) == d.artifact.Digest })
		if !same {
			return artifact.Falsef("as a docker archive it holds image %s, which it does not hold as an OCI archive: tools would load different images from it", d.artifact.Digest)
		}
	}
	return nil
}
