package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
)

// leaf is a manifest that was found by following indexes from the root.
type leaf struct {
	descriptor ocispec.Descriptor
	index      touchstone.Digest // the outermost index; "" if the root was the manifest
	document   *document         // nil until fetched
}

// expansion finds the images that a root descriptor stands for.
type expansion struct {
	content content
	options Options
	want    platform // zero means all
	leaves  []leaf
	seen    []string // platforms that were met, for the error
	absent  []string // platforms that are named but not there
}

// expand returns the images under the roots, those of the platform asked for or
// all. Attestations and other things that no runtime would choose are left out.
// So are platforms that an archive or a store does not hold, unless none is
// held or that very one was asked for.
func expand(ctx context.Context, c content, o Options, roots ...ocispec.Descriptor) ([]*image, error) {
	want, err := parsePlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	e := &expansion{content: c, options: o, want: want}
	for _, root := range roots {
		if err := e.follow(ctx, root, "", 0); err != nil {
			return nil, err
		}
	}
	images, err := e.fetchAll(ctx)
	if err != nil {
		return nil, err
	}
	return e.choose(images)
}

// follow collects the manifests under d. Manifests below an index are not
// fetched yet.
func (e *expansion) follow(ctx context.Context, d ocispec.Descriptor, index touchstone.Digest, depth int) error {
	if p, ok := platformOf(d); ok {
		if p.unrunnable() {
			return nil
		}
		e.seen = append(e.seen, p.String())
		if e.want != (platform{}) && !p.satisfies(e.want) {
			return nil
		}
	}
	if len(e.leaves) >= maxPlatforms {
		return fmt.Errorf("the index holds more than %d images\nhint: choose one with --platform", maxPlatforms)
	}
	if index != "" && !isIndexType(d.MediaType) {
		e.leaves = append(e.leaves, leaf{descriptor: d, index: index})
		return nil
	}
	doc, err := e.document(ctx, d)
	if err != nil {
		return e.missing(d, err)
	}
	if !doc.isIndex() {
		e.leaves = append(e.leaves, leaf{descriptor: d, index: index, document: doc})
		return nil
	}
	if depth >= maxNesting {
		return fmt.Errorf("%s: indexes are nested more than %d deep", d.Digest, maxNesting)
	}
	if index == "" {
		index = touchstone.Digest(d.Digest)
	}
	for _, child := range doc.Manifests {
		if err := e.follow(ctx, child, index, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (e *expansion) document(ctx context.Context, d ocispec.Descriptor) (*document, error) {
	raw, err := fetch(ctx, e.content, d, e.options.MaxManifest)
	if err != nil {
		return nil, err
	}
	return parse(raw, d.MediaType)
}

// missing notes a manifest that is rightly not there, and returns any other
// error.
func (e *expansion) missing(d ocispec.Descriptor, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name := string(d.Digest)
	if p, ok := platformOf(d); ok {
		name = p.String()
	}
	e.absent = append(e.absent, name)
	return nil
}

// fetchAll fetches manifests and configs, a few at a time, in the order of the
// indexes. Its result has nil where a leaf turned out to be no image.
func (e *expansion) fetchAll(ctx context.Context) ([]*image, error) {
	images, errs := make([]*image, len(e.leaves)), make([]error, len(e.leaves))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for n := range e.leaves {
		group.Go(func() error {
			images[n], errs[n] = e.fetchOne(groupCtx, e.leaves[n])
			if errs[n] != nil && !errors.Is(errs[n], fs.ErrNotExist) {
				return errs[n]
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for n, err := range errs {
		if err != nil {
			_ = e.missing(e.leaves[n].descriptor, err)
		}
	}
	return images, nil
}

// fetchOne returns the image of a leaf, or nil if it is none.
func (e *expansion) fetchOne(ctx context.Context, l leaf) (*image, error) {
	if l.document == nil {
		doc, err := e.document(ctx, l.descriptor)
		if err != nil {
			return nil, err
		}
		if doc.isIndex() {
			return nil, fmt.Errorf("%s is an index, though the index that names it does not say so", l.descriptor.Digest)
		}
		l.document = doc
	}
	config := *l.document.Config
	_, placed := platformOf(l.descriptor)
	if !isConfigType(config.MediaType) {
		if l.index != "" && !placed {
			return nil, nil // a signature, a bill of materials, a chart
		}
		return nil, fmt.Errorf("%s is no container image: its config is of type %.100q", l.descriptor.Digest, config.MediaType)
	}
	raw, err := fetch(ctx, e.content, config, e.options.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("config of %s: %w", l.descriptor.Digest, err)
	}
	return assemble(ctx, e.content, l, raw)
}

// choose keeps the images of the platform asked for: those that match exactly,
// else all that satisfy it (linux/arm stands for every variant of arm).
func (e *expansion) choose(all []*image) ([]*image, error) {
	var images, exact []*image
	for _, img := range all {
		switch {
		case img == nil:
			continue
		case e.want == (platform{}) || img.platform.satisfies(e.want):
			images = append(images, img)
		default:
			e.seen = append(e.seen, img.platform.String())
		}
		if e.want != (platform{}) && img.platform.plain() == e.want.plain() {
			exact = append(exact, img)
		}
	}
	switch {
	case len(exact) > 0:
		return exact, nil
	case len(images) > 0:
		return images, nil
	case e.want == (platform{}) && len(e.absent) > 0:
		return nil, fmt.Errorf("no image is there: the index names %s, but holds none of them", list(e.absent))
	case e.want == (platform{}):
		return nil, fmt.Errorf("the index holds no image that a runtime would choose")
	case len(e.absent) > 0:
		return nil, fmt.Errorf("platform %s is named by the index, but its bytes are not there", e.want)
	default:
		return nil, fmt.Errorf("no image for platform %s\nhint: there is %s", e.want, list(e.seen))
	}
}

// list joins names for people, each once.
func list(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return "none"
	}
	const most = 20
	for n := range names {
		names[n] = fmt.Sprintf("%.200s", clean(names[n]))
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// clean shows a stranger's name without what could steer a terminal.
func clean(s string) string {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r > 0x7e {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}
