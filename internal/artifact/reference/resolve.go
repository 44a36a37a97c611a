package reference

import (
	"context"
	"fmt"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
)

// Resolve asks a registry for the digest that a name stands for now: that of the
// index where there is one and no platform is asked for, so that it means the
// same on every platform. Errors are those of Open.
func Resolve(ctx context.Context, ref, platform string, o Options) (touchstone.Digest, error) {
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
	if len(sources) == 0 {
		return "", fmt.Errorf("%s names no image", ref)
	}
	a := sources[0].Artifact()
	if platform == "" && a.Index != "" {
		return a.Index, nil
	}
	return a.Digest, nil
}
