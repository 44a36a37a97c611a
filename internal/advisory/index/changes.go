package index

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"

	"touchstone.dev/touchstone/internal/advisory/wire"
)

// Sum is what is said of one package, in short. Two revisions of the index number
// their holes and sources differently; the sums name them by what they are.
type Sum struct {
	Family, Name string
	key, sum     uint64 // key is Hash of family and name
}

// Summer makes sums that compare with one another: those of one Summer.
type Summer struct {
	Seed maphash.Seed
	// EPSS are the bounds that scores are told apart by, ascending: scores change
	// every day for every hole, and matter when they pass a bound.
	EPSS []float64
}

// Differing returns the sums of the packages of which something else is said than
// before, or nothing any more. Both lists are as Sums returns them.
func Differing(was, is []Sum) []Sum {
	var out []Sum
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].key < is[0].key:
			out, was = append(out, was[0]), was[1:]
		case len(was) == 0 || is[0].key < was[0].key:
			out, is = append(out, is[0]), is[1:]
		default:
			if was[0].sum != is[0].sum {
				out = append(out, is[0])
			}
			was, is = was[1:], is[1:]
		}
	}
	return out
}

// Sums returns those of all packages, by key. It takes about half a second of a
// processor for 250,000 advisories, and shares that among all there are.
func (s Summer) Sums(r *Reader) ([]Sum, error) {
	holes := make([]uint64, r.Holes())
	err := shared(len(holes), func(from, to int) error { return s.holes(r, holes, from, to) })
	if err != nil {
		return nil, err
	}
	ecosystems := make([]uint64, len(r.meta.Ecosystems))
	for i, e := range r.meta.Ecosystems {
		ecosystems[i] = maphash.String(s.Seed, e.Name)
	}
	refs, err := r.packageRefs()
	if err != nil {
		return nil, err
	}
	list := make([]Sum, len(refs))
	err = shared(len(refs), func(from, to int) (err error) {
		defer guard(&err)()
		var b []byte
		for i := from; i < to; i++ {
			body, err := r.packageBytes(refs[i])
			if err != nil {
				return err
			}
			if b, err = list[i].take(r, body, b[:0], s.Seed, holes, ecosystems); err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Sum) int { return cmp.Compare(a.key, b.key) })
	return list, err
}

// shared calls do for parts of n things, on all processors.
func shared(n int, do func(from, to int) error) error {
	parts := runtime.GOMAXPROCS(0)
	errs := make([]error, parts)
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() { errs[i] = do(n*i/parts, n*(i+1)/parts) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// packageRefs returns where the packages lie.
func (r *Reader) packageRefs() (refs []uint32, err error) {
	defer guard(&err)()
	length := r.head.spans[secPackages].len
	for at := uint64(0); at < length; {
		n, width, err := r.packageLength(at)
		if err != nil {
			return nil, err
		}
		refs = append(refs, uint32(at))
		at += uint64(width) + n
	}
	return refs, nil
}

// take reads one package. Versions, ranges and imports lie in it as they are, so
// that their bytes serve; sources, ecosystems and holes are named.
func (one *Sum) take(r *Reader, body, b []byte, seed maphash.Seed, holes, ecosystems []uint64) ([]byte, error) {
	le := binary.LittleEndian
	w := wire.NewReader(body)
	one.Family, one.Name = string(w.Bytes()), string(w.Bytes())
	one.key = Hash(one.Family, one.Name)
	w.Byte()
	w.Uint()
	for range w.Count(1) {
		w.Bytes()
	}
	b = append(b, body[:len(body)-w.Left()]...)
	numbers := make([]uint32, 0, 64)
	for range w.Count(4) {
		flags := w.Byte()
		b = append(b, flags)
		source, err := r.nameBytes(ref(w))
		if err != nil {
			return b, err
		}
		b = append(append(b, source...), 0)
		for _, table := range [][]uint64{ecosystems, holes} {
			numbers = w.Ascending(numbers[:0])
			b = wire.Uint(b, uint64(len(numbers)))
			for _, n := range numbers {
				if int(n) >= len(table) {
					return b, fmt.Errorf("%w: a statement names what is not there", ErrDamaged)
				}
				b = le.AppendUint64(b, table[n])
			}
		}
		rest := w.Left()
		skipDetails(w, flags)
		b = append(b, body[len(body)-rest:len(body)-w.Left()]...)
	}
	if err := w.Err(); err != nil {
		return b, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	one.sum = maphash.Bytes(seed, b)
	return b, nil
}

// skipDetails passes the ranges, versions and imports of a statement.
func skipDetails(w *wire.Reader, flags byte) {
	if flags&flagRanges != 0 {
		for range w.Count(1) {
			for range w.Count(1) {
				w.Uint()
			}
		}
	}
	if flags&flagExact != 0 {
		w.Ascending(nil)
	}
	if flags&flagImports != 0 {
		for range w.Count(4) {
			w.Bytes()
			for range 3 {
				for range w.Count(1) {
					w.Bytes()
				}
			}
		}
	}
}

// holes makes the sums of some holes, by number. Where a hole is mentioned belongs
// to the packages, and is left out.
func (s Summer) holes(r *Reader, sums []uint64, from, to int) (err error) {
	defer guard(&err)()
	b := make([]byte, 0, 1024)
	for n := from; n < to; n++ {
		record, err := r.holeBytes(uint32(n))
		if err != nil {
			return err
		}
		if b, err = s.takeHole(r, record, b[:0]); err != nil {
			return err
		}
		sums[n] = maphash.Bytes(s.Seed, b)
	}
	return nil
}

// takeHole appends what a hole is, in the order of appendHole: names instead of
// their refs, and of the EPSS score between which bounds it lies.
func (s Summer) takeHole(r *Reader, record, b []byte) ([]byte, error) {
	w := wire.NewReader(record)
	for range w.Count(1) {
		name, err := r.nameBytes(ref(w))
		if err != nil {
			return b, err
		}
		b = append(append(b, name...), 0)
	}
	from := len(record) - w.Left()
	raw := func() { b = append(b, record[from:len(record)-w.Left()]...) }
	flags := w.Byte() &^ holeEPSS
	b, from = append(b, flags), from+1
	flags |= record[from-1]
	if flags&holeScored != 0 {
		w.Byte()
		w.Bytes()
	}
	if flags&holeVector != 0 {
		w.Bytes()
	}
	raw()
	var epss float64
	if flags&holeEPSS != 0 {
		epss = float64(w.Uint()) / 1e6
	}
	bound, _ := slices.BinarySearch(s.EPSS, epss)
	b = wire.Uint(b, uint64(bound))
	from = len(record) - w.Left()
	if flags&holeSSVC != 0 {
		for range 4 {
			w.Bytes()
		}
	}
	w.Uint()
	w.Uint()
	w.Bytes()
	raw()
	if err := w.Err(); err != nil {
		return b, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return b, nil
}
