package reference

import (
	"context"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
)

// Resolve asks a registry for the digest that a name stands for now: that of the
// index where there is one and no platform is asked for, so that it means the
// same on every platform. Errors are those of Open.
func Resolve(ctx context.Context, ref, platform string, o Options) (touchstone.Digest, error) {
	if platform == "" {
		return oci.Digest(ctx, ref, o.Registries, o.oci())
	}
	o.Platform = platform
	sources, err := oci.OpenRegistry(ctx, ref, o.Registries, o.oci())
	if err != nil {
		return "", err
	}
	defer func() {
		for _, s := range sources {
			_ = s.Close() // nothing was read of it
		}
	}()
	return sources[0].Artifact().Digest, nil
}
