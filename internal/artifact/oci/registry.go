package oci

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// OpenRegistry opens an image by its name in a registry. The artifact is called
// by its full name (FullName), with the tag or digest that was given.
func OpenRegistry(ctx context.Context, reference string, r Registries, o Options) ([]artifact.Source, error) {
	o, r = o.withDefaults(), r.withDefaults()
	o.Name = FullName(reference)
	return anywhere(ctx, reference, r, func(ref name.Reference, source string) ([]artifact.Source, error) {
		repo, err := connect(ctx, ref.Context(), r, o.MaxManifest)
		if err != nil {
			return nil, err
		}
		images, err := repo.images(ctx, ref, o)
		return sources(images, err, source, o, repo.carrier.close)
	})
}

// Digest asks a registry for the digest that a name stands for now: that of the
// index, where there is one.
func Digest(ctx context.Context, reference string, r Registries, o Options) (touchstone.Digest, error) {
	o, r = o.withDefaults(), r.withDefaults()
	return anywhere(ctx, reference, r, func(ref name.Reference, _ string) (touchstone.Digest, error) {
		repo, err := connect(ctx, ref.Context(), r, o.MaxManifest)
		if err != nil {
			return "", err
		}
		root, err := repo.rootOf(ctx, ref)
		return touchstone.Digest(root.Digest), errors.Join(err, repo.carrier.close())
	})
}

// anywhere asks the mirror of a reference's registry, if there is one, and then
// the registry. source is where that is, if it is not what the name says.
func anywhere[T any](ctx context.Context, reference string, r Registries, ask func(ref name.Reference, source string) (T, error)) (T, error) {
	var none T
	ref, err := name.ParseReference(reference, plainHTTP(r, reference)...)
	if err != nil {
		return none, fmt.Errorf("%s is neither a file nor the name of an image: %w", clean(reference), err)
	}
	mirror, err := mirrorOf(ref, r)
	if err != nil {
		return none, err
	}
	var fromMirror error
	if mirror != nil {
		answer, err := ask(mirror, mirror.Name())
		if err == nil || ctx.Err() != nil {
			return answer, err
		}
		fromMirror = fmt.Errorf("from its mirror %s: %w", mirror.Name(), err)
	}
	answer, err := ask(ref, "")
	if err != nil {
		err = fmt.Errorf("%s: %w", FullName(reference), err)
		return none, errors.Join(err, fromMirror)
	}
	return answer, nil
}

func (c *repository) images(ctx context.Context, ref name.Reference, o Options) ([]*image, error) {
	root, err := c.rootOf(ctx, ref)
	if err != nil {
		return nil, err
	}
	return expand(ctx, c, o, root)
}

// rootOf fetches what a reference stands for, and checks it against the digest
// if it names one.
func (c *repository) rootOf(ctx context.Context, ref name.Reference) (ocispec.Descriptor, error) {
	asked, byDigest := ref.(name.Digest)
	if byDigest && !touchstone.Digest(asked.DigestStr()).Valid() {
		return ocispec.Descriptor{}, fmt.Errorf("%s is not a SHA-256 digest; other algorithms are not supported", asked.DigestStr())
	}
	root, err := c.fetchRoot(ctx, ref.Identifier())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if byDigest && string(root.Digest) != asked.DigestStr() {
		return ocispec.Descriptor{}, artifact.Falsef("the registry's answer for %s has the digest %s", asked.DigestStr(), root.Digest)
	}
	return root, nil
}

// plainHTTP returns the options with which a reference into one of the insecure
// registries is read.
func plainHTTP(r Registries, reference string) []name.Option {
	registry, _, _ := strings.Cut(reference, "/")
	if slices.Contains(r.Insecure, registry) {
		return []name.Option{name.Insecure}
	}
	return nil
}

// mirrorOf returns where the mirror of a reference's registry has it, or nil.
func mirrorOf(ref name.Reference, r Registries) (name.Reference, error) {
	repo := ref.Context()
	prefix := r.Mirrors[repo.RegistryStr()]
	if prefix == "" && repo.RegistryStr() == name.DefaultRegistry {
		prefix = r.Mirrors["docker.io"]
	}
	if prefix == "" {
		return nil, nil
	}
	separator := ":"
	if _, ok := ref.(name.Digest); ok {
		separator = "@"
	}
	text := strings.TrimSuffix(prefix, "/") + "/" + repo.RepositoryStr() + separator + ref.Identifier()
	mirror, err := name.ParseReference(text, plainHTTP(r, text)...)
	if err != nil {
		return nil, fmt.Errorf("mirror %s of %s: %w", prefix, repo.RegistryStr(), err)
	}
	return mirror, nil
}
