package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is something wrong at one place of a file.
type Problem struct {
	File    string
	Line    int    // 1 is the first; 0 when the fault is the file's as a whole
	Column  int    // in characters; 1 is the first
	Source  string // the line itself
	Message string
	Hint    string // what to do next, or ""
}

// Warning is a problem that does not keep the file from being used.
type Warning = Problem

// String returns the problem as people see it: where, what, the line itself with
// a caret under the place, and what to do.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(Printable(p.File))
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + Printable(p.Message))
	if p.Line > 0 {
		line, caret := excerpt(p.Source, p.Column)
		number := fmt.Sprintf("%5d", p.Line)
		fmt.Fprintf(&b, "\n%s | %s\n%s | %s", number, line, strings.Repeat(" ", len(number)), caret)
	}
	if p.Hint != "" {
		b.WriteString("\nhint: " + Printable(p.Hint))
	}
	return b.String()
}

// Error is every fault of one file, in the order of their lines.
type Error struct{ Problems []Problem }

// Error returns all problems, one below the other.
func (e *Error) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.String()
	}
	return strings.Join(parts, "\n")
}

// excerpt returns the line as it can be shown, and a caret that stands under the
// column. A long line is cut around the column.
func excerpt(source string, column int) (line, caret string) {
	const before, after = 90, 60
	runes := []rune(source)
	at := min(max(column-1, 0), len(runes))
	from, to := max(0, at-before), min(len(runes), at+after)
	var left, right string
	if from > 0 {
		left = "…"
	}
	if to < len(runes) {
		right = "…"
	}
	left += Printable(strings.ReplaceAll(string(runes[from:at]), "\t", " "))
	right = Printable(strings.ReplaceAll(string(runes[at:to]), "\t", " ")) + right
	return strings.TrimRight(left+right, " "), strings.Repeat(" ", utf8.RuneCountInString(left)) + "^"
}

// Printable escapes whatever could steer a terminal or reorder a line: control
// characters, marks of direction and what is not UTF-8.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsGraphic(r) || isDirection(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsGraphic(r) && !isDirection(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

func isDirection(r rune) bool { return r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// reader gathers the problems of one file while it is read.
type reader struct {
	file     string
	lines    []string
	problems []Problem
	warnings []Warning
}

func newReader(file string, data []byte) *reader {
	text := strings.TrimPrefix(string(data), "\ufeff") // some editors begin a file with a byte order mark
	return &reader{file: file, lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
}

func (r *reader) at(line, column int, message, hint string) Problem {
	p := Problem{File: r.file, Line: line, Column: column, Message: message, Hint: hint}
	if line >= 1 && line <= len(r.lines) {
		p.Source = r.lines[line-1]
	}
	return p
}

// fault notes that the node cannot be used.
func (r *reader) fault(n *node, message, hint string) {
	r.problems = append(r.problems, r.at(n.line, n.column, message, hint))
}

// warn notes something about the node that its author should know.
func (r *reader) warn(n *node, message, hint string) {
	r.warnings = append(r.warnings, r.at(n.line, n.column, message, hint))
}

// err returns what was found wrong, sorted by line, or nil.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return &Error{Problems: sorted(r.problems)}
}

// sorted orders problems by place and leaves each out but once.
func sorted(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(problems)
}
