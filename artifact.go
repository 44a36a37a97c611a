package touchstone

import (
	"crypto/sha256"
	"encoding/hex"
)

// Digest names bytes by their SHA-256: "sha256:" followed by 64 hexadecimal
// digits in lower case (OCI image-spec, descriptor.md, "Digests"). Other
// algorithms are refused at the edges.
type Digest string

// DigestOf returns the digest of the bytes.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return NewDigest(sum[:])
}

// NewDigest writes a SHA-256, 32 bytes, as a digest.
func NewDigest(sum []byte) Digest {
	const prefix = "sha256:"
	var b [len(prefix) + 2*sha256.Size]byte
	copy(b[:], prefix)
	hex.Encode(b[len(prefix):], sum)
	return Digest(b[:])
}

// Short returns the first twelve hexadecimal digits, for people. It returns ""
// for an empty digest.
func (d Digest) Short() string {
	const prefix = len("sha256:")
	if len(d) < prefix+12 {
		return string(d)
	}
	return string(d[prefix : prefix+12])
}

// Valid reports whether d is a well-formed SHA-256 digest.
func (d Digest) Valid() bool {
	const prefix = "sha256:"
	if len(d) != len(prefix)+64 || d[:len(prefix)] != prefix {
		return false
	}
	for _, c := range []byte(d[len(prefix):]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Kind says what sort of thing an artifact is.
type Kind string

// The kinds of artifact.
const (
	KindImage      Kind = "image"      // a container image with layers and a config
	KindFilesystem Kind = "filesystem" // a root file system, as a tar or in place
)

// Artifact is what can be deployed. Two names that share a digest are two
// artifacts for rules and waivers, and one for inspection.
type Artifact struct {
	// Name is the reference as it was given ("registry.example/shop/cart:1.4").
	// Rules about names judge this one. It is empty when a file was opened and
	// no name was claimed for it (--as).
	Name string `json:"name"`
	// Source is where the bytes were read from when that is not Name: the path
	// of an archive, a layout or a folder.
	Source string `json:"source,omitempty"`
	Kind   Kind   `json:"kind"`
	// Digest is the manifest digest of an image, the SHA-256 of the
	// uncompressed tar of a root file system, and empty for a folder in place.
	Digest Digest `json:"digest"`
	// Index is the digest of the multi-platform index that Digest was chosen
	// from; empty when there was none.
	Index Digest `json:"index,omitempty"`
	// Platform is "os/architecture[/variant]"; empty where nothing says it.
	Platform string `json:"platform"`
}

// Label returns what people call the artifact: its name, else its source, else
// its digest.
func (a Artifact) Label() string {
	switch {
	case a.Name != "":
		return a.Name
	case a.Source != "":
		return a.Source
	default:
		return string(a.Digest)
	}
}
