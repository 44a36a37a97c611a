package index

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"sync"

	"touchstone.dev/touchstone/internal/advisory/wire"
)

// Sum is what is said of one package, in short. Two revisions of the index number
// their holes and sources differently; the sums name them by what they are.
type Sum struct {
	key uint64 // Hash of family and name
	sum uint64
	Ref uint32 // for PackageAt
}

// Summer makes sums that compare with one another: those of one Summer.
type Summer struct {
	Seed maphash.Seed
	// EPSS are the bounds that scores are told apart by, ascending: scores change
	// every day for every hole, and matter when they pass a bound.
	EPSS []float64
}

// Changed returns the refs, each in its own reader, of the packages of which
// something else is said than before.
func (s Summer) Changed(before, now *Reader) (gone, fresh []uint32, err error) {
	var was, is []Sum
	var errWas, errIs error
	var both sync.WaitGroup
	both.Go(func() { was, errWas = s.sums(before) })
	both.Go(func() { is, errIs = s.sums(now) })
	both.Wait()
	if errWas != nil {
		return nil, nil, errWas
	}
	if errIs != nil {
		return nil, nil, errIs
	}
	// Both are in the order of their keys.
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].key < is[0].key:
			gone, was = append(gone, was[0].Ref), was[1:]
		case len(was) == 0 || is[0].key < was[0].key:
			fresh, is = append(fresh, is[0].Ref), is[1:]
		default:
			if was[0].sum != is[0].sum {
				fresh = append(fresh, is[0].Ref)
			}
			was, is = was[1:], is[1:]
		}
	}
	return gone, fresh, nil
}

// sums returns those of all packages, by key.
func (s Summer) sums(r *Reader) (list []Sum, err error) {
	defer guard(&err)()
	holes, err := s.holes(r)
	if err != nil {
		return nil, err
	}
	ecosystems := make([]uint64, len(r.meta.Ecosystems))
	for i, e := range r.meta.Ecosystems {
		ecosystems[i] = maphash.String(s.Seed, e.Name)
	}
	length := r.head.spans[secPackages].len
	var b []byte
	for at := uint64(0); at < length; {
		head, err := r.bytes(secPackages, at, min(10, length-at))
		if err != nil {
			return nil, err
		}
		n, width := binary.Uvarint(head)
		if width <= 0 || at > math.MaxUint32 {
			return nil, fmt.Errorf("%w: a package is cut short", ErrDamaged)
		}
		body, err := r.bytes(secPackages, at+uint64(width), n)
		if err != nil {
			return nil, err
		}
		one := Sum{Ref: uint32(at)}
		if b, err = one.take(r, body, b[:0], s.Seed, holes, ecosystems); err != nil {
			return nil, err
		}
		list = append(list, one)
		at += uint64(width) + n
	}
	slices.SortFunc(list, func(a, b Sum) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	return list, nil
}

// take reads one package. Versions, ranges and imports lie in it as they are, so
// that their bytes serve; sources, ecosystems and holes are named.
func (one *Sum) take(r *Reader, body, b []byte, seed maphash.Seed, holes, ecosystems []uint64) ([]byte, error) {
	le := binary.LittleEndian
	w := wire.NewReader(body)
	family, name := string(w.Bytes()), string(w.Bytes())
	one.key = Hash(family, name)
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

// holes returns the sums of all holes, by number. Where a hole is mentioned
// belongs to the packages, and is left out.
func (s Summer) holes(r *Reader) ([]uint64, error) {
	sums := make([]uint64, r.Holes())
	b := make([]byte, 0, 1024)
	for n := range sums {
		record, err := r.holeBytes(uint32(n))
		if err != nil {
			return nil, err
		}
		if b, err = s.takeHole(r, record, b[:0]); err != nil {
			return nil, err
		}
		sums[n] = maphash.Bytes(s.Seed, b)
	}
	return sums, nil
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
