// Package reference opens an artifact by what a user wrote. It chooses the
// form and leaves the opening to packages oci and tree.
//
// A reference is one of
//
//	registry.example/shop/cart:1.4    an image in a registry
//	cart.tar                          a file or folder that exists, as what it is
//	oci:PATH[:NAME|@DIGEST]           an OCI layout
//	oci-archive:PATH[:NAME|@DIGEST]   an OCI layout in a tar
//	docker-archive:PATH[:NAME|@ID]    an archive by docker save
//	containerd:NAME                   an image in containerd's content store
//	containerd://NAMESPACE/NAME       the same, in another namespace than usual
//	rootfs:PATH                       a root file system in a tar
//	dir:PATH                          a root file system in place
//
// Where a file and a name in a registry are both possible, the file wins. What
// a file is told by its content, never by its name. A folder that is no OCI
// layout needs dir:, because a folder's name is too easily a slip.
package reference

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/artifact/tree"
)

// Options say which images are meant, what they are called and how they are
// reached. The zero value is good.
type Options struct {
	// Platform is "os/architecture[/variant]"; empty means every platform of an
	// index. An image that is for another platform is an error.
	Platform string
	// As is the name that is claimed for a file, a folder or what containerd
	// has, and that rules about names then judge. What comes from a registry
	// has its name already.
	As string
	// Registries and Containerd say how these are reached.
	Registries oci.Registries
	Containerd oci.Containerd
	// MaxManifest and MaxSpool bound what is read to memory and disk; 0 means
	// the defaults of oci.Options.
	MaxManifest, MaxSpool int64
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (o Options) oci() oci.Options {
	return oci.Options{Platform: o.Platform, Name: o.As, MaxManifest: o.MaxManifest, MaxSpool: o.MaxSpool, Now: o.Now}
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Open opens what ref means: one source for each platform asked for. No layer
// is read. The caller closes every source.
//
// An error wraps artifact.ErrOutside if a network, a registry or a disk is to
// blame, and artifact.ErrFalse if the artifact contradicts itself. Otherwise
// there is no such artifact, or none that can be read.
func Open(ctx context.Context, ref string, o Options) ([]artifact.Source, error) {
	if ref == "" {
		return nil, errors.New("no reference given\nhint: name an image, or the path of an archive")
	}
	if scheme, rest, ok := strings.Cut(ref, ":"); ok {
		switch scheme {
		case "oci", "oci-archive", "docker-archive":
			return openChosen(ctx, scheme, rest, o)
		case "containerd":
			return openContainerd(ctx, rest, o)
		case "rootfs":
			return one(o, func() (artifact.Source, error) { return tree.OpenTar(rest, o.As, o.now()) })
		case "dir":
			return one(o, func() (artifact.Source, error) { return tree.OpenDir(rest, o.As) })
		case "docker", "http", "https":
			if strings.HasPrefix(rest, "//") {
				return nil, fmt.Errorf("%s: references have no %s://\nhint: write %s", ref, scheme, rest[2:])
			}
		}
	}
	info, err := os.Stat(ref)
	if err == nil {
		return openPath(ctx, ref, info.IsDir(), o)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, artifact.Outsidef("opening %s: %w", ref, err)
	}
	if looksLikeFile(ref) {
		return nil, fmt.Errorf("%s: no such file\nhint: if an image in a registry is meant, write %s", ref, oci.FullName(ref))
	}
	if o.As != "" {
		return nil, fmt.Errorf("%s: a name can be claimed for a file only; what is in a registry has its own", ref)
	}
	return oci.OpenRegistry(ctx, ref, o.Registries, o.oci())
}

// openPath opens a file or folder as what it is.
func openPath(ctx context.Context, path string, folder bool, o Options) ([]artifact.Source, error) {
	if folder {
		if !oci.IsLayout(path) {
			return nil, fmt.Errorf("%s is a folder and no OCI layout\nhint: dir:%s checks it as a root file system, %s means an image in a registry", path, path, oci.FullName(filepath.Base(path)))
		}
		return oci.OpenLayout(ctx, path, "", o.oci())
	}
	opened, err := oci.OpenArchive(ctx, path, "", oci.FormAny, o.oci())
	if errors.Is(err, oci.ErrNoImage) {
		return one(o, func() (artifact.Source, error) { return tree.OpenTar(path, o.As, o.now()) })
	}
	return opened, err
}

// one opens a root file system, which says of no platform that it is for it.
func one(o Options, open func() (artifact.Source, error)) ([]artifact.Source, error) {
	if o.Platform != "" {
		return nil, fmt.Errorf("platform %s: a root file system does not say what platform it is for\nhint: leave the platform out", o.Platform)
	}
	source, err := open()
	if err != nil {
		return nil, err
	}
	return []artifact.Source{source}, nil
}

// openChosen opens what a path with a choice after it means.
func openChosen(ctx context.Context, scheme, rest string, o Options) ([]artifact.Source, error) {
	path, choice, err := splitChoice(rest)
	if err != nil {
		return nil, err
	}
	switch scheme {
	case "oci":
		return oci.OpenLayout(ctx, path, choice, o.oci())
	case "oci-archive":
		return oci.OpenArchive(ctx, path, choice, oci.FormOCI, o.oci())
	default:
		return oci.OpenArchive(ctx, path, choice, oci.FormDocker, o.oci())
	}
}

// splitChoice parts PATH from :NAME or @DIGEST. Both may hold colons, so the
// longest path that exists is taken.
func splitChoice(text string) (path, choice string, err error) {
	for end := len(text); end > 0; end = strings.LastIndexAny(text[:end], ":@") {
		if _, err := os.Stat(text[:end]); err == nil {
			return text[:end], strings.TrimLeft(text[end:], ":@"), nil
		}
	}
	return "", "", fmt.Errorf("%s: no such file or folder", text)
}

// openContainerd opens NAME or //NAMESPACE/NAME.
func openContainerd(ctx context.Context, rest string, o Options) ([]artifact.Source, error) {
	where := o.Containerd
	if long, ok := strings.CutPrefix(rest, "//"); ok {
		namespace, name, _ := strings.Cut(long, "/")
		where.Namespaces, rest = []string{namespace}, name
	}
	if rest == "" {
		return nil, errors.New("no image of containerd named\nhint: containerd:NAME or containerd://NAMESPACE/NAME")
	}
	return oci.OpenContainerd(ctx, rest, where, o.oci())
}

// looksLikeFile reports whether somebody who wrote this, and has no such file,
// mistyped a path rather than meant a registry.
func looksLikeFile(ref string) bool {
	if strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, ".") || strings.HasPrefix(ref, "~") {
		return true
	}
	for _, end := range []string{".tar", ".tgz", ".tar.gz", ".tar.zst", ".tzst", ".tar.xz"} {
		if strings.HasSuffix(ref, end) {
			return true
		}
	}
	return false
}
