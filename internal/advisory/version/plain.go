package version

// plain is a version of nothing but small numbers between dots ("1.24.3"), the
// most frequent form by far. Two of the same length order alike in every
// ecosystem, so the library need not be asked. Alpine's may also have a letter
// and a build ("1.1.1d-r3"), and missing numbers count as zero there. Laws in
// the tests keep the answers the library's.
type plain struct {
	n      int // how many numbers; 0 when the version is of another form
	parts  [5]uint32
	letter byte
	build  uint32
	apk    bool
}

func parsePlain(text string, apk bool) plain {
	p := plain{apk: apk}
	i := 0
	for p.n < len(p.parts) {
		value, width := number(text[i:])
		if width == 0 {
			return plain{}
		}
		p.parts[p.n] = value
		p.n++
		if i += width; i == len(text) || text[i] != '.' {
			break
		}
		i++
	}
	if apk && i < len(text) && text[i] >= 'a' && text[i] <= 'z' {
		p.letter = text[i]
		i++
	}
	if apk && len(text)-i > 2 && text[i:i+2] == "-r" {
		value, width := number(text[i+2:])
		if width == 0 {
			return plain{}
		}
		p.build, i = value, i+2+width
	}
	if i != len(text) {
		return plain{}
	}
	return p
}

// number reads a number of at most nine digits. One with a leading zero is none,
// because the zero means something in some ecosystems.
func number(s string) (value uint32, width int) {
	for width < len(s) && digit(s[width]) {
		if width == 9 || width == 1 && value == 0 {
			return 0, 0
		}
		value = value*10 + uint32(s[width]-'0')
		width++
	}
	return value, width
}

// comparable reports whether the short cut holds for two versions.
func (p *plain) comparable(q *plain) bool {
	return p.n > 0 && q.n > 0 && (p.n == q.n || p.apk && q.apk)
}

func (p *plain) compare(q *plain) int {
	for i := range max(p.n, q.n) {
		if p.parts[i] != q.parts[i] {
			return less(p.parts[i] < q.parts[i])
		}
	}
	switch {
	case p.letter != q.letter:
		return less(p.letter < q.letter)
	case p.build != q.build:
		return less(p.build < q.build)
	}
	return 0
}

func less(yes bool) int {
	if yes {
		return -1
	}
	return 1
}
