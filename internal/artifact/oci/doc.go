// Package oci opens container images where they lie: in a registry, in an OCI
// layout, in an OCI or docker archive, and in containerd's content store.
//
// Every place gives the same two things: a descriptor to begin with and blobs
// by digest (type content). From there the way is one: expand follows indexes
// to the images of the platforms asked for, fetch checks what was read against
// its descriptor, and assemble checks that manifest and config tell the same
// story. A docker archive has no manifest and is assembled from its own list.
//
// What was read of a manifest, an index or a config is checked here. Layers
// are handed out as they are stored and not read: whoever reads them hashes
// them anyway. Nothing is ever unpacked, and nothing is fetched from a URL that
// an artifact names.
//
// The formats are those of the OCI image-spec and distribution-spec 1.1, docker
// image manifest version 2 schema 2, and docker's image archive (docker save).
package oci
