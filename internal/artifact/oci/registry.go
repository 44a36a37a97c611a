package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
)

// OpenRegistry opens an image by its name in a registry. The artifact is called
// by its full name (FullName), with the tag or digest that was given.
func OpenRegistry(ctx context.Context, reference string, r Registries, o Options) ([]artifact.Source, error) {
	o, r = o.withDefaults(), r.withDefaults()
	ref, err := name.ParseReference(reference, plainHTTP(r, reference)...)
	if err != nil {
		return nil, fmt.Errorf("%s is neither a file nor the name of an image: %w", clean(reference), err)
	}
	o.Name = FullName(reference)
	mirror, err := mirrorOf(ref, r)
	if err != nil {
		return nil, err
	}
	if mirror == nil {
		return openAt(ctx, ref, "", r, o)
	}
	opened, mirrorErr := openAt(ctx, mirror, mirror.Name(), r, o)
	if mirrorErr == nil || ctx.Err() != nil {
		return opened, mirrorErr
	}
	opened, err = openAt(ctx, ref, "", r, o)
	if err != nil {
		return nil, errors.Join(err, fmt.Errorf("from its mirror: %w", mirrorErr))
	}
	return opened, nil
}

// openAt opens an image in one registry. source tells where it is read from if
// that is not its name.
func openAt(ctx context.Context, ref name.Reference, source string, r Registries, o Options) ([]artifact.Source, error) {
	repo, err := connect(ctx, ref.Context(), r, o.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmp.Or(source, o.Name), err)
	}
	images, err := repo.images(ctx, ref, o)
	if err != nil && source == "" {
		err = fmt.Errorf("%s: %w", o.Name, err)
	}
	return sources(images, err, source, o, repo.carrier.close)
}

func (c *repository) images(ctx context.Context, ref name.Reference, o Options) ([]*image, error) {
	asked, byDigest := ref.(name.Digest)
	if byDigest && !touchstone.Digest(asked.DigestStr()).Valid() {
		return nil, fmt.Errorf("%s is not a SHA-256 digest; other algorithms are not supported", asked.DigestStr())
	}
	root, err := c.fetchRoot(ctx, ref.Identifier())
	if err != nil {
		return nil, err
	}
	if byDigest && string(root.Digest) != asked.DigestStr() {
		return nil, artifact.Falsef("the registry's answer for %s has the digest %s", asked.DigestStr(), root.Digest)
	}
	return expand(ctx, c, o, root)
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
