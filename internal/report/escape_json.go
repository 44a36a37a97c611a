package report

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// escapeJSON writes a JSON document with everything that is hidden or obeyed, by
// a terminal or by a build system that reads the log, as \u escapes. It loses nothing: outside of strings JSON is ASCII,
// and inside an escape means the character itself (RFC 8259, section 7).
func escapeJSON(b *bytes.Buffer, doc []byte) {
	b.Grow(len(doc))
	start := 0
	for i := 0; i < len(doc); {
		if doc[i] < 0x7f {
			if doc[i] == '#' && i+1 < len(doc) && doc[i+1] == '#' {
				b.Write(doc[start:i])
				b.WriteString(`\u0023`)
				start = i + 1
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(doc[i:])
		if hidden(r) {
			b.Write(doc[start:i])
			units := []rune{r}
			if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
				units = []rune{high, low}
			}
			for _, u := range units {
				b.WriteString(`\u` + zeroed(u, 4))
			}
			start = i + size
		}
		i += size
	}
	b.Write(doc[start:])
}
