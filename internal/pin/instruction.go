package pin

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// instruction is one instruction as the parser understood it, with the place of
// each of its bytes, which the parser does not keep.
type instruction struct {
	name  string // lower case
	line  int    // 1 is the first
	text  text   // the joined lines, without comments
	flags []text
	args  text     // what follows the flags
	json  []string // the arguments, when they are a JSON array
	node  *parser.Node
	docs  []heredoc
}

// heredoc is a here-document that follows an instruction.
type heredoc struct {
	parser.Heredoc
	body text
}

// source is the file with the beginnings of its lines.
type source struct {
	bytes  []byte
	lines  []int // offset of each line, and the length of the file at the end
	escape byte
}

func newSource(b []byte, escape byte) *source {
	s := &source{bytes: b, escape: escape, lines: []int{0}}
	for i, c := range b {
		if c == '\n' && i+1 < len(b) {
			s.lines = append(s.lines, i+1)
		}
	}
	s.lines = append(s.lines, len(b))
	return s
}

// lineOf returns the number of the line that holds the offset; 1 is the first.
func (s *source) lineOf(offset int) int {
	lo, hi := 0, len(s.lines)-1
	for lo+1 < hi {
		if mid := (lo + hi) / 2; s.lines[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + 1
}

var byteOrderMark = []byte{0xEF, 0xBB, 0xBF}

// instruction places the bytes of a node. Where the joined lines are not what
// the parser says that it read, the bytes stand nowhere, so that nothing is
// edited on a misunderstanding.
func (s *source) instruction(node *parser.Node) instruction {
	t, next := s.join(node)
	if t.s != node.Original {
		t, next = unplaced(node.Original), len(s.lines)
	}
	in := newInstruction(node, t)
	in.line = node.StartLine
	for _, h := range node.Heredocs {
		d := heredoc{Heredoc: h, body: unplaced(h.Content)}
		if next < len(s.lines) {
			from := s.lines[next]
			if bytes.HasPrefix(s.bytes[from:], []byte(h.Content)) {
				d.body = placed(h.Content, from)
				next += strings.Count(h.Content, "\n") + 1 // its terminator too
			}
		}
		in.docs = append(in.docs, d)
	}
	return in
}

// join puts the lines of a node together as buildkit's parser.Parse does:
// leading space of the first line, continuation characters, comment lines and
// empty lines dropped. It returns the index of the line after the last.
func (s *source) join(node *parser.Node) (text, int) {
	var b builder
	i := node.StartLine - 1
	for first := true; i >= 0 && i < len(s.lines)-1; i++ {
		from, to := s.lines[i], s.lines[i+1]
		if i == 0 && bytes.HasPrefix(s.bytes, byteOrderMark) {
			from += len(byteOrderMark)
		}
		line := placed(strings.TrimRight(string(s.bytes[from:to]), "\r\n"), from)
		left := strings.TrimSpace(line.s)
		switch {
		case first:
			line = line.slice(len(line.s)-len(strings.TrimLeftFunc(line.s, unicode.IsSpace)), len(line.s))
		case strings.HasPrefix(left, "#"), left == "":
			continue
		}
		cut, more := s.continued(line.s)
		b.add(line.slice(0, cut))
		first = false
		if !more {
			i++
			break
		}
	}
	return b.text(), i
}

// continued reports whether a line goes on in the next, and how much of it is
// left without the continuation character (parser.setEscapeToken).
func (s *source) continued(line string) (int, bool) {
	cut := len(strings.TrimRight(line, " \t"))
	if cut == 0 || line[cut-1] != s.escape || cut > 1 && line[cut-2] == s.escape {
		return len(line), false
	}
	return cut - 1, true
}

// newInstruction splits the text of a node into flags and arguments, as
// parser.splitCommand does.
func newInstruction(node *parser.Node, t text) instruction {
	in := instruction{name: strings.ToLower(node.Value), text: t, node: node}
	rest := t.trim()
	end := strings.IndexAny(rest.s, blanks)
	if end < 0 {
		end = len(rest.s)
	}
	rest = rest.slice(end, len(rest.s)).trim()
	for _, f := range node.Flags {
		raw := rest.s
		if i := strings.IndexAny(raw, blanks); i >= 0 {
			raw = raw[:i]
		}
		if raw == f { // without quotes and escapes, as nearly all are
			in.flags = append(in.flags, rest.slice(0, len(raw)))
			rest = rest.slice(len(raw), len(rest.s)).trim()
			continue
		}
		in.flags = append(in.flags, unplaced(f))
		rest = afterFlag(rest, node)
	}
	in.args = rest
	if node.Attributes["json"] {
		for n := node.Next; n != nil; n = n.Next {
			in.json = append(in.json, n.Value)
		}
	}
	return in
}

// afterFlag steps over a quoted flag. The text that is left is found from its
// end, where the parser has kept it unchanged.
func afterFlag(rest text, node *parser.Node) text {
	if node.Next != nil && !node.Attributes["json"] && strings.HasSuffix(rest.s, node.Next.Value) {
		return rest.slice(len(rest.s)-len(node.Next.Value), len(rest.s))
	}
	quote := byte(0)
	for i := 0; i < len(rest.s); i++ {
		switch c := rest.s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.IndexByte(blanks, c) >= 0:
			return rest.slice(i, len(rest.s)).trim()
		}
	}
	return text{}
}

// flag returns the value of --name=value.
func (in *instruction) flag(name string) (text, bool) {
	prefix := "--" + name + "="
	for _, f := range in.flags {
		if strings.HasPrefix(f.s, prefix) {
			return f.slice(len(prefix), len(f.s)), true
		}
	}
	return text{}, false
}

// list returns the arguments of an instruction that takes words or a JSON
// array of them.
func (in *instruction) list() []text {
	if in.json == nil {
		return in.args.fields()
	}
	return jsonStrings(in.args, in.json)
}

// jsonStrings places the strings of a JSON array. A string with escapes stands
// nowhere, because its bytes are not those of the file.
func jsonStrings(array text, values []string) []text {
	out := make([]text, 0, len(values))
	from := 0
	for _, v := range values {
		t := unplaced(v)
		if open := strings.IndexByte(array.s[from:], '"'); open >= 0 {
			d := json.NewDecoder(strings.NewReader(array.s[from+open:]))
			if token, err := d.Token(); err == nil && token == v {
				start := from + open + 1
				from += open + int(d.InputOffset())
				if array.s[start:from-1] == v {
					t = array.slice(start, from-1)
				}
			}
		}
		out = append(out, t)
	}
	return out
}
