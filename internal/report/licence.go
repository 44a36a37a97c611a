package report

import (
	_ "embed"
	"strings"
)

// licenceList holds the identifiers of the SPDX licence list, one on each line,
// exceptions included.
//
//go:embed licences.txt
var licenceList string

// licences knows the SPDX licence list: identifiers in lower case, because case
// does not matter (SPDX 2.3, annex D.2), to the way in which they are written.
type licences map[string]string

func knownLicences() licences {
	l := licences{}
	for id := range strings.Lines(licenceList) {
		id = strings.TrimSpace(id)
		l[strings.ToLower(id)] = id
	}
	return l
}

// id returns the identifier as the list writes it.
func (l licences) id(s string) (string, bool) {
	id, known := l[strings.ToLower(s)]
	return id, known
}

// expression returns s as an SPDX licence expression (SPDX 2.3, annex D), and
// false when it is none or names something that is not on the list.
func (l licences) expression(s string) (string, bool) {
	s = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)
	p := licenceParser{known: l, words: strings.Fields(s)}
	ok := p.or() && len(p.words) == 0
	return strings.Join(p.out, ""), ok
}

// licenceParser reads an expression from left to right; out gathers it in its
// usual form.
type licenceParser struct {
	known licences
	words []string
	out   []string
	depth int
}

func (p *licenceParser) take(word string) bool {
	if len(p.words) == 0 || !strings.EqualFold(p.words[0], word) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *licenceParser) or() bool {
	if !p.and() {
		return false
	}
	for p.take("OR") {
		p.out = append(p.out, " OR ")
		if !p.and() {
			return false
		}
	}
	return true
}

func (p *licenceParser) and() bool {
	if !p.one() {
		return false
	}
	for p.take("AND") {
		p.out = append(p.out, " AND ")
		if !p.one() {
			return false
		}
	}
	return true
}

// deepest bounds parentheses: the expression comes from a stranger.
const deepest = 20

func (p *licenceParser) one() bool {
	if p.take("(") {
		p.depth++
		p.out = append(p.out, "(")
		if p.depth > deepest || !p.or() || !p.take(")") {
			return false
		}
		p.depth--
		p.out = append(p.out, ")")
		return true
	}
	if !p.name(true) {
		return false
	}
	if p.take("WITH") {
		p.out = append(p.out, " WITH ")
		return p.name(false)
	}
	return true
}

// name takes the identifier of a licence, or of an exception after WITH.
func (p *licenceParser) name(licence bool) bool {
	if len(p.words) == 0 {
		return false
	}
	word, plus := p.words[0], ""
	id, known := p.known.id(word)
	if !known && licence && strings.HasSuffix(word, "+") {
		plus = "+"
		id, known = p.known.id(strings.TrimSuffix(word, "+"))
	}
	p.words = p.words[1:]
	p.out = append(p.out, id+plus)
	if licence && strings.Contains(id, "exception") && !strings.Contains(id, "-with-") {
		return false // an exception is no licence by itself
	}
	return known
}
