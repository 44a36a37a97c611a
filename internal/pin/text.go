package pin

import (
	"strings"
)

// unknown stands in a text for what only the build knows: the value of a
// variable that the file does not set, the output of a command.
const unknown = "\x01"

// nowhere is the place of a byte that does not stand in the file as such.
const nowhere = -1

// text is a string whose bytes know where in the file they stand.
type text struct {
	s  string
	at []int // for each byte of s its offset in the file, or nowhere
}

// placed returns the text that stands at offset at.
func placed(s string, at int) text {
	t := text{s: s, at: make([]int, len(s))}
	for i := range t.at {
		t.at[i] = at + i
	}
	return t
}

// unplaced returns a text that stands nowhere in the file.
func unplaced(s string) text {
	t := text{s: s, at: make([]int, len(s))}
	for i := range t.at {
		t.at[i] = nowhere
	}
	return t
}

func (t text) slice(from, to int) text { return text{s: t.s[from:to], at: t.at[from:to]} }

func (t text) trim() text {
	from := len(t.s) - len(strings.TrimLeft(t.s, blanks))
	to := len(strings.TrimRight(t.s, blanks))
	if from > to {
		return text{}
	}
	return t.slice(from, to)
}

// blanks separate the words of an instruction.
const blanks = " \t\v\f\r\n"

// fields splits at blanks.
func (t text) fields() []text {
	var out []text
	for i := 0; i < len(t.s); {
		if strings.IndexByte(blanks, t.s[i]) >= 0 {
			i++
			continue
		}
		j := i + 1
		for j < len(t.s) && strings.IndexByte(blanks, t.s[j]) < 0 {
			j++
		}
		out = append(out, t.slice(i, j))
		i = j
	}
	return out
}

// find returns the part of t at or after from that reads s, and where it ends;
// an unplaced s when there is none.
func (t text) find(s string, from int) (text, int) {
	if from <= len(t.s) {
		if i := strings.Index(t.s[from:], s); i >= 0 {
			return t.slice(from+i, from+i+len(s)), from + i + len(s)
		}
	}
	return unplaced(s), from
}

// run returns the bytes of the file that s[from:to] stands at, when they are
// one unbroken run; for from == to, the place after the byte before it.
func (t text) run(from, to int) (start, end int, ok bool) {
	if from < 0 || to > len(t.s) || from > to {
		return 0, 0, false
	}
	if from == to {
		if from == 0 || t.at[from-1] == nowhere {
			return 0, 0, false
		}
		return t.at[from-1] + 1, t.at[from-1] + 1, true
	}
	for i := from; i < to; i++ {
		if t.at[i] == nowhere || t.at[i] != t.at[from]+i-from {
			return 0, 0, false
		}
	}
	return t.at[from], t.at[from] + to - from, true
}

// builder puts a text together.
type builder struct {
	s  strings.Builder
	at []int
}

func (b *builder) add(t text) {
	b.s.WriteString(t.s)
	b.at = append(b.at, t.at...)
}

func (b *builder) text() text { return text{s: b.s.String(), at: b.at} }

// word is one word of an instruction or of a shell command after its quotes are
// removed and its variables put in.
type word struct {
	text
	raw        string   // as written, for people
	start, end int      // where it is written in the file; start is nowhere when that is not known
	missing    []string // what stands as unknown: "$NAME", or "$(…)" for a command
	vars       []origin // the variables that it took bytes from
}

// origin is a variable with the place of its value in the file.
type origin struct {
	name       string
	start, end int
}

// give returns what the variable adds to a word that names it. A value that is
// itself put together of variables gives no places: an edit there would reach
// further than anybody sees.
func (w word) give(name string) (text, origin) {
	t := w.text
	if len(w.vars) > 0 {
		t = unplaced(t.s)
	}
	return t, origin{name: name, start: w.start, end: w.end}
}

func wordAt(t text) word {
	w := word{text: t, raw: t.s, start: nowhere, end: nowhere}
	if from, to, ok := t.run(0, len(t.s)); ok && len(t.s) > 0 {
		w.start, w.end = from, to
	} else if n := len(t.at); n > 0 && t.at[0] != nowhere && t.at[n-1] != nowhere {
		w.start, w.end = t.at[0], t.at[len(t.at)-1]+1
	}
	return w
}

// sub returns a part of the word as a word of its own.
func (w word) sub(from, to int) word {
	p := w
	p.text = w.slice(from, to)
	if !p.known() || p.s != p.raw {
		p.raw = strings.ReplaceAll(p.s, unknown, "…")
	}
	return p
}

// known reports whether all of the word is known before the build.
func (w word) known() bool { return !strings.Contains(w.s, unknown) }

// miss notes what stands as unknown. The first is what people are told; the
// few are kept because variables of variables would double the list each time.
func (w *word) miss(what ...string) {
	const few = 4
	for _, m := range what {
		if len(w.missing) < few {
			w.missing = append(w.missing[:len(w.missing):len(w.missing)], m)
		}
	}
}

// source says for people where the unknown part comes from.
func (w word) source() string {
	if len(w.missing) == 0 || nameLength(strings.TrimPrefix(w.missing[0], "$")) != len(w.missing[0])-1 {
		return "is computed during the build"
	}
	return "comes from " + w.missing[0] + ", which this file does not set"
}

const outputOfCommand = "$(…)"

// show returns what to call the word in a report. The commands that it holds
// are left out: they may hold anything.
func (w word) show() string {
	switch {
	case w.known():
		return w.s
	case strings.Contains(w.raw, "$(") || strings.Contains(w.raw, "`"):
		return strings.ReplaceAll(w.s, unknown, outputOfCommand)
	default:
		return w.raw
	}
}
