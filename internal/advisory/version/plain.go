package version

// plain is a version of nothing but small numbers between dots ("1.24.3"), the
// most frequent form by far. Two of the same length order alike in every
// ecosystem, so the library need not be asked; a law in the tests keeps it so.
type plain struct {
	n     int // how many numbers; 0 when the version is of another form
	parts [4]uint32
}

func parsePlain(text string) plain {
	var p plain
	value, digits := uint32(0), 0
	for i := 0; i <= len(text); i++ {
		if i == len(text) || text[i] == '.' {
			if digits == 0 || p.n == len(p.parts) {
				return plain{}
			}
			p.parts[p.n] = value
			p.n++
			value, digits = 0, 0
			continue
		}
		c := text[i]
		// A leading zero means something in some ecosystems (Alpine).
		if c < '0' || c > '9' || digits == 9 || digits > 0 && value == 0 {
			return plain{}
		}
		value = value*10 + uint32(c-'0')
		digits++
	}
	return p
}

func (p *plain) compare(q *plain) int {
	for i := range p.n {
		switch {
		case p.parts[i] < q.parts[i]:
			return -1
		case p.parts[i] > q.parts[i]:
			return 1
		}
	}
	return 0
}
