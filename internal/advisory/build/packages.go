package build

import (
	"context"
	"encoding/binary"
	"slices"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone/internal/advisory/index"
	"touchstone.dev/touchstone/internal/advisory/wire"
)

// A part is what is said of some of the packages: those whose hash begins with
// the same bits. As many parts are in memory at once as there are workers.
const (
	partSize = 2 << 20 // bytes of spilled records, about
	mostBits = 8
)

// partBits returns how many bits choose the part of a package.
func (g *gathered) partBits() int {
	var size int64
	for _, s := range g.spills {
		size += s.size
	}
	bits := 0
	for size>>bits > partSize && bits < mostBits {
		bits++
	}
	return bits
}

func partOf(hash uint64, bits int) int { return int(hash >> 1 >> (63 - bits)) }

// writePackages sorts what was said by package and writes it.
func (b *builder) writePackages(ctx context.Context, g *gathered, m *merged, w *index.Writer, meta *index.Meta) error {
	bits := g.partBits()
	files := make([]*spill, 1<<bits)
	defer func() {
		for _, f := range files {
			f.close()
		}
	}()
	for i := range files {
		var err error
		if files[i], err = newSpill(b.dir, 1<<14); err != nil {
			return err
		}
	}
	if err := m.sortOut(g, files, bits, meta); err != nil {
		return err
	}
	mentioned := make([][]uint32, len(m.holes))
	for from := 0; from < len(files); from += b.workers {
		to := min(from+b.workers, len(files))
		built := make([][]*index.Package, to-from)
		var group errgroup.Group
		for i := from; i < to; i++ {
			group.Go(func() (err error) {
				built[i-from], err = packagesOf(files[i])
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, list := range built {
			for _, p := range list {
				ref, err := w.AddPackage(p)
				if err != nil {
					return err
				}
				meta.Packages++
				for i := range p.Statements {
					for _, h := range p.Statements[i].Holes {
						if l := mentioned[h]; len(l) == 0 || l[len(l)-1] != ref {
							mentioned[h] = append(l, ref)
						}
					}
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for h := range m.holes {
		m.holes[h].Packages = mentioned[h]
	}
	return w.EndPackages()
}

// sortOut reads every record once more and puts what it says of each package
// into the package's part.
func (m *merged) sortOut(g *gathered, files []*spill, bits int, meta *index.Meta) error {
	numbers := map[string]uint32{}
	var buf []byte
	for i := range g.records {
		t := &m.tied[i]
		if len(t.holes) == 0 {
			continue
		}
		r, err := g.read(&g.records[i])
		if err != nil {
			return err
		}
		c := readCondensed(r)
		if r.Err() != nil {
			return r.Err()
		}
		for j := range c.said {
			s := &c.said[j]
			ecosystems := make([]uint32, 0, len(s.ecosystems))
			for _, name := range s.ecosystems {
				n, ok := numbers[name]
				if !ok {
					n = uint32(len(numbers))
					numbers[name] = n
					meta.Ecosystems = append(meta.Ecosystems, index.Ecosystem{Name: name})
				}
				meta.Ecosystems[n].Statements++
				ecosystems = append(ecosystems, n)
			}
			slices.Sort(ecosystems)
			hash := index.Hash(s.family, s.name)
			buf = binary.LittleEndian.AppendUint64(buf[:0], hash)
			buf = wire.String(buf, s.family)
			buf = wire.String(buf, s.name)
			buf = wire.Uint(buf, uint64(m.refs[t.name]))
			buf = appendBool(buf, len(c.id) > 3 && c.id[:3] == "GO-")
			buf = wire.Ascending(buf, ecosystems)
			buf = wire.Ascending(buf, t.holes)
			buf = s.appendBody(buf)
			f := files[partOf(hash, bits)]
			if _, err := f.add(binary.AppendUvarint(nil, uint64(len(buf)))); err != nil {
				return err
			}
			if _, err := f.add(buf); err != nil {
				return err
			}
		}
	}
	for _, f := range files {
		if err := f.flush(); err != nil {
			return err
		}
	}
	return nil
}

// packagesOf makes the packages of one part, by rising hash.
func packagesOf(f *spill) ([]*index.Package, error) {
	b, err := f.read(0, int(f.size))
	if err != nil {
		return nil, err
	}
	f.close()
	f.buf = nil
	type key struct{ family, name string }
	type rough struct {
		key
		hash uint64
		said []statement
	}
	byKey := map[key]*rough{}
	var list []*rough
	for all := wire.NewReader(b); all.Left() > 0; {
		record := all.Bytes()
		if all.Err() != nil || len(record) < 8 {
			return nil, wire.ErrMalformed
		}
		r := wire.NewReader(record[8:])
		k := key{r.String(), r.String()}
		p := byKey[k]
		if p == nil {
			p = &rough{key: k, hash: binary.LittleEndian.Uint64(record)}
			byKey[k] = p
			list = append(list, p)
		}
		var s statement
		s.Source, s.Symbolic = uint32(r.Uint()), r.Byte() == 1
		s.Ecosystems, s.Holes = r.Ascending(nil), r.Ascending(nil)
		s.readBody(r)
		if err := r.Err(); err != nil {
			return nil, err
		}
		p.said = append(p.said, s)
	}
	slices.SortFunc(list, func(a, b *rough) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		case a.family+a.name < b.family+b.name:
			return -1
		}
		return 1
	})
	packages := make([]*index.Package, 0, len(list))
	for _, p := range list {
		packages = append(packages, packageOf(p.family, p.name, p.said))
	}
	return packages, nil
}
