package inspect

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// image is what an image's config says (OCI image-spec, config.md).
type image struct {
	present       bool
	digest        touchstone.Digest
	created       time.Time
	platform      string
	configuration touchstone.Configuration
	diffIDs       []touchstone.Digest
	steps         []step
	gaps          []touchstone.Gap
}

// step is one entry of the history.
type step struct {
	CreatedBy  string `json:"created_by"`
	EmptyLayer bool   `json:"empty_layer"`
}

// ociConfig is the part of the config that is read. Docker adds more, and leaves
// some of it out.
type ociConfig struct {
	Created      json.RawMessage `json:"created"`
	OS           string          `json:"os"`
	Architecture string          `json:"architecture"`
	Variant      string          `json:"variant"`
	Config       struct {
		User         string              `json:"User"`
		Entrypoint   []string            `json:"Entrypoint"`
		Cmd          []string            `json:"Cmd"`
		WorkingDir   string              `json:"WorkingDir"`
		Env          []string            `json:"Env"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Volumes      map[string]struct{} `json:"Volumes"`
		Labels       map[string]string   `json:"Labels"`
	} `json:"config"`
	RootFS struct {
		DiffIDs []touchstone.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	History []step `json:"history"`
}

// readImage reads the raw config; nil stands for a root file system, which has
// none.
func readImage(raw []byte) image {
	if raw == nil {
		return image{}
	}
	img := image{present: true, digest: touchstone.DigestOf(raw)}
	var c ociConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		img.gap(touchstone.GapCorrupt, "reading the config: %v", err)
		return img
	}
	img.configuration = touchstone.Configuration{
		User: c.Config.User, Entrypoint: c.Config.Entrypoint, Command: c.Config.Cmd, WorkingDir: c.Config.WorkingDir,
		Environment: c.Config.Env, Ports: slices.Sorted(maps.Keys(c.Config.ExposedPorts)),
		Volumes: slices.Sorted(maps.Keys(c.Config.Volumes)), Labels: c.Config.Labels, Architecture: c.Architecture,
	}
	for _, s := range c.History {
		img.configuration.History = append(img.configuration.History, s.CreatedBy)
	}
	img.steps, img.diffIDs = c.History, c.RootFS.DiffIDs
	img.platform = strings.Trim(c.OS+"/"+c.Architecture+"/"+c.Variant, "/")
	img.readCreated(c.Created)
	return img
}

// readCreated reads the moment of the build. Builds that are to be reproducible
// say the epoch, or 1980 where zip files limit them, and so tell nothing.
func (img *image) readCreated(raw json.RawMessage) {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) != nil || text == "" {
		return
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		img.gap(touchstone.GapCorrupt, "the config says that it was created at %q, which is no instant", printable(text))
		return
	}
	if t.Year() > 1980 {
		img.created = t.UTC()
	}
}

// compare holds the config's diff IDs against the layers of the manifest.
func (img *image) compare(layers []artifact.Layer) {
	if !img.present {
		return
	}
	if len(img.diffIDs) != len(layers) {
		img.gap(touchstone.GapFalse, "the config names %d layers and the manifest %d", len(img.diffIDs), len(layers))
		return
	}
	for i, l := range layers {
		if img.diffIDs[i] != l.DiffID {
			img.gap(touchstone.GapFalse, "the config names %s as layer %d, and %s was claimed", img.diffIDs[i], i, l.DiffID)
		}
	}
}

// lies reports whether the config contradicts the manifest, or says nothing that
// can be understood.
func (img *image) lies() bool { return len(img.gaps) > 0 }

func (img *image) gap(kind touchstone.GapKind, format string, args ...any) {
	img.gaps = append(img.gaps, touchstone.Gap{Kind: kind, Layer: -1, Reader: "config", Reason: fmt.Sprintf(format, args...)})
}

// instructions returns the history's instruction for each of n layers, empty
// where the history does not fit them.
func (img *image) instructions(n int, shown []string) []string {
	out := make([]string, n)
	var filled []string
	for i, s := range img.steps {
		if !s.EmptyLayer && i < len(shown) {
			filled = append(filled, shown[i])
		}
	}
	if len(filled) == n {
		copy(out, filled)
	}
	return out
}
