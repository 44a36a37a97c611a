package inspect

import (
	"bytes"
	"container/heap"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// origin is where a file's content comes from: a layer, and the name that it has
// there.
type origin struct {
	layer int
	path  string
}

// squash merges the manifests of layers into that of the artifact, walking all
// of them at once in order of path (OCI image-spec, layer.md, "Applying
// Changesets"). It holds one entry per layer and the folders above it, however
// many files there are.
type squash struct {
	layers []*layer
	out    *manifest.Writer
	gaps   gaps
	// concerns are the paths of which something is known besides what the
	// manifest has. For those that are left, winners says which layer's file
	// it is, and others where the content of a hard link comes from.
	concerns map[string]struct{}
	winners  map[string]int
	others   map[string]origin
	// displaced are the symbolic links below which layers have files, with the
	// layer of the link.
	displaced map[string]int
	link      []byte // the last symbolic link that is left
	linkLayer int
	path      []byte // being looked at
	above     []folder
	base      int // layers below this one are hidden everywhere
}

// folder is a path on the way to the one being looked at, and which layers are
// hidden below it.
type folder struct {
	path   []byte
	hidden int // layers less than this one
}

// newSquash prepares the merge of the layers of an inspection.
func newSquash(layers []*layer) *squash {
	s := &squash{layers: layers, concerns: map[string]struct{}{}, winners: map[string]int{}, others: map[string]origin{}, displaced: map[string]int{}}
	for i, l := range layers {
		if l.record.OpaqueRoot {
			s.base = i
		}
		l.record.eachPath(func(p string) { s.concerns[p] = struct{}{} })
	}
	return s
}

// run writes the merged manifest to w.
func (s *squash) run(w *manifest.Writer) error {
	s.out = w
	var h layerHeap
	for i, l := range s.layers {
		c := l.entries.Start()
		if c.Next() {
			h = append(h, layerCursor{c, i})
		}
		if err := c.Err(); err != nil {
			return err
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		s.path = append(s.path[:0], h[0].Entry().Path...)
		p := s.enter()
		for len(h) > 0 && bytes.Equal(h[0].Entry().Path, s.path) {
			top := h[0]
			if err := p.see(top.layer, top.Entry()); err != nil {
				return err
			}
			if top.Next() {
				heap.Fix(&h, 0)
			} else {
				heap.Pop(&h)
			}
			if err := top.Err(); err != nil {
				return err
			}
		}
		p.leave()
	}
	return nil
}

// pathMerge merges what the layers have at one path. It sees the entries from
// the highest layer down.
type pathMerge struct {
	*squash
	hidden  int // layers less than this one are hidden at the path
	beneath int // and below it
	from    int // what beneath was to begin with
	found   bool
}

// enter begins with the path s.path.
func (s *squash) enter() pathMerge {
	for len(s.above) > 0 && !under(s.path, s.above[len(s.above)-1].path) {
		s.above = s.above[:len(s.above)-1]
	}
	hidden := s.base
	if len(s.above) > 0 {
		hidden = s.above[len(s.above)-1].hidden
	}
	return pathMerge{squash: s, hidden: hidden, beneath: hidden, from: hidden}
}

func (p *pathMerge) leave() {
	if p.beneath > p.from {
		p.above = append(p.above, folder{bytes.Clone(p.path), p.beneath})
	}
}

func under(path, folder []byte) bool {
	return len(path) > len(folder) && path[len(folder)] == '/' && bytes.HasPrefix(path, folder)
}

func (p *pathMerge) see(layer int, e *manifest.Entry) error {
	if layer < p.hidden {
		return nil
	}
	switch e.Kind {
	case manifest.Whiteout:
		p.hidden, p.beneath = max(p.hidden, layer), max(p.beneath, layer)
		return nil
	case manifest.Opaque:
		p.beneath = max(p.beneath, layer)
		return nil
	}
	if e.Kind != manifest.Dir {
		p.beneath = max(p.beneath, layer) // what lay below a folder of this name is gone
	}
	if p.found {
		return nil
	}
	p.found = true
	if len(p.link) > 0 && under(p.path, p.link) {
		p.displaced[string(p.link)] = p.linkLayer
	} else if e.Kind == manifest.Symlink {
		p.link, p.linkLayer = append(p.link[:0], p.path...), layer
	}
	if _, ok := p.concerns[string(p.path)]; ok {
		p.winners[string(p.path)] = layer
	}
	if e.Kind == manifest.HardLink {
		target, from, ok := p.follow(layer, string(e.Link))
		if !ok {
			p.gaps.add(touchstone.Gap{Kind: touchstone.GapCorrupt, Path: string(e.Path), Layer: layer, Reader: "tar",
				Reason: "a hard link to " + printable(string(e.Link)) + ", which is not there"})
			return nil
		}
		if _, ok := p.concerns[from.path]; ok {
			p.others[string(p.path)] = from
		}
		target.Path = e.Path
		e = &target
	}
	return p.out.Add(e)
}

// follow finds the file that a hard link in a layer names: in the layer itself,
// else in those below it, as they look from there.
func (s *squash) follow(layer int, name string) (manifest.Entry, origin, bool) {
	for range maxFollow {
		e, at, ok := s.visible(layer, name)
		if !ok || e.Kind == manifest.Dir {
			return manifest.Entry{}, origin{}, false
		}
		if e.Kind != manifest.HardLink {
			return *e, origin{at, name}, true
		}
		layer, name = at, string(e.Link)
	}
	return manifest.Entry{}, origin{}, false
}

// visible returns what has this name when the layers up to this one are applied.
func (s *squash) visible(layer int, name string) (*manifest.Entry, int, bool) {
	for i := layer; i >= s.base; i-- {
		if e, ok := find(s.layers[i].entries, name); ok {
			return e, i, true
		}
		if i < layer && s.hides(i, name) {
			break
		}
	}
	return nil, 0, false
}

// hides reports whether the layer hides what lower ones have at this path.
func (s *squash) hides(layer int, name string) bool {
	for end := len(name); end > 0; end = lastSlash(name[:end]) {
		c := s.layers[layer].entries.Seek([]byte(name[:end]))
		for c.Next() && string(c.Entry().Path) == name[:end] {
			switch k := c.Entry().Kind; {
			case k == manifest.Whiteout, k == manifest.Opaque && end < len(name), !k.Mark() && k != manifest.Dir && end < len(name):
				return true
			}
		}
	}
	return false
}

// layerCursor walks one layer.
type layerCursor struct {
	*manifest.Cursor
	layer int
}

// layerHeap orders by path, then the highest layer first; a layer's own cursor
// gives its marks before its file.
type layerHeap []layerCursor

func (h layerHeap) Len() int { return len(h) }

func (h layerHeap) Less(i, j int) bool {
	if c := manifest.Compare(h[i].Entry().Path, h[j].Entry().Path); c != 0 {
		return c < 0
	}
	return h[i].layer > h[j].layer
}

func (h layerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *layerHeap) Push(x any) { *h = append(*h, x.(layerCursor)) }

func (h *layerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
