package index

// Place is where a version lies among the versions of a package: known by its
// position where they are in order, else by comparing with each.
type Place struct {
	// pos is 2i+1 when the version equals that of rank i, and 2i when it lies
	// just below it.
	pos int
	// signs says for each rank whether the version is lower, equal or higher;
	// nil where pos tells.
	signs      []int8
	comparable int
	unknown    bool // the version itself could not be read
}

// Unknown is the place of a version that cannot be compared.
func Unknown() Place { return Place{unknown: true} }

// At is the place of the version of rank i itself, among comparable ones.
func At(i, comparable int) Place { return Place{pos: 2*i + 1, comparable: comparable} }

// Find places a version among n that are in order; compare tells how it compares
// with that of rank i.
func Find(n int, compare func(i int) (int, error)) (Place, error) {
	low, high := 0, n
	for low < high {
		mid := (low + high) / 2
		c, err := compare(mid)
		switch {
		case err != nil:
			return Place{}, err
		case c == 0:
			return At(mid, n), nil
		case c < 0:
			high = mid
		default:
			low = mid + 1
		}
	}
	return Place{pos: 2 * low, comparable: n}, nil
}

// FindEach places a version among n that are in no reliable order.
func FindEach(n int, compare func(i int) (int, error)) (Place, error) {
	p := Place{signs: make([]int8, n), comparable: n}
	for i := range n {
		c, err := compare(i)
		if err != nil {
			return Place{}, err
		}
		p.signs[i] = int8(c)
	}
	return p, nil
}

// Compare reports whether the place is lower than, equal to or higher than the
// version of a rank; ok is false where that is unknown.
func (p Place) Compare(rank int) (c int, ok bool) {
	switch {
	case rank == Beginning:
		return 1, true
	case p.unknown || rank >= p.comparable:
		return 0, false
	case p.signs != nil:
		return int(p.signs[rank]), true
	}
	switch at := 2*rank + 1; {
	case p.pos < at:
		return -1, true
	case p.pos > at:
		return 1, true
	}
	return 0, true
}

// Answer is whether something holds, as far as it can be known.
type Answer uint8

// The answers.
const (
	No Answer = iota
	Maybe
	Yes
)

// Holds reports whether any of the ranges holds the place (OSV schema 1.7,
// "Evaluation"). Events are in the order of their ranks.
func Holds(ranges []Range, p Place) Answer {
	best := No
	for _, r := range ranges {
		best = max(best, r.holds(p))
	}
	return best
}

func (r Range) holds(p Place) Answer {
	inside, limits, below := false, false, false
	for _, e := range r {
		c, ok := p.Compare(e.Rank)
		if !ok {
			return Maybe
		}
		switch e.Kind {
		case Introduced:
			inside = inside || c >= 0
		case Fixed:
			inside = inside && c < 0
		case LastAffected:
			inside = inside && c <= 0
		case Limit:
			limits = true
			below = below || c < 0
		}
	}
	if inside && (!limits || below) {
		return Yes
	}
	return No
}

// Affects reports whether the statement calls a version vulnerable: by a range,
// or by listing it. text is the version as written.
func (s *Statement) Affects(p Place, text string, versions []string) Answer {
	if s.NotAffected {
		return No
	}
	answer := Holds(s.Ranges, p)
	for _, rank := range s.Exact {
		if answer == Yes {
			break
		}
		if versions[rank] == text {
			return Yes
		}
		if c, ok := p.Compare(int(rank)); ok && c == 0 {
			return Yes
		}
	}
	return answer
}

// Known reports whether the version could be read at all.
func (p Place) Known() bool { return !p.unknown }

// Describe writes a range for people, one text for each stretch of vulnerable
// versions: ">= 1.2.0, < 1.2.5", or "every version".
func (r Range) Describe(versions []string) []string {
	var list []string
	from, open := "", false
	limit := ""
	for _, e := range r {
		v := "0"
		if e.Rank != Beginning {
			v = versions[e.Rank]
		}
		switch e.Kind {
		case Introduced:
			if !open {
				from, open = "", true
				if e.Rank != Beginning {
					from = ">= " + v
				}
			}
		case Fixed, LastAffected:
			if !open {
				continue
			}
			bound := "< " + v
			if e.Kind == LastAffected {
				bound = "<= " + v
			}
			if from != "" {
				bound = from + ", " + bound
			}
			list, open = append(list, bound), false
		case Limit:
			limit = "< " + v
		}
	}
	if open {
		switch {
		case from == "" && limit == "":
			list = append(list, "every version")
		case from == "":
			list = append(list, limit)
		case limit == "":
			list = append(list, from)
		default:
			list = append(list, from+", "+limit)
		}
	}
	return list
}
