package touchstone

import "strings"

// licenceDenied reports whether an SPDX licence expression (SPDX 2.3, annex D)
// leaves no choice but a denied licence: of alternatives (OR) one must be free,
// of what is joined (AND) every part. What is no expression is taken whole, and
// denied as soon as a word in it is.
func licenceDenied(expression string, deny []string) bool {
	p := licenceParser{deny: deny, words: licenceWords(expression)}
	denied, ok := p.either(0)
	if ok && len(p.words) == 0 {
		return denied
	}
	for _, w := range licenceWords(expression) {
		if p.denies(w) {
			return true
		}
	}
	return false
}

// licenceWords splits an expression into identifiers, operators and parentheses.
func licenceWords(expression string) []string {
	return strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression))
}

// licenceParser walks an expression by recursive descent; AND binds tighter.
type licenceParser struct {
	deny  []string
	words []string
}

// deepestLicence bounds parentheses within parentheses.
const deepestLicence = 50

func (p *licenceParser) denies(id string) bool {
	id = strings.ToLower(strings.TrimSuffix(id, "+"))
	for _, d := range p.deny {
		if MatchName(strings.ToLower(d), id) {
			return true
		}
	}
	return false
}

func (p *licenceParser) take(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *licenceParser) either(depth int) (denied, ok bool) {
	denied, ok = p.both(depth)
	for ok && p.take("OR") {
		var other bool
		other, ok = p.both(depth)
		denied = denied && other
	}
	return denied, ok
}

func (p *licenceParser) both(depth int) (denied, ok bool) {
	denied, ok = p.one(depth)
	for ok && p.take("AND") {
		var other bool
		other, ok = p.one(depth)
		denied = denied || other
	}
	return denied, ok
}

func (p *licenceParser) one(depth int) (denied, ok bool) {
	switch {
	case depth > deepestLicence || len(p.words) == 0:
		return false, false
	case p.take("("):
		denied, ok = p.either(depth + 1)
		return denied, ok && p.take(")")
	}
	id := p.words[0]
	if id == ")" || strings.EqualFold(id, "OR") || strings.EqualFold(id, "AND") || strings.EqualFold(id, "WITH") {
		return false, false
	}
	p.words = p.words[1:]
	denied = p.denies(id)
	if p.take("WITH") {
		if len(p.words) == 0 {
			return false, false
		}
		p.words = p.words[1:]
	}
	return denied, true
}
