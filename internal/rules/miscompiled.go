package rules

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

var (
	undefinedField = regexp.MustCompile(`^undefined field '([^']*)'`)
	undeclared     = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	listCompared   = regexp.MustCompile(`^found no matching overload for '_(?:[<>]=?|[=!]=)_' applied to '\(list\(.*, (?:int|double)\)'`)
)

// miscompiled notes what the compiler found, each at its place in the file.
// parsed is nil when the text could not even be parsed.
func (l *loader) miscompiled(n *node, parsed *cel.Ast, issues *cel.Issues) {
	for _, issue := range issues.Errors() {
		message := strings.TrimPrefix(strings.ReplaceAll(issue.Message, " (in container '')", ""), "Syntax error: ")
		hint, shift := "", 0
		switch {
		case strings.Contains(message, "'<EOF>'"):
			message = "it ends too early"
		case undefinedField.MatchString(message):
			field := undefinedField.FindStringSubmatch(message)[1]
			message = "there is no field " + quote(field)
			hint, shift = l.fieldHint(field, parsed, issue.ExprID), 1 // the name stands after the dot
		case undeclared.MatchString(message):
			name := undeclared.FindStringSubmatch(message)[1]
			message = "there is nothing called " + quote(name)
			hint = l.nameHint(name)
		case listCompared.MatchString(message):
			hint = "the length of a list is its .size()"
		}
		line, column := l.place(n, issue.Location.Line(), issue.Location.Column()+shift)
		l.problems = append(l.problems, l.at(line, column, "in the condition: "+message, hint))
	}
}

// nameHint says what a name was probably meant to be.
func (l *loader) nameHint(name string) string {
	if name == "now" || name == "today" {
		return "a condition has no clock, so that it can be replayed: use image-age, fix-available-for, or from in the row"
	}
	var valid []string
	for _, v := range Variables() {
		valid = append(valid, v.Name)
	}
	for f := range l.cel.Functions() {
		if wordPattern.MatchString(f) {
			valid = append(valid, f)
		}
	}
	slices.Sort(valid)
	if near := nearestHint(name, valid); near != "" {
		return near
	}
	return "a condition may use: " + variableNames()
}

func variableNames() string {
	var names []string
	for _, v := range Variables() {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

// fieldHint names the field that was probably meant, of the very type where that
// can be told.
func (l *loader) fieldHint(field string, parsed *cel.Ast, id int64) string {
	s := scope{provider: l.cel.CELTypeProvider(), names: map[string]*types.Type{}, want: id}
	for _, v := range Variables() {
		s.names[v.Name] = v.cel
	}
	s.walk(parsed.NativeRep().Expr())
	if s.found == nil {
		return ""
	}
	fields, ok := s.provider.FindStructFieldNames(s.found.TypeName())
	if !ok {
		return ""
	}
	slices.Sort(fields)
	if near := nearestHint(field, fields); near != "" {
		return near
	}
	for _, f := range fields { // one step further down: evidence.shells is evidence.surface.shells
		ft, _ := s.provider.FindStructFieldType(s.found.TypeName(), f)
		if ft == nil || ft.Type.Kind() != types.StructKind {
			continue
		}
		inner, _ := s.provider.FindStructFieldNames(ft.Type.TypeName())
		if slices.Contains(inner, field) {
			return "did you mean " + f + "." + field + "?"
		}
	}
	return s.found.TypeName() + " has: " + strings.Join(fields, ", ")
}

// scope follows an unchecked expression to find the type of one selection's
// operand, as far as that can be told without the checker.
type scope struct {
	provider types.Provider
	names    map[string]*types.Type
	want     int64
	found    *types.Type
}

// walk returns the type of the expression, or nil.
func (s *scope) walk(e ast.Expr) *types.Type {
	switch e.Kind() {
	case ast.IdentKind:
		return s.names[e.AsIdent()]
	case ast.SelectKind:
		operand := s.walk(e.AsSelect().Operand())
		if e.ID() == s.want {
			s.found = operand
		}
		if operand == nil || operand.Kind() != types.StructKind {
			return nil
		}
		if ft, ok := s.provider.FindStructFieldType(operand.TypeName(), e.AsSelect().FieldName()); ok {
			return ft.Type
		}
	case ast.CallKind:
		return s.call(e.AsCall())
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			s.walk(x)
		}
	case ast.ComprehensionKind:
		return s.comprehension(e.AsComprehension())
	}
	return nil
}

func (s *scope) call(c ast.CallExpr) *types.Type {
	var target *types.Type
	if c.IsMemberFunction() {
		target = s.walk(c.Target())
	}
	for i, arg := range c.Args() {
		if t := s.walk(arg); i == 0 && target == nil {
			target = t
		}
	}
	if c.FunctionName() == "_[_]" && target != nil && target.Kind() == types.ListKind {
		return target.Parameters()[0]
	}
	return nil
}

func (s *scope) comprehension(c ast.ComprehensionExpr) *types.Type {
	over := s.walk(c.IterRange())
	name := c.IterVar()
	hidden := s.names[name]
	delete(s.names, name)
	if over != nil && over.Kind() == types.ListKind {
		s.names[name] = over.Parameters()[0]
	}
	s.walk(c.LoopCondition())
	s.walk(c.LoopStep())
	s.walk(c.Result())
	s.names[name] = hidden
	return over // filter and map of a list; good enough for a hint
}

// place finds where in the file a place inside the text of a node lies. The text
// has lost its line breaks, its indentation and its quotes, so both are walked
// together: every character of the text is the next such character of the file.
// line is 1 for the first, column 0, as CEL counts.
func (r *reader) place(n *node, line, column int) (int, int) {
	text := n.text
	for ; line > 1; line-- {
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			column += utf8.RuneCountInString(text[:i+1])
			text = text[i+1:]
		}
	}
	at, col := n.line, n.column
	for i, want := range []rune(n.text) {
		if i > column {
			break
		}
		if unicode.IsSpace(want) {
			continue
		}
		l, c, ok := r.next(at, col, want)
		if !ok {
			return n.line, n.column
		}
		if i == column {
			return l, c
		}
		at, col = l, c+1
	}
	return at, col
}

// next finds the character at or after a place of the file.
func (r *reader) next(line, column int, want rune) (int, int, bool) {
	for ; line <= len(r.lines); line, column = line+1, 1 {
		runes := []rune(r.lines[line-1])
		for c := column; c <= len(runes); c++ {
			if runes[c-1] == want {
				return line, c, true
			}
		}
	}
	return 0, 0, false
}
