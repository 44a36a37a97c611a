package index

import (
	"fmt"
	"math"
	"time"

	"touchstone.dev/touchstone/internal/advisory/wire"
)

const (
	flagNotAffected = 1 << iota
	flagWontFix
	flagSymbolic
	flagRanges
	flagExact
	flagImports
)

const (
	holeScored = 1 << iota
	holeKnownExploited
	holeEPSS
	holeSSVC
	holeVector
)

func appendPackage(b []byte, p *Package) []byte {
	var body []byte
	body = wire.String(body, p.Family)
	body = wire.String(body, p.Name)
	ordered := byte(0)
	if p.Ordered {
		ordered = 1
	}
	body = append(body, ordered)
	body = wire.Uint(body, uint64(p.Comparable))
	body = wire.Strings(body, p.Versions)
	body = wire.Uint(body, uint64(len(p.Statements)))
	for i := range p.Statements {
		body = appendStatement(body, &p.Statements[i])
	}
	b = wire.Uint(b, uint64(len(body)))
	return append(b, body...)
}

func appendStatement(b []byte, s *Statement) []byte {
	flags := byte(0)
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	set(s.NotAffected, flagNotAffected)
	set(s.WontFix, flagWontFix)
	set(s.Symbolic, flagSymbolic)
	set(len(s.Ranges) > 0, flagRanges)
	set(len(s.Exact) > 0, flagExact)
	set(len(s.Imports) > 0, flagImports)
	b = append(b, flags)
	b = wire.Uint(b, uint64(s.Source))
	b = wire.Ascending(b, s.Ecosystems)
	b = wire.Ascending(b, s.Holes)
	if flags&flagRanges != 0 {
		b = wire.Uint(b, uint64(len(s.Ranges)))
		for _, r := range s.Ranges {
			b = wire.Uint(b, uint64(len(r)))
			for _, e := range r {
				b = wire.Uint(b, uint64(e.Rank+1)<<2|uint64(e.Kind))
			}
		}
	}
	if flags&flagExact != 0 {
		b = wire.Ascending(b, s.Exact)
	}
	if flags&flagImports != 0 {
		b = wire.Uint(b, uint64(len(s.Imports)))
		for _, im := range s.Imports {
			b = wire.String(b, im.Path)
			b = wire.Strings(b, im.Symbols)
			b = wire.Strings(b, im.GOOS)
			b = wire.Strings(b, im.GOARCH)
		}
	}
	return b
}

func decodePackage(b []byte) (*Package, error) {
	r := wire.NewCopy(b)
	p := &Package{Family: r.String(), Name: r.String(), Ordered: r.Byte() == 1}
	p.Comparable = int(min(r.Uint(), math.MaxInt32))
	p.Versions = r.Strings()
	if p.Comparable > len(p.Versions) {
		r.Fail("more versions compare than there are")
	}
	n := r.Count(4)
	d := statements{Reader: r, versions: len(p.Versions), numbers: make([]uint32, 0, 4*n), ranges: make([]Range, 0, n), events: make([]Event, 0, 3*n)}
	p.Statements = make([]Statement, n)
	for i := range p.Statements {
		d.decode(&p.Statements[i])
	}
	if r.Left() > 0 {
		r.Fail("something follows the last statement")
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return p, nil
}

// statements decodes the statements of a package. A package may have thousands,
// each with three or four short lists: they share their memory.
type statements struct {
	*wire.Reader
	versions int
	numbers  []uint32
	ranges   []Range
	events   []Event
}

func (d *statements) decode(s *Statement) {
	flags := d.Byte()
	s.NotAffected = flags&flagNotAffected != 0
	s.WontFix = flags&flagWontFix != 0
	s.Symbolic = flags&flagSymbolic != 0
	s.Source = ref(d.Reader)
	s.Ecosystems = d.ascending()
	s.Holes = d.ascending()
	if flags&flagRanges != 0 {
		from := len(d.ranges)
		for range d.Count(1) {
			d.ranges = append(d.ranges, d.oneRange())
		}
		s.Ranges = d.ranges[from:len(d.ranges):len(d.ranges)]
	}
	if flags&flagExact != 0 {
		s.Exact = d.ascending()
		if n := len(s.Exact); n > 0 && int(s.Exact[n-1]) >= d.versions {
			d.Fail("a statement names no version")
		}
	}
	if flags&flagImports != 0 {
		for range d.Count(4) {
			s.Imports = append(s.Imports, Import{Path: d.String(), Symbols: d.Strings(), GOOS: d.Strings(), GOARCH: d.Strings()})
		}
	}
}

func (d *statements) oneRange() Range {
	from := len(d.events)
	for range d.Count(1) {
		v := d.Uint()
		if v>>2 > uint64(d.versions) {
			d.Fail("an event names no version")
			return nil
		}
		d.events = append(d.events, Event{Kind: EventKind(v & 3), Rank: int(v>>2) - 1})
	}
	return d.events[from:len(d.events):len(d.events)]
}

func (d *statements) ascending() []uint32 {
	from := len(d.numbers)
	list := d.Ascending(d.numbers)
	if len(list) <= from {
		return nil
	}
	d.numbers = list
	return list[from:len(list):len(list)]
}

func ref(r *wire.Reader) uint32 {
	v := r.Uint()
	if v > math.MaxUint32 {
		r.Fail("a reference is too large")
	}
	return uint32(v)
}

func appendHole(b []byte, h *Hole, names []uint32) []byte {
	b = wire.Uint(b, uint64(len(names)))
	for _, n := range names {
		b = wire.Uint(b, uint64(n))
	}
	flags := byte(0)
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	set(h.Scored, holeScored)
	set(h.KnownExploited, holeKnownExploited)
	set(h.EPSS > 0, holeEPSS)
	set(h.SSVC.Source != "", holeSSVC)
	set(h.Vector != "", holeVector)
	b = append(b, flags)
	if h.Scored {
		b = append(b, byte(math.Round(h.Score*10)))
		b = wire.String(b, h.ScoreSource)
	}
	if flags&holeVector != 0 {
		b = wire.String(b, h.Vector)
	}
	if flags&holeEPSS != 0 {
		b = wire.Uint(b, uint64(math.Round(h.EPSS*1e6)))
	}
	if flags&holeSSVC != 0 {
		b = wire.String(b, h.SSVC.Exploitation)
		b = wire.String(b, h.SSVC.Automatable)
		b = wire.String(b, h.SSVC.TechnicalImpact)
		b = wire.String(b, h.SSVC.Source)
	}
	b = appendTime(b, h.Published)
	b = appendTime(b, h.Modified)
	b = wire.String(b, h.Summary)
	return wire.Ascending(b, h.Packages)
}

// decodeHole returns the hole without its names, and their refs.
func decodeHole(r *wire.Reader) (*Hole, []uint32, error) {
	h := &Hole{}
	n := r.Count(1)
	names := make([]uint32, 0, n)
	for range n {
		names = append(names, ref(r))
	}
	flags := r.Byte()
	h.Scored = flags&holeScored != 0
	h.KnownExploited = flags&holeKnownExploited != 0
	if h.Scored {
		h.Score = float64(r.Byte()) / 10
		h.ScoreSource = r.String()
	}
	if flags&holeVector != 0 {
		h.Vector = r.String()
	}
	if flags&holeEPSS != 0 {
		h.EPSS = float64(r.Uint()) / 1e6
	}
	if flags&holeSSVC != 0 {
		h.SSVC.Exploitation = r.String()
		h.SSVC.Automatable = r.String()
		h.SSVC.TechnicalImpact = r.String()
		h.SSVC.Source = r.String()
	}
	h.Published, h.Modified = readTime(r), readTime(r)
	h.Summary = r.String()
	h.Packages = r.Ascending(nil)
	if r.Err() == nil && (h.Score > 10 || h.EPSS > 1 || len(names) == 0) {
		r.Fail("a score is out of bounds, or a hole has no name")
	}
	if err := r.Err(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return h, names, nil
}

// Times are whole seconds since 1990, before which no advisory was published;
// 0 is the zero time.
const year1990 = 631152000

func appendTime(b []byte, t time.Time) []byte {
	if s := t.Unix(); !t.IsZero() && s > year1990 {
		return wire.Uint(b, uint64(s-year1990))
	}
	return wire.Uint(b, 0)
}

func readTime(r *wire.Reader) time.Time {
	v := r.Uint()
	if v == 0 || v > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(v)+year1990, 0).UTC()
}
