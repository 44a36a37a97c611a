package inspect

import (
	"maps"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// A layer may have a file whose folder is a symbolic link in the layers below
// it: "lib/x" where "lib" leads to "usr/lib". Whoever unpacks it follows the
// link, so that the file lands at usr/lib/x and replaces what was there. Such a
// layer is rewritten with the names that its files end up with, and the merge is
// done again.

const (
	// maxRewrites is how often that is done: names that are rewritten may lie
	// below links once more.
	maxRewrites = 4
	// maxDetours bounds the links that are followed so.
	maxDetours = 10_000
)

// merge squashes the layers, and keeps the manifest of what comes out.
func (run *inspection) merge() (*merged, *written, error) {
	for round := 0; ; round++ {
		s := newSquash(run.layers)
		w, err := run.spool(s.run)
		if err != nil {
			return nil, nil, err
		}
		if len(s.displaced) > 0 && round < maxRewrites {
			err := run.rewrite(s.displaced, w.reader)
			w.mapping.Close()
			if err != nil {
				return nil, nil, err
			}
			continue
		}
		if err := run.keep(w); err != nil {
			return nil, nil, err
		}
		m := &merged{inspection: run, squash: s, manifest: w.reader, names: map[origin]string{}}
		for name, from := range s.others {
			if old, ok := m.names[from]; !ok || name < old {
				m.names[from] = name // the first of several, so that the answer is always the same
			}
		}
		return m, w, nil
	}
}

// detour is where a folder leads that is a link in one of the layers.
type detour struct {
	folder string
	layer  int
}

// rewrite gives what layers have below the links the names that it ends up with.
func (run *inspection) rewrite(displaced map[string]int, tree *manifest.Reader) error {
	detours := map[string]detour{}
	for _, link := range slices.Sorted(maps.Keys(displaced)) {
		if len(detours) == maxDetours {
			run.image.gap(touchstone.GapLimit, "the layers have files below more than %d folders that are links", maxDetours)
			break
		}
		folder, ok, err := resolve(tree, link)
		if err != nil {
			return outside(err)
		}
		if ok && folder != link && !strings.HasPrefix(folder, link+"/") {
			detours[link] = detour{folder, displaced[link]}
		}
	}
	for i, l := range run.layers {
		mine := map[string]string{}
		for link, d := range detours {
			if d.layer <= i && l.below(link) {
				mine[link] = d.folder
			}
		}
		if len(mine) > 0 {
			if err := run.rewriteLayer(l, mine); err != nil {
				return err
			}
		}
	}
	return nil
}

// below reports whether the layer has anything below a path.
func (l *layer) below(path string) bool {
	c := l.entries.Seek([]byte(path + "/"))
	return c.Next() && under(c.Entry().Path, []byte(path))
}

// rewriteLayer renames what the layer has below links, given where they lead.
func (run *inspection) rewriteLayer(l *layer, leads map[string]string) error {
	renamed := func(path string) string {
		for i := range path {
			if path[i] != '/' {
				continue
			}
			if folder, ok := leads[path[:i]]; ok {
				return folder + path[i:]
			}
		}
		return path
	}
	sorter := manifest.Sorter{Temporary: run.scratch.file, ChunkBytes: sortBytes}
	defer sorter.Close()
	c := l.entries.Start()
	for c.Next() {
		e := *c.Entry()
		e.Path = []byte(renamed(string(e.Path)))
		if e.Kind == manifest.HardLink {
			e.Link = []byte(renamed(string(e.Link)))
		}
		if err := sorter.Add(&e); err != nil {
			return outside(err)
		}
	}
	if err := c.Err(); err != nil {
		return outside(err)
	}
	w, err := run.spool(sorter.WriteTo)
	if err != nil {
		return err
	}
	l.mapping.Close()
	l.mapping, l.entries = w.mapping, w.reader
	l.record = l.record.renamed(renamed)
	return nil
}

// renamed returns the record with other names. What it shares with the record
// is not changed.
func (r record) renamed(name func(string) string) record {
	r.Packages = slices.Clone(r.Packages)
	for i := range r.Packages {
		r.Packages[i].Path = name(r.Packages[i].Path)
	}
	r.Secrets = slices.Clone(r.Secrets)
	for i := range r.Secrets {
		r.Secrets[i].Path = name(r.Secrets[i].Path)
	}
	r.Gaps = slices.Clone(r.Gaps)
	for i := range r.Gaps {
		r.Gaps[i].Path = name(r.Gaps[i].Path)
	}
	r.Owned, r.Disowned = renamedKeys(r.Owned, name), renamedKeys(r.Disowned, name)
	r.Facts = renamedKeys(r.Facts, name)
	r.Capabilities, r.Kept = renamedKeys(r.Capabilities, name), renamedKeys(r.Kept, name)
	return r
}

func renamedKeys[T any](m map[string]T, name func(string) string) map[string]T {
	out := make(map[string]T, len(m))
	for k, v := range m {
		out[name(k)] = v
	}
	return out
}
