package report

import (
	"bytes"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// style is how a piece of text is to look; colour only repeats what the words
// say.
type style int

const (
	normal style = iota
	strong       // headings
	faint        // labels, asides
	bad          // refused
	unsure       // undecided, unknown
	warning
	set // waived
	good
)

// sgr returns the terminal's parameters for the style (ECMA-48, 8.3.117).
func (s style) sgr() string {
	switch s {
	case strong:
		return "1"
	case faint:
		return "2"
	case bad:
		return "1;31"
	case unsure:
		return "1;35"
	case warning:
		return "33"
	case set:
		return "36"
	case good:
		return "32"
	default:
		return ""
	}
}

// cell is a piece of text in one style.
type cell struct {
	text  string
	style style
}

// screen writes lines for people. Whatever is handed to it is made visible
// before it is measured, so no string gets round the escaping.
type screen struct {
	b *bytes.Buffer
	o Options
}

func (s *screen) blank() { s.b.WriteByte('\n') }

// row writes one line of cells; a cell that is longer than its width is cut, the
// last one at the edge of the screen.
func (s *screen) row(indent int, widths []int, cells ...cell) {
	var line strings.Builder
	line.WriteString(strings.Repeat(" ", indent))
	at, begun := indent, false
	for i, c := range cells {
		text := visible(c.text)
		if !begun && strings.TrimSpace(text) != "" {
			text, begun = harmless(text), true
		}
		blanks := 0
		if i < len(widths) && i < len(cells)-1 {
			text = cut(text, widths[i], s.ellipsis())
			blanks = widths[i] + 2 - shown(text)
		} else {
			text = cut(text, max(s.o.Width-at, 1), s.ellipsis())
		}
		at += shown(text) + blanks
		if s.o.Color {
			text = paint(text, c.style) // last, because escape sequences have no width
		}
		line.WriteString(text + strings.Repeat(" ", blanks))
	}
	s.b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

func paint(text string, s style) string {
	if text == "" || s.sgr() == "" {
		return text
	}
	return "\x1b[" + s.sgr() + "m" + text + "\x1b[0m"
}

// longest is how many columns a paragraph may take, unless everything is wanted:
// a stranger's names may be as long as he likes.
const longest = 500

// wrapped makes a paragraph visible and breaks it into lines of n columns.
func (s *screen) wrapped(text string, n int) []string {
	text = visible(text)
	if !s.o.Verbose {
		text = cut(text, longest, s.ellipsis())
	}
	return wrap(text, n)
}

// text writes a paragraph, wrapped, each line indented.
func (s *screen) text(indent int, st style, text string) {
	for _, line := range s.wrapped(text, s.o.Width-indent) {
		s.row(indent, nil, cell{line, st})
	}
}

// entry writes a label of the given width and a paragraph that hangs beside it.
// Where the terminal is too narrow for that, the paragraph goes below.
func (s *screen) entry(indent, labelWidth int, label cell, lines ...cell) {
	beside := indent + labelWidth + 2
	if s.o.Width-beside < 40 {
		s.text(indent, label.style, label.text)
		for _, l := range lines {
			s.text(indent+2, l.style, l.text)
		}
		return
	}
	head := label
	if shown(visible(label.text)) > labelWidth {
		s.text(indent, label.style, label.text)
		head = cell{}
	}
	for _, l := range lines {
		for _, line := range s.wrapped(l.text, s.o.Width-beside) {
			s.row(indent, []int{labelWidth}, head, cell{line, l.style})
			head = cell{}
		}
	}
}

func (s *screen) ellipsis() string {
	if s.o.ASCII {
		return "..."
	}
	return "…"
}

func (s *screen) arrow() string {
	if s.o.ASCII {
		return "->"
	}
	return "→"
}

// shown is how many columns a visible string takes on a terminal.
func shown(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

func columns(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// upTo returns the beginning of s that fits into n columns.
func upTo(s string, n int) string {
	for i, r := range s {
		if n -= columns(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

// cut shortens s to n columns, with the mark at the end when something is lost.
func cut(s string, n int, mark string) string {
	if shown(s) <= n {
		return s
	}
	return upTo(s, max(0, n-shown(mark))) + mark
}

// wrap breaks s into lines of at most n columns, at blanks where it can.
func wrap(s string, n int) []string {
	n = max(n, 10)
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(s) {
		w := shown(word)
		if used > 0 && used+1+w > n {
			lines, line, used = append(lines, line), "", 0
		}
		for w > n {
			head := upTo(word, n)
			lines, word = append(lines, head), word[len(head):]
			w = shown(word)
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+w
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}
