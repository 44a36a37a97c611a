package pin

import (
	"regexp"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// longest is how many bytes a variable may grow to; what is longer counts as
// unknown, because a few lines can make it double again and again.
const longest = 1 << 16

// scope holds the variables that are set: global ARG, those of a stage, those
// of one script. A name that is not set may still be given from outside.
type scope struct {
	outer *scope
	set   map[string]word
}

func newScope(outer *scope) *scope { return &scope{outer: outer, set: map[string]word{}} }

func (s *scope) lookup(name string) (word, bool) {
	for ; s != nil; s = s.outer {
		if w, ok := s.set[name]; ok {
			return w, true
		}
	}
	return word{}, false
}

// put sets a variable. The value of one that by its name holds a secret is not
// kept, because what is found is shown to people.
func (s *scope) put(name string, w word) {
	if len(w.s) > longest || secretName.MatchString(name) {
		w.text, w.missing = unplaced(unknown), []string{"$" + name}
	}
	s.set[name] = w
}

var secretName = regexp.MustCompile(`(?i)token|secret|passw|credential|(api|private|access)_?key`)

// lookups gives a scope to buildkit's lexer.
type lookups struct{ *scope }

func (l lookups) Get(name string) (string, bool) {
	w, ok := l.lookup(name)
	return w.s, ok
}

func (l lookups) Keys() []string { return nil }

// expand removes the quotes of a word of a Dockerfile and puts its variables
// in, as the Dockerfile reference says ("Environment replacement"). buildkit's
// lexer is the judge of the value; where this one, which also knows where each
// byte comes from, disagrees, the value is taken and the places are given up.
func (s *scope) expand(t text, escape byte) word {
	w := wordAt(t)
	e := expander{scope: s, escape: escape, word: &w}
	e.run(t, 0)
	w.text = e.out.text()
	if !e.gaveUp && e.missed > 0 {
		return w
	}
	if len(t.s) > longest {
		w.text = unplaced(unknown)
		w.miss("a word that is too long")
		return w
	}
	r, err := shell.NewLex(rune(escape)).ProcessWordWithMatches(t.s, lookups{s})
	switch {
	case err != nil || len(r.Result) > longest || e.gaveUp && len(r.Unmatched) > 0:
		w.text = unplaced(unknown)
		w.miss(t.s)
	case r.Result != w.s:
		w.text = unplaced(r.Result)
	}
	return w
}

// expander walks over one word of a Dockerfile.
type expander struct {
	scope  *scope
	escape byte
	word   *word
	out    builder
	missed int  // variables that are not set
	gaveUp bool // met what it does not know
}

func (e *expander) run(t text, depth int) {
	quote := byte(0)
	for i := 0; i < len(t.s) && !e.gaveUp; {
		switch c := t.s[i]; {
		case quote == '\'' && c != '\'':
			e.out.add(t.slice(i, i+1))
			i++
		case (c == '\'' || c == '"') && (quote == 0 || quote == c):
			quote ^= c
			i++
		case c == e.escape && i+1 < len(t.s):
			if n := t.s[i+1]; quote == 0 || n == '"' || n == '$' || n == e.escape {
				i++
			}
			e.out.add(t.slice(i, i+1))
			i++
		case c == '$':
			i = e.variable(t, i, depth)
		default:
			e.out.add(t.slice(i, i+1))
			i++
		}
	}
}

// variable puts in the variable that begins at i, and returns where it ends.
func (e *expander) variable(t text, i, depth int) int {
	rest := t.s[i+1:]
	if !strings.HasPrefix(rest, "{") {
		n := nameLength(rest)
		if n == 0 {
			e.gaveUp = true
			return len(t.s)
		}
		e.put(rest[:n], nil, depth)
		return i + 1 + n
	}
	n := nameLength(rest[1:])
	end := closing(rest)
	if n == 0 || end < 0 || depth > 8 {
		e.gaveUp = true
		return len(t.s)
	}
	name, op := rest[1:1+n], rest[1+n:end]
	from := i + 2 + n
	switch {
	case op == "":
		e.put(name, nil, depth)
	case strings.HasPrefix(op, ":-"):
		otherwise := t.slice(from+2, from+len(op))
		e.put(name, &otherwise, depth)
	default:
		e.gaveUp = true
	}
	return i + 2 + end
}

// put adds the value of a variable, else what is to be taken otherwise.
func (e *expander) put(name string, otherwise *text, depth int) {
	w, ok := e.scope.lookup(name)
	switch {
	case ok && (w.s != "" || otherwise == nil):
		t, o := w.give(name)
		e.out.add(t)
		e.word.vars = append(e.word.vars, o)
		e.word.miss(w.missing...)
	case otherwise != nil:
		e.run(*otherwise, depth+1)
	default:
		e.missed++
		e.out.add(unplaced(unknown))
		e.word.miss("$" + name)
	}
	if len(e.out.at) > longest {
		e.gaveUp = true
	}
}

// nameLength returns how much of s is the name of a variable.
func nameLength(s string) int {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

// closing returns the place of the brace that closes the one at the beginning.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
