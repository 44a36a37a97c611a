// Package artifact holds the words for an opened artifact: a Source, which has
// Layers. The packages below it open the forms that artifacts come in (oci:
// registries, layouts, archives, containerd; tree: root file systems) and
// reference chooses among them by what the user wrote. Nothing here looks
// inside a layer; that is what package inspect is for.
package artifact

import (
	"context"
	"io"

	"touchstone.dev/touchstone"
)

// A Source is one opened artifact of one platform.
type Source interface {
	// Artifact says what was opened.
	Artifact() touchstone.Artifact
	// Config returns the raw OCI image config, or nil for a root file system.
	// Its digest was verified against the manifest.
	Config() []byte
	// Layers returns the layers, bottom first.
	Layers() []Layer
	// Close releases what is held open.
	Close() error
}

// Layer is one layer as it is stored. Exactly one of Open and Root is set.
type Layer struct {
	Digest    touchstone.Digest // of the stored bytes; empty where nothing claims one
	DiffID    touchstone.Digest // that the config claims; empty where there is no config
	Size      int64             // stored bytes; -1 if unknown
	MediaType string            // as the manifest says; empty where nothing does
	// Stamp is the cheap identity of stored bytes in a local file: device,
	// inode, size, times and place in the file. Equal stamps mean equal bytes,
	// so that what was once read there need not be read again. It is empty
	// where nothing is known so cheaply, and for a file that changed so lately
	// that a further change might not show.
	Stamp string
	// Open returns the stored bytes, compressed or not; whoever reads them
	// verifies Digest and DiffID. An error that wraps ErrOutside is not the
	// artifact's fault.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Root is the path of a root file system in place.
	Root string
	// Absent says why the bytes cannot be had although the manifest names them
	// (foreign layers); empty otherwise.
	Absent string
}
