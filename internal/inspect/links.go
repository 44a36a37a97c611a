package inspect

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

const (
	// maxFollow is how many links are followed from one name to a file; Linux
	// follows 40 (path_resolution(7)).
	maxFollow = 40
	// maxReread bounds the names that are read anew.
	maxReread = 200_000
)

// rereadLinks looks at files under their other names. In a tar the content of a
// file comes with the first of its hard links, and the others follow when it has
// passed. Where another name would be wanted and the first was not (an ostree
// repository names all its files by their digests), the layer is read a second
// time, for those files alone.
func (run *inspection) rereadLinks(ctx context.Context, l *layer, c *collector) error {
	again := run.wantedLinks(l, c)
	if len(again) == 0 {
		return nil
	}
	var walked error
	end, err := run.withStream(ctx, l, func(s *stream) { walked = c.reread(s, again) })
	if err != nil {
		return err
	}
	if fatal(walked) {
		return walked
	}
	if end.diffID != l.diffID {
		l.gap(touchstone.GapFalse, "the layer's bytes were others when it was read a second time")
	}
	return outside(c.finish())
}

// wantedLinks returns the names to be read anew, by the name that has the
// content.
func (run *inspection) wantedLinks(l *layer, c *collector) map[string][]string {
	again := map[string][]string{}
	count := 0
	for _, link := range c.links {
		if f, ok := find(l.entries, link.path); !ok || f.Kind != manifest.HardLink || string(f.Link) != link.target {
			continue // something else has this name by now
		}
		name, target, ok := content(l.entries, link.target)
		if !ok {
			if run.wantedByName(link.path, "", &manifest.Entry{Kind: manifest.Regular, Size: 1}) {
				c.addf(touchstone.GapUnsupported, link.path, "tar", "a hard link to %q, which is not a file of this layer", printable(link.target))
			}
			continue
		}
		if !run.wantedByName(link.path, name, target) {
			continue
		}
		if count++; count > maxReread {
			c.addf(touchstone.GapLimit, link.path, "tar", "more than %d hard links to files that readers want", maxReread)
			break
		}
		again[name] = append(again[name], link.path)
	}
	return again
}

// wantedByName reports whether any reader might want a file under the name link
// that did not want it under the name target. Executables in machine code are
// wanted for what they hold, whatever their name.
func (run *inspection) wantedByName(link, target string, e *manifest.Entry) bool {
	if e.Kind != manifest.Regular || e.Exec == manifest.ExecELF || e.Exec == manifest.ExecLibrary {
		return false
	}
	sameExtension := path.Ext(link) == path.Ext(target)
	for _, head := range []string{"#!/bin/sh\n       ", "PK\x03\x04            ", "MZ              ", "{               "} {
		info := keptInfo{name: path.Base(link), size: e.Size, mode: 0o755}
		as := run.wants(link, info, []byte(head))
		info.name = path.Base(target)
		if as.any() && (as != run.wants(target, info, []byte(head)) || !sameExtension) {
			return true
		}
	}
	return false
}

// find returns the file of this path in the manifest of a layer. It holds until
// the manifest is closed.
func find(r *manifest.Reader, path string) (*manifest.Entry, bool) {
	c := r.Seek([]byte(path))
	for c.Next() && string(c.Entry().Path) == path {
		if !c.Entry().Kind.Mark() {
			return c.Entry(), true
		}
	}
	return nil, false
}

// content follows hard links in a layer to the entry that has the content.
func content(r *manifest.Reader, name string) (string, *manifest.Entry, bool) {
	for range maxFollow {
		e, ok := find(r, name)
		if !ok {
			return "", nil, false
		}
		if e.Kind != manifest.HardLink {
			return name, e, true
		}
		name = string(e.Link)
	}
	return "", nil, false
}

// reread walks the tar once more and hands on the files named, under their other
// names.
func (c *collector) reread(r io.Reader, again map[string][]string) error {
	s, t := c.scanner(), tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, _ := cleanName(h.Name)
		names := again[name]
		if len(names) == 0 || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := s.readAs(names, h, t); err != nil {
			return err
		}
	}
}

// readAs hands a file on under each of the names.
func (s *scanner) readAs(names []string, h *tar.Header, r io.Reader) error {
	source := &job{path: names[0], size: h.Size}
	if source.size > s.in.config.Limits.FileBytes {
		s.addf(touchstone.GapLimit, source.path, "inspect", "its %d bytes are more than the %d that are handed to a reader", h.Size, s.in.config.Limits.FileBytes)
		return nil
	}
	head := make([]byte, min(h.Size, headBytes))
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	defer s.in.drop(source)
	if err := s.hold(source, head, r); err != nil {
		return err
	}
	for _, name := range names {
		info := keptInfo{path.Base(name), h.Size, h.FileInfo().Mode(), h.ModTime}
		wants := s.in.wants(name, info, head)
		if !wants.any() {
			continue
		}
		number, err := s.begin(name)
		if err != nil {
			return err
		}
		rest := io.NewSectionReader(source.content(), int64(len(head)), h.Size)
		if err := s.take(&job{path: name, number: number, info: info, size: h.Size, wants: wants}, head, rest); err != nil {
			return err
		}
	}
	return nil
}
