package secrets

import (
	"encoding/binary"
	"sync"
)

// filter finds the few places in a text where a form may be, in one pass that
// looks at every third pair of bytes.
//
// Each form has a probe: four bytes that are in every such secret. Whatever the
// position of those four bytes, one of the three pairs in them begins at a
// multiple of three, so that it is enough to look up the pairs there. A pair that
// is part of a probe is rare in ordinary text; only behind one are four bytes
// compared. That is several times faster than reading each byte, as an
// Aho-Corasick automaton does, and knows no bad text.
type filter struct {
	// pairs says for two bytes, as a little-endian number, at which offsets in a
	// probe they are: bit 0, 1 and 2.
	pairs [1 << 16]uint8
	// words says of the hash of four bytes whether a probe has it: it spares
	// nearly every look-up in forms.
	words [1 << 12]bool
	forms map[uint32][]*form // by probe, as a little-endian number
}

// theFilter is made when it is first used, once for all.
var theFilter = sync.OnceValue(newFilter)

func newFilter() *filter {
	f := &filter{forms: map[uint32][]*form{}}
	table := formTable()
	for i := range table {
		t := &table[i]
		if len(t.anchor) >= t.probe+4 {
			f.add(t, []byte(t.anchor)[t.probe:t.probe+4])
			continue
		}
		// An anchor of three bytes is looked for with each byte that may follow.
		for c := range 256 {
			if isToken(byte(c)) {
				f.add(t, append([]byte(t.anchor), byte(c)))
			}
		}
	}
	return f
}

func (f *filter) add(t *form, probe []byte) {
	word := binary.LittleEndian.Uint32(probe)
	f.forms[word] = append(f.forms[word], t)
	f.words[hash(word)] = true
	for at := range 3 {
		f.pairs[binary.LittleEndian.Uint16(probe[at:])] |= 1 << at
	}
}

// each calls yield for every place where a form's anchor is.
func (f *filter) each(text []byte, yield func(t *form, at int)) {
	for i := 0; i+1 < len(text); i += 3 {
		where := f.pairs[uint16(text[i])|uint16(text[i+1])<<8]
		if where == 0 {
			continue
		}
		for at := range 3 {
			if start := i - at; where&(1<<at) != 0 && start >= 0 && start+4 <= len(text) {
				f.probe(text, start, yield)
			}
		}
	}
}

// probe calls yield for the forms whose probe is the four bytes from at.
func (f *filter) probe(text []byte, at int, yield func(t *form, at int)) {
	word := binary.LittleEndian.Uint32(text[at:])
	if !f.words[hash(word)] {
		return
	}
	for _, t := range f.forms[word] {
		if start := at - t.probe; start >= 0 && hasAt(text, start, t.anchor) {
			yield(t, start)
		}
	}
}

// hash returns twelve bits of a word, by Fibonacci hashing.
func hash(word uint32) uint32 { return word * 0x9e3779b1 >> 20 }

func hasAt(text []byte, at int, s string) bool {
	return at+len(s) <= len(text) && string(text[at:at+len(s)]) == s
}
