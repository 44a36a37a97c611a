package oci

import (
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// platform is what an image runs on (OCI image-spec, image-index.md).
type platform struct{ os, architecture, variant string }

func (p platform) String() string {
	s := p.os + "/" + p.architecture
	switch {
	case p.os == "" && p.architecture == "":
		return ""
	case p.variant != "":
		return s + "/" + p.variant
	default:
		return s
	}
}

// parsePlatform reads "os/architecture[/variant]". The empty text is the zero
// platform, which stands for all.
func parsePlatform(s string) (platform, error) {
	if s == "" {
		return platform{}, nil
	}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return platform{}, fmt.Errorf("platform %.100q is not of the form os/architecture[/variant]\nhint: linux/amd64, for example", s)
	}
	p := platform{os: parts[0], architecture: parts[1]}
	if len(parts) == 3 {
		p.variant = parts[2]
	}
	return p, nil
}

// plain returns p without the variant that everybody leaves out.
func (p platform) plain() platform {
	if p.architecture == "arm64" && p.variant == "v8" || p.architecture == "amd64" && p.variant == "v1" {
		p.variant = ""
	}
	return p
}

// satisfies reports whether an image for p is one for want; a want without a
// variant stands for all variants.
func (p platform) satisfies(want platform) bool {
	p, want = p.plain(), want.plain()
	return p == want || want.variant == "" && p.os == want.os && p.architecture == want.architecture
}

// platformOf returns the platform that an index claims for a manifest; ok is
// false when it claims none.
func platformOf(d ocispec.Descriptor) (p platform, ok bool) {
	if d.Platform == nil || d.Platform.OS == "" && d.Platform.Architecture == "" {
		return platform{}, false
	}
	return platform{os: d.Platform.OS, architecture: d.Platform.Architecture, variant: d.Platform.Variant}, true
}

// unrunnable is the platform under which attestations are kept beside images
// (buildkit's attestation storage). No runtime ever chooses it.
func (p platform) unrunnable() bool { return p.os == "unknown" && p.architecture == "unknown" }
