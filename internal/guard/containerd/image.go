package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"

	"touchstone.dev/touchstone"
)

// Image is what a container was made from.
type Image struct {
	// Name is the image's, as the container's record has it: for a pod's the name
	// that was pulled first, or the config's digest. It may stand for another image
	// by now, or for none.
	Name string
	// Open is a name in the same namespace that stands for the very image now: give
	// it, and the container's Namespace, to oci.OpenContainerd, and take the source
	// whose config is Config. Empty where containerd no longer has the image.
	Open     string
	Target   touchstone.Digest   // what Open stands for: a manifest or an index
	Manifest touchstone.Digest   // of the platform
	Config   touchstone.Digest   // known by the CRI plugin even where Open is empty
	DiffIDs  []touchstone.Digest // of the layers, the lowest first
	// Proven is true where the chain of DiffIDs is the snapshot that the container
	// stands on. Where it is not, Open is the image of that name and this platform,
	// and its layers should be compared.
	Proven bool
	// Problem says why Open is empty, or not proven.
	Problem string
}

// image finds what the container was made from. A name can have been given to
// another image since; the snapshot below the container cannot.
func (r *Runtime) image(ctx context.Context, namespace string, c *containersapi.Container, parent string) Image {
	im := Image{Name: clip(c.GetImage(), maxName), Config: configTold(c)}
	if im.Name == "" {
		im.Problem = "the container names no image"
		return im
	}
	candidates := []string{c.GetImage()}
	if im.Config != "" {
		candidates = append(candidates, string(im.Config)) // the CRI plugin names each image by its config too
	}
	var fallback *build
	for _, candidate := range candidates {
		target, err := r.target(ctx, namespace, candidate)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err == nil {
			var found *build
			found, err = r.pick(ctx, namespace, target, parent, im.Config)
			if found != nil && found.proves(parent) {
				im.take(candidate, target, found, true)
				return im
			}
			if fallback == nil && found != nil {
				fallback = found
				im.take(candidate, target, found, false)
			}
		}
		if err != nil {
			im.Problem = err.Error()
		}
	}
	if other, target, found := r.search(ctx, namespace, parent, im.Config); found != nil {
		im.take(other, target, found, true)
		return im
	}
	switch {
	case fallback != nil:
		im.Problem = fmt.Sprintf("the layers of image %q are not those that the container stands on (%s)", im.Name, orNone(parent))
	case im.Problem == "":
		im.Problem = fmt.Sprintf("containerd no longer has image %q", im.Name)
	}
	return im
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (im *Image) take(name string, target touchstone.Digest, b *build, proven bool) {
	im.Open, im.Target, im.Manifest, im.Config, im.DiffIDs = clip(name, maxName), target, b.manifest, b.config, b.diffIDs
	if im.Proven = proven; proven {
		im.Problem = ""
	}
}

// configTold returns the config's digest that the CRI plugin keeps beside the
// container ("ImageRef" of its metadata), or "".
func configTold(c *containersapi.Container) touchstone.Digest {
	var kept struct {
		Metadata struct {
			ImageRef string `json:"ImageRef"`
		} `json:"Metadata"`
	}
	if m := c.GetExtensions()[extensionContainer]; m != nil && json.Unmarshal(m.GetValue(), &kept) == nil {
		if d := touchstone.Digest(kept.Metadata.ImageRef); d.Valid() {
			return d
		}
	}
	return ""
}

// target returns what an image's name stands for now.
func (r *Runtime) target(ctx context.Context, namespace, name string) (touchstone.Digest, error) {
	ctx, cancel := r.in(ctx, namespace)
	defer cancel()
	doing := fmt.Sprintf("asking for image %q", clip(name, maxName))
	resp, err := r.images.Get(ctx, &imagesapi.GetImageRequest{Name: name})
	if err != nil {
		return "", explain(doing, err)
	}
	d := touchstone.Digest(resp.GetImage().GetTarget().GetDigest())
	if !d.Valid() {
		return "", fmt.Errorf("%s: it stands for %q, which is no digest", doing, clip(string(d), maxName))
	}
	return d, nil
}

// pick returns the build of an index, or a manifest's only one, that the
// container stands on; where none is, that of this platform.
func (r *Runtime) pick(ctx context.Context, namespace string, target touchstone.Digest, parent string, config touchstone.Digest) (*build, error) {
	for _, fresh := range []bool{false, true} {
		p, err := r.buildsOf(ctx, namespace, target, fresh)
		if err != nil {
			return nil, err
		}
		if best := p.best(parent, config); p.whole || fresh || best != nil && best.proves(parent) {
			return best, nil
		}
	}
	return nil, nil
}

func (p platforms) best(parent string, config touchstone.Digest) *build {
	worth := func(b *build) int {
		n := 0
		if b.proves(parent) {
			n += 4
		}
		if b.config == config {
			n += 2
		}
		if b.os == "linux" && b.architecture == runtime.GOARCH {
			n++
		}
		return n
	}
	var best *build
	for i := range p.builds {
		if best == nil || worth(&p.builds[i]) > worth(best) {
			best = &p.builds[i]
		}
	}
	return best
}

// search looks through all images for one that the container stands on: its own
// name was removed, or given to another.
func (r *Runtime) search(ctx context.Context, namespace, parent string, config touchstone.Digest) (string, touchstone.Digest, *build) {
	if parent == "" {
		return "", "", nil
	}
	question, cancel := r.in(ctx, namespace)
	defer cancel()
	resp, err := r.images.List(question, &imagesapi.ListImagesRequest{})
	if err != nil {
		return "", "", nil
	}
	const most = 1000
	images := resp.GetImages()
	for _, im := range images[:min(len(images), most)] {
		target := touchstone.Digest(im.GetTarget().GetDigest())
		if !target.Valid() {
			continue
		}
		if b, err := r.pick(ctx, namespace, target, parent, config); err == nil && b != nil && b.proves(parent) {
			return im.GetName(), target, b
		}
	}
	return "", "", nil
}

// proves reports whether the snapshot is that of the build's layers. A snapshot
// for a user namespace has the ids after the digest.
func (b *build) proves(parent string) bool {
	if parent == "" {
		return len(b.diffIDs) == 0
	}
	return b.chain != "" && (parent == string(b.chain) || strings.HasPrefix(parent, string(b.chain)+"-"))
}
