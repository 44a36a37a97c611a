package inspect

import (
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/surface"
	"touchstone.dev/touchstone/internal/manifest"
)

// merged is the artifact after its layers are squashed. It is a surface.Tree.
type merged struct {
	*inspection
	*squash
	manifest *manifest.Reader
	names    map[origin]string // a hard link that is left, by where its content comes from
	unnamed  []string          // installed things without the file that names them
	err      error             // the manifest could not be read
}

// remains says under which name the file that a layer has at this path is left
// in the artifact, if it is: its own, or that of a hard link to it.
func (m *merged) remains(layer int, path string) (string, bool) {
	if at, ok := m.winners[path]; ok && at == layer {
		return path, true
	}
	name, ok := m.names[origin{layer, path}]
	return name, ok
}

// packages returns the packages whose proof is left, each with the layer that
// brought it in, but those that a package of the distribution owns.
func (m *merged) packages() []touchstone.Package {
	var out []touchstone.Package
	first := m.firstLayers()
	for i, l := range m.squash.layers {
		for _, p := range l.record.Packages {
			name, ok := m.remains(i, p.Path)
			if !ok {
				continue
			}
			p.Layer = i
			if fromDatabase(&p) {
				p.Layer = first[databaseEntry{p.Path, p.Name, p.Version, p.PURL}]
			}
			p.Path = name
			out = append(out, p)
		}
	}
	owned := m.owned(out)
	kept := out[:0]
	for _, p := range out {
		if at, ok := owned[p.Path]; ok && at >= p.Layer && !fromDatabase(&p) {
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// databaseEntry is a package as a package manager's database has it.
type databaseEntry struct{ path, name, version, purl string }

// firstLayers says in which layer's database a package was first seen: the ones
// above only repeat it.
func (m *merged) firstLayers() map[databaseEntry]int {
	first := map[databaseEntry]int{}
	for i, l := range m.squash.layers {
		for j := range l.record.Packages {
			if p := &l.record.Packages[j]; fromDatabase(p) {
				key := databaseEntry{p.Path, p.Name, p.Version, p.PURL}
				if _, ok := first[key]; !ok {
					first[key] = i
				}
			}
		}
	}
	return first
}

// owned says, of the paths of packages and gaps, which belong to a package of
// the distribution, by the last layer whose database says so. A file that a
// later layer put over one of the distribution's is not the distribution's.
func (m *merged) owned(pkgs []touchstone.Package) map[string]int {
	asked := map[string]struct{}{}
	for i := range pkgs {
		asked[pkgs[i].Path] = struct{}{}
	}
	for _, l := range m.squash.layers {
		for i := range l.record.Gaps {
			asked[l.record.Gaps[i].Path] = struct{}{}
		}
	}
	disowned := map[string]bool{}
	for i, l := range m.squash.layers {
		for p, lists := range l.record.Disowned {
			if _, ok := m.remains(i, p); ok {
				for _, list := range lists {
					disowned[list] = true
				}
			}
		}
	}
	owned := map[string]int{}
	for i, l := range m.squash.layers {
		for p, paths := range l.record.Owned {
			if _, ok := m.remains(i, p); !ok || disowned[p] {
				continue
			}
			for _, path := range paths {
				if _, ok := asked[path]; ok {
					owned[path] = i
				}
			}
		}
	}
	return owned
}

// secrets returns all secrets, also those in files that later layers hide:
// whoever has the artifact has the layers.
func (m *merged) secrets() []touchstone.Secret {
	var out []touchstone.Secret
	for i, l := range m.squash.layers {
		for _, s := range l.record.Secrets {
			s.Layer = i
			_, ok := m.remains(i, s.Path)
			s.Buried = !ok
			out = append(out, s)
		}
	}
	return out
}

// allGaps returns the gaps of the config, of the layers' stored forms, of the
// merge, and of the files that are left and do not belong to a package of the
// distribution.
func (m *merged) allGaps() []touchstone.Gap {
	out := slices.Concat(m.image.gaps, m.squash.gaps.all())
	owned := m.owned(nil)
	for i, l := range m.squash.layers {
		for _, g := range l.forms {
			g.Layer = i
			out = append(out, g)
		}
		for _, g := range l.record.Gaps {
			g.Layer = i
			if m.excused(i, &g, owned) {
				continue
			}
			out = append(out, g)
		}
	}
	return out
}

// excused reports whether a gap concerns a file that nobody will meet, or whose
// software is known from the distribution's database. What is wrong with the
// archive itself is never excused.
func (m *merged) excused(layer int, g *touchstone.Gap, owned map[string]int) bool {
	if g.Path == "" || g.Kind == touchstone.GapFalse || g.Reader == "tar" || g.Reader == "layer" {
		return false
	}
	if at, ok := owned[g.Path]; ok && at >= layer && g.Reader != "surface" && g.Reader != "secrets" {
		return true
	}
	if _, ok := find(m.squash.layers[layer].entries, g.Path); !ok {
		return false // it names something inside a file
	}
	_, ok := m.remains(layer, g.Path)
	return !ok
}

// Entries walks the tree. SHA-256s are left out but of what can be executed:
// millions of strings would be made for nothing.
func (m *merged) Entries() iter.Seq[*surface.Entry] {
	return func(yield func(*surface.Entry) bool) {
		c := m.manifest.Start()
		for c.Next() {
			e := c.Entry()
			e.Hashed = e.Hashed && e.Exec != manifest.ExecNone
			out := &surface.Entry{File: e.File()}
			if e.Kind == manifest.Regular {
				out.Facts, out.Capability = m.known(out.Path)
				m.noteUnnamed(out)
			}
			if !yield(out) {
				return
			}
		}
		if err := c.Err(); err != nil {
			m.err = err
		}
	}
}

// known returns what is known of the file that is left at this path.
func (m *merged) known(path string) (*surface.Facts, []byte) {
	var facts *surface.Facts
	var capability []byte
	look := func(layer int, name string) {
		r := &m.squash.layers[layer].record
		if f, ok := r.Facts[name]; ok && facts == nil {
			facts = &f
		}
		if capability == nil {
			capability = r.Capabilities[name]
		}
	}
	if layer, ok := m.winners[path]; ok {
		look(layer, path)
	}
	if from, ok := m.others[path]; ok {
		look(from.layer, from.path)
	}
	return facts, capability
}

// Find returns the entry at exactly this path.
func (m *merged) Find(path string) (touchstone.File, bool) {
	f, ok, err := m.manifest.Lookup(path)
	if err != nil {
		m.err = err
	}
	return f, ok
}

// open returns the content of a small file that was kept, following links.
func (m *merged) open(name string) ([]byte, error) {
	resolved, ok := m.resolve(name)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if layer, ok := m.winners[resolved]; ok {
		if content, ok := m.squash.layers[layer].record.Kept[resolved]; ok {
			return content, nil
		}
	}
	if from, ok := m.others[resolved]; ok {
		if content, ok := m.squash.layers[from.layer].record.Kept[from.path]; ok {
			return content, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// resolve follows symbolic links within the artifact.
func (m *merged) resolve(name string) (string, bool) {
	at, ok, err := resolve(m.manifest, name)
	if err != nil {
		m.err = err
	}
	return at, ok
}

// resolve follows symbolic links as if the root of the manifest were "/". What
// is not there resolves to itself.
func resolve(r *manifest.Reader, name string) (string, bool, error) {
	done, rest := "", name
	for follow := 0; rest != ""; {
		component, after, _ := strings.Cut(rest, "/")
		rest = after
		switch component {
		case "", ".":
			continue
		case "..":
			done = strings.TrimPrefix(path.Dir("/"+done), "/")
			continue
		}
		at := strings.TrimPrefix(done+"/"+component, "/")
		f, ok, err := r.Lookup(at)
		if err != nil {
			return "", false, err
		}
		if ok && f.Kind == touchstone.FileSymlink {
			if follow++; follow > maxFollow {
				return "", false, nil
			}
			if strings.HasPrefix(f.Link, "/") {
				done = ""
			}
			rest = strings.TrimSuffix(f.Link+"/"+rest, "/")
			continue
		}
		done = at
	}
	return done, done != "", nil
}
