package oci

import (
	"time"
)

// Options say which images are meant and how much of them may be read into
// memory or onto the disk. The zero value is good: every platform, the limits
// below.
type Options struct {
	// Platform is "os/architecture[/variant]". Empty means all that are there.
	Platform string
	// Name is what the artifact is called (touchstone.Artifact.Name).
	Name string
	// MaxManifest bounds each manifest, index and config in bytes; 0 means 8 MiB
	// (registries commonly refuse manifests of more than 4).
	MaxManifest int64
	// MaxSpool bounds what a compressed archive may become when it is
	// decompressed to a temporary file, in bytes; 0 means 32 GiB.
	MaxSpool int64
	// Now is the clock by which a file is too young for a stamp; nil means
	// time.Now.
	Now func() time.Time
}

// Bounds that no real image comes near.
const (
	maxLayers    = 4096    // docker stops at 127
	maxPlatforms = 256     // images of one index
	maxNesting   = 4       // indexes within indexes
	maxEntries   = 1 << 20 // entries of an image archive
	maxNames     = 64 << 20
)

func (o Options) withDefaults() Options {
	if o.MaxManifest == 0 {
		o.MaxManifest = 8 << 20
	}
	if o.MaxSpool == 0 {
		o.MaxSpool = 32 << 30
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
