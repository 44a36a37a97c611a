package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible makes a stranger's string fit to be shown in one line: whatever a
// terminal obeys, hides, turns round or breaks the line at is written as Go
// would write it ("\x1b", "\u202e"). Everything that people can read stays as it
// is.
func visible(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + hex2(s[i]))
		case unicode.Is(unicode.Mn, r) && marks >= mostMarks, hidden(r):
			writeEscaped(&b, r)
		case r == '#' && strings.HasPrefix(s[i+1:], "#"):
			b.WriteString(`\x23`) // "##[…" and "##vso[…" are commands of build systems
		default:
			b.WriteRune(r)
		}
		if unicode.Is(unicode.Mn, r) {
			marks++
		} else {
			marks = 0
		}
		i += size
	}
	return b.String()
}

// mostMarks is how many marks may stand on one letter; more of them climb into
// the lines above.
const mostMarks = 3

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '#' {
			return false
		}
	}
	return true
}

// hidden reports whether a rune cannot be seen or does something: control and
// format characters (bidirectional overrides, zero width), line and paragraph
// separators, spaces that look like another, private and unassigned ones, and
// the few letters that are blank.
func hidden(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u2800', '\u3164', '\uffa0', '\u034f':
		return true
	}
	return !unicode.IsPrint(r)
}

func writeEscaped(b *strings.Builder, r rune) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < 0x80:
		b.WriteString(`\x` + hex2(byte(r)))
	case r <= 0xffff:
		b.WriteString(`\u` + zeroed(r, 4))
	default:
		b.WriteString(`\U` + zeroed(r, 8))
	}
}

func hex2(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// zeroed is r in hexadecimal with zeros before it, n digits long.
func zeroed(r rune, n int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, n-len(s))) + s
}

// harmless keeps a finished line from being taken for a command by a build
// system that reads the log: GitHub obeys lines that begin with "::", whatever
// blanks stand before.
func harmless(line string) string {
	rest := strings.TrimLeft(line, " ")
	if strings.HasPrefix(rest, "::") {
		return line[:len(line)-len(rest)] + `\x3a` + rest[1:]
	}
	return line
}
