package inspect

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

const (
	capabilityRecord = "SCHILY.xattr.security.capability" // as star and GNU tar name the attribute
	maxCapabilities  = 10_000                             // files of a layer
	maxCapability    = 24                                 // bytes; struct vfs_ns_cap_data (linux/capability.h)
)

// walkTar takes in every entry of the tar of a layer. marks says whether names
// that begin with ".wh." are marks (OCI image-spec, layer.md, "Whiteouts") or
// names like any other. The error is the tar's, the stream's below it, or one
// that ends the inspection.
func (c *collector) walkTar(r io.Reader, marks bool) error {
	t := tarWalk{scanner: c.scanner(), tar: tar.NewReader(r), marks: marks}
	for {
		h, err := t.tar.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.entry(h); err != nil {
			if h.Name == "" || fatal(err) {
				return err
			}
			return fmt.Errorf("at %q: %w", printable(h.Name), err)
		}
	}
}

type tarWalk struct {
	*scanner
	tar     *tar.Reader
	marks   bool
	logical int64 // sizes of all files, holes included
}

func (t *tarWalk) entry(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := t.ctx.Err(); err != nil {
		return err
	}
	name, leaves := cleanName(h.Name)
	if leaves {
		t.addf(touchstone.GapCorrupt, name, "tar", "the name %q leads out of the root", printable(h.Name))
	}
	number, err := t.begin(name)
	if err != nil {
		return err
	}
	if reason := badName(name); reason != "" {
		t.addf(touchstone.GapLimit, printable(name), "tar", "%s", reason)
		return nil
	}
	dir, base := path.Split(name)
	if t.marks && strings.HasPrefix(base, whiteout) {
		return t.mark(strings.TrimSuffix(dir, "/"), base)
	}
	if name == "" {
		if h.Typeflag != tar.TypeDir {
			t.addf(touchstone.GapCorrupt, "", "tar", "the root is not a folder")
		}
		return nil
	}
	e := manifest.Entry{Path: []byte(name), Mode: uint32(h.Mode & 0o7777), UID: h.Uid, GID: h.Gid}
	switch h.Typeflag {
	case tar.TypeReg, '\x00', tar.TypeCont, tar.TypeGNUSparse:
		return t.file(number, &e, h)
	case tar.TypeDir:
		e.Kind = manifest.Dir
	case tar.TypeChar, tar.TypeBlock:
		e.Kind = manifest.Device
	case tar.TypeFifo:
		e.Kind = manifest.Fifo
	case tar.TypeSymlink, tar.TypeLink:
		if !t.link(&e, h) {
			return nil
		}
	default:
		t.addf(touchstone.GapUnsupported, name, "tar", "an entry of type %q", h.Typeflag)
		return nil
	}
	return t.put(&e)
}

func (t *tarWalk) file(number int, e *manifest.Entry, h *tar.Header) error {
	t.logical += h.Size
	if t.logical > t.in.config.Limits.LayerBytes || t.logical < 0 {
		return limitError(fmt.Sprintf("the files of the layer are larger than %d bytes", t.in.config.Limits.LayerBytes))
	}
	e.Size = h.Size
	if value, ok := h.PAXRecords[capabilityRecord]; ok {
		t.capability(string(e.Path), []byte(value))
	}
	return t.regular(number, e, h.FileInfo(), t.tar)
}

// capability keeps the file capabilities that an entry asks for.
func (c *collector) capability(path string, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(value) > maxCapability:
		c.addf(touchstone.GapCorrupt, path, "tar", "its file capabilities take %d bytes", len(value))
	case len(c.caps) >= maxCapabilities:
		c.addf(touchstone.GapLimit, path, "tar", "more than %d files with capabilities", maxCapabilities)
	default:
		c.caps[path] = value
	}
}

// link completes the entry of a link, and reports whether it can be kept.
func (t *tarWalk) link(e *manifest.Entry, h *tar.Header) bool {
	e.Kind = manifest.Symlink
	target, leaves := h.Linkname, false
	if h.Typeflag == tar.TypeLink {
		e.Kind = manifest.HardLink
		target, leaves = cleanName(h.Linkname)
	}
	reason := badName(target)
	switch {
	case leaves:
		reason = "leads out of the root"
	case target == "":
		reason = "has no target"
	}
	if reason != "" {
		t.addf(touchstone.GapCorrupt, string(e.Path), "tar", "the link %q: %s", printable(h.Linkname), reason)
	}
	e.Link = []byte(target)
	return target != "" && len(target) <= maxNamePath
}

// mark takes in a whiteout.
func (c *collector) mark(dir, base string) error {
	if base == opaque {
		if dir == "" {
			c.mu.Lock()
			c.opaqueRoot = true
			c.mu.Unlock()
			return nil
		}
		return c.put(&manifest.Entry{Path: []byte(dir), Kind: manifest.Opaque})
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return nil
	}
	hidden := base[len(whiteout):]
	if hidden == "" || hidden == "." || hidden == ".." {
		c.addf(touchstone.GapCorrupt, dir, "tar", "the whiteout %q hides nothing", base)
		return nil
	}
	return c.put(&manifest.Entry{Path: []byte(path.Join(dir, hidden)), Kind: manifest.Whiteout})
}
