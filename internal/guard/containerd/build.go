package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	contentapi "github.com/containerd/containerd/api/services/content/v1"

	"touchstone.dev/touchstone"
)

// build is one platform of an image, read from the content store.
type build struct {
	manifest, config touchstone.Digest
	os, architecture string
	diffIDs          []touchstone.Digest
	chain            touchstone.Digest // of the diff IDs (OCI image-spec, config.md, "Layer ChainID")
}

// builds remembers what was read: what a digest names does not change, but more
// platforms of an index may be pulled. It holds the latest maxBuilds.
type builds struct {
	mu    sync.Mutex
	known map[string]platforms // by namespace and target
	order []string
}

// platforms are those of an index that are there; whole where all are.
type platforms struct {
	builds []build
	whole  bool
}

const maxBuilds = 512

func newBuilds() *builds { return &builds{known: make(map[string]platforms)} }

func (k *builds) get(key string) (platforms, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.known[key]
	return p, ok
}

func (k *builds) put(key string, p platforms) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.known[key]; !there {
		k.order = append(k.order, key)
	}
	k.known[key] = p
	if len(k.order) > maxBuilds {
		delete(k.known, k.order[0])
		k.order = slices.Delete(k.order, 0, 1)
	}
}

// Bounds of what is read of an image: the specification lets a manifest have
// 4 MiB.
const (
	maxBlob      = 8 << 20
	maxPlatforms = 256
	maxLayers    = 1024
	maxNesting   = 4
)

// buildsOf returns the platforms that an index or manifest names and that were
// pulled: as they are remembered, or, where fresh is true and more may have come,
// as they are.
func (r *Runtime) buildsOf(ctx context.Context, namespace string, target touchstone.Digest, fresh bool) (platforms, error) {
	key := namespace + " " + string(target)
	if p, ok := r.builds.get(key); ok && (p.whole || !fresh) {
		return p, nil
	}
	found, whole, err := r.readBuilds(ctx, namespace, target, maxNesting)
	if err != nil {
		return platforms{}, err
	}
	p := platforms{builds: found, whole: whole}
	r.builds.put(key, p)
	return p, nil
}

func (r *Runtime) readBuilds(ctx context.Context, namespace string, target touchstone.Digest, nesting int) (found []build, whole bool, err error) {
	var document struct {
		Manifests []struct {
			Digest touchstone.Digest `json:"digest"`
		} `json:"manifests"`
		Config struct {
			Digest touchstone.Digest `json:"digest"`
		} `json:"config"`
	}
	if err := r.readJSON(ctx, namespace, target, &document); err != nil {
		return nil, false, err
	}
	if document.Config.Digest != "" {
		b, err := r.readConfig(ctx, namespace, document.Config.Digest)
		if err != nil {
			return nil, false, err
		}
		b.manifest = target
		return []build{b}, true, nil
	}
	if nesting == 0 || len(document.Manifests) > maxPlatforms {
		return nil, false, fmt.Errorf("reading index %s: it is nested deeper than %d, or names more than %d manifests", target, maxNesting, maxPlatforms)
	}
	whole = true
	for _, m := range document.Manifests {
		below, all, err := r.readBuilds(ctx, namespace, m.Digest, nesting-1)
		if err != nil && !errors.Is(err, ErrGone) {
			r.c.Log.Debug("a manifest of an index cannot be read", "index", target, "error", err)
		}
		found, whole = append(found, below...), whole && all && err == nil
		if len(found) > maxPlatforms {
			return nil, false, fmt.Errorf("reading index %s: it names more than %d manifests", target, maxPlatforms)
		}
	}
	return found, whole, nil
}

func (r *Runtime) readConfig(ctx context.Context, namespace string, d touchstone.Digest) (build, error) {
	var config struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Rootfs       struct {
			DiffIDs []touchstone.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := r.readJSON(ctx, namespace, d, &config); err != nil {
		return build{}, err
	}
	b := build{config: d, os: clip(config.OS, maxName), architecture: clip(config.Architecture, maxName), diffIDs: config.Rootfs.DiffIDs}
	if len(b.diffIDs) > maxLayers {
		return build{}, fmt.Errorf("reading config %s: it has more than %d layers", d, maxLayers)
	}
	for _, id := range b.diffIDs {
		switch {
		case !id.Valid():
			return build{}, fmt.Errorf("reading config %s: it has a diff ID that is no digest", d)
		case b.chain == "":
			b.chain = id
		default:
			b.chain = touchstone.DigestOf([]byte(string(b.chain) + " " + string(id)))
		}
	}
	return b, nil
}

// readJSON reads a blob that must be what its digest says.
func (r *Runtime) readJSON(ctx context.Context, namespace string, d touchstone.Digest, into any) error {
	doing := fmt.Sprintf("reading %s from containerd's store", clip(string(d), maxName))
	if !d.Valid() {
		return fmt.Errorf("%s: that is no digest", doing)
	}
	ctx, cancel := r.in(ctx, namespace)
	defer cancel()
	stream, err := r.content.Read(ctx, &contentapi.ReadContentRequest{Digest: string(d)})
	if err != nil {
		return explain(doing, err)
	}
	var data []byte
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return explain(doing, err)
		}
		if data = append(data, part.GetData()...); len(data) > maxBlob {
			return fmt.Errorf("%s: it has more than %d bytes", doing, maxBlob)
		}
	}
	if got := touchstone.DigestOf(data); got != d {
		return fmt.Errorf("%s: what lies there has digest %s", doing, got)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
