package pin

import (
	"slices"
	"strings"
)

// option is one option of a command with its value, where it takes one.
type option struct {
	name  string
	value word
	has   bool
}

// line is a command line taken apart.
type line struct {
	options  []option
	operands []word
}

// parse takes the arguments apart. valued names the options that take a value,
// separated by blanks, with their dashes; --name=value always does. Short
// options may be written together, as in -fsSLo FILE.
func parse(args []word, valued string) line {
	takes := strings.Fields(valued)
	var l line
	for i := 0; i < len(args); i++ {
		a := args[i]
		next := func(name string) {
			o := option{name: name}
			if slices.Contains(takes, name) && i+1 < len(args) {
				i++
				o.value, o.has = args[i], true
			}
			l.options = append(l.options, o)
		}
		switch {
		case a.s == "--":
			l.operands = append(l.operands, args[i+1:]...)
			return l
		case strings.HasPrefix(a.s, "--"):
			if eq := strings.IndexByte(a.s, '='); eq >= 0 {
				l.options = append(l.options, option{name: a.s[:eq], value: a.sub(eq+1, len(a.s)), has: true})
				continue
			}
			next(a.s)
		case len(a.s) < 2 || a.s[0] != '-':
			l.operands = append(l.operands, a)
		case slices.Contains(takes, a.s):
			next(a.s)
		default:
			l.cluster(a, takes, next)
		}
	}
	return l
}

// cluster reads short options that are written together. The value of one
// that takes it is the rest of the word, else the next word.
func (l *line) cluster(a word, takes []string, next func(string)) {
	for k := 1; k < len(a.s); k++ {
		name := "-" + a.s[k:k+1]
		if !slices.Contains(takes, name) {
			l.options = append(l.options, option{name: name})
			continue
		}
		if k+1 == len(a.s) {
			next(name)
			return
		}
		from := k + 1
		if a.s[from] == '=' {
			from++
		}
		l.options = append(l.options, option{name: name, value: a.sub(from, len(a.s)), has: true})
		return
	}
}

func (l line) has(names ...string) bool {
	for _, o := range l.options {
		if slices.Contains(names, o.name) {
			return true
		}
	}
	return false
}

// values returns the values that the options were given, in their order.
func (l line) values(names ...string) []word {
	var out []word
	for _, o := range l.options {
		if o.has && slices.Contains(names, o.name) {
			out = append(out, o.value)
		}
	}
	return out
}

// command takes off the first operand: the subcommand.
func (l line) command() (string, []word) {
	if len(l.operands) == 0 {
		return "", nil
	}
	return l.operands[0].s, l.operands[1:]
}
