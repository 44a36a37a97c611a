package pin

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// spelling is a shell word while it is put together.
type spelling struct {
	word
	out    builder
	splits []int // places in out where an unquoted variable has a blank
	quoted bool  // holds quotes, so that it counts even when empty
}

// one evaluates a word that is not split, as in an assignment.
func (w *walker) one(x *syntax.Word) word {
	if x == nil {
		return word{}
	}
	s := w.spell(x)
	s.text = s.out.text()
	return s.word
}

// fields evaluates a word as the arguments that it becomes: blanks that come
// from an unquoted variable part it.
func (w *walker) fields(x *syntax.Word) []word {
	s := w.spell(x)
	whole := s.out.text()
	if len(s.splits) == 0 {
		if whole.s == "" && !s.quoted {
			return nil
		}
		s.text = whole
		return []word{s.word}
	}
	var out []word
	if *w.budget -= wordCost * len(s.splits); *w.budget < 0 {
		return nil
	}
	from := 0
	for _, at := range append(s.splits, len(whole.s)) {
		if at > from {
			part := s.word
			part.text = whole.slice(from, at)
			part.raw = strings.ReplaceAll(part.s, unknown, "…")
			out = append(out, part)
		}
		from = at + 1
	}
	return out
}

// looped is fields, once for each value of the loop variable that x holds.
func (w *walker) looped(x *syntax.Word) []word {
	if len(w.loops) > 0 {
		for n := range syntax.Preorder(x) {
			p, ok := n.(*syntax.ParamExp)
			if !ok || p.Param == nil {
				continue
			}
			items, ok := w.loops[p.Param.Value]
			if !ok {
				continue
			}
			if len(x.Parts) == 1 && onlyParam(x) == p && p.Exp == nil && p.Repl == nil {
				return w.each(p.Param.Value, items)
			}
			var out []word
			inner := *w
			inner.scope, inner.loops = newScope(w.scope), nil
			for _, item := range items {
				inner.scope.put(p.Param.Value, item)
				out = append(out, inner.fields(x)...)
			}
			w.nested, w.calls = inner.nested, inner.calls
			return out
		}
	}
	return w.fields(x)
}

// each returns the words as those that the loop variable stands for.
func (w *walker) each(name string, items []word) []word {
	if *w.budget -= wordCost * len(items); *w.budget < 0 {
		return nil
	}
	out := make([]word, 0, len(items))
	for _, item := range items {
		_, from := item.give(name)
		item.vars = append(item.vars[:len(item.vars):len(item.vars)], from)
		out = append(out, item)
	}
	return out
}

// onlyParam returns the variable that x consists of, in quotes or without.
func onlyParam(x *syntax.Word) syntax.WordPart {
	part := x.Parts[0]
	if q, ok := part.(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
		part = q.Parts[0]
	}
	return part
}

func (w *walker) spell(x *syntax.Word) *spelling {
	from, to := w.offset(x.Pos()), w.offset(x.End())
	raw := text{}
	if from <= to {
		raw = w.text.slice(from, to)
	}
	s := &spelling{word: wordAt(raw)}
	s.raw = strings.ReplaceAll(s.raw, unknown, "…")
	w.parts(s, x.Parts, false)
	if *w.budget -= len(s.out.at); *w.budget < 0 || len(s.out.at) > longest {
		s.out, s.splits = builder{}, nil
		s.unknown("a value that is too long")
	}
	return s
}

func (w *walker) offset(p syntax.Pos) int { return min(int(p.Offset()), len(w.text.s)) }

func (s *spelling) unknown(what string) {
	s.out.add(unplaced(unknown))
	s.miss(what)
}

func (w *walker) parts(s *spelling, parts []syntax.WordPart, quoted bool) {
	for _, p := range parts {
		if len(s.out.at) > longest || *w.budget < 0 {
			return
		}
		switch x := p.(type) {
		case *syntax.Lit:
			w.literal(s, x, quoted)
		case *syntax.SglQuoted:
			s.quoted = true
			w.single(s, x)
		case *syntax.DblQuoted:
			s.quoted = true
			w.parts(s, x.Parts, true)
		case *syntax.ParamExp:
			w.param(s, x, quoted)
		case *syntax.CmdSubst:
			w.substitute(x.Stmts)
			s.unknown(outputOfCommand)
		case *syntax.ProcSubst:
			w.substitute(x.Stmts)
			s.unknown(outputOfCommand)
		case *syntax.ExtGlob:
			s.out.add(w.text.slice(w.offset(x.Pos()), max(w.offset(x.Pos()), w.offset(x.End()))))
		default:
			s.unknown(outputOfCommand)
		}
	}
}

// substitute walks the commands whose output becomes a part of a word.
func (w *walker) substitute(list []*syntax.Stmt) {
	outer := w.nested
	w.nested = nil
	for _, c := range w.stmts(list) {
		c.capture = true
		w.nested = append(w.nested, c)
	}
	w.nested = append(outer, w.nested...)
}

// literal adds bytes as they stand, without the escapes that the shell removes.
func (w *walker) literal(s *spelling, x *syntax.Lit, quoted bool) {
	from, to := w.offset(x.ValuePos), w.offset(x.ValueEnd)
	for i := from; i < to; i++ {
		if w.text.s[i] == '\\' && i+1 < to {
			next := w.text.s[i+1]
			switch {
			case next == '\n':
				i++
				continue
			case !quoted || strings.IndexByte("$\"`\\", next) >= 0:
				i++
			}
		}
		s.out.add(w.text.slice(i, i+1))
	}
}

func (w *walker) single(s *spelling, x *syntax.SglQuoted) {
	from := w.offset(x.Left) + 1
	if x.Dollar {
		from++
	}
	to := w.offset(x.Right)
	if from <= to && w.text.s[from:to] == x.Value {
		s.out.add(w.text.slice(from, to))
		return
	}
	s.out.add(unplaced(x.Value))
}

// param adds the value of a variable.
func (w *walker) param(s *spelling, x *syntax.ParamExp, quoted bool) {
	if x.Param == nil || x.Length || x.Excl || x.Width {
		s.unknown(outputOfCommand)
		return
	}
	name := x.Param.Value
	value, ok := w.scope.lookup(name)
	if items, loop := w.loops[name]; loop && !ok {
		value, ok = items[0], true
	}
	if e := x.Exp; e != nil {
		switch e.Op {
		case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
			if !ok || value.s == "" {
				if e.Word != nil {
					w.parts(s, e.Word.Parts, quoted)
				}
				return
			}
		case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
			if ok && e.Word != nil {
				w.parts(s, e.Word.Parts, quoted)
			}
			return
		}
	}
	if !ok {
		s.unknown("$" + name)
		return
	}
	t, from := value.give(name)
	changed := x.Repl != nil || x.Slice != nil || x.Exp != nil && changes(x.Exp.Op)
	if changed {
		t = unplaced(t.s) // as constant as the variable itself, but not the same bytes
	}
	before := len(s.out.at)
	s.out.add(t)
	s.vars = append(s.vars, from)
	s.miss(value.missing...)
	if !quoted && !changed {
		for i := range len(t.s) {
			if strings.IndexByte(" \t\n", t.s[i]) >= 0 {
				s.splits = append(s.splits, before+i)
			}
		}
	}
}

func changes(op syntax.ParExpOperator) bool {
	switch op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull,
		syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		return false
	}
	return true
}

// heredoc evaluates the body of a here-document. With a quoted delimiter
// nothing in it is special.
func (w *walker) heredoc(r *syntax.Redirect) word {
	if r.Hdoc == nil {
		return word{}
	}
	if r.Word.Lit() == "" {
		from, to := w.offset(r.Hdoc.Pos()), w.offset(r.Hdoc.End())
		return wordAt(w.text.slice(from, max(from, to)))
	}
	s := &spelling{}
	w.parts(s, r.Hdoc.Parts, true)
	s.text = s.out.text()
	return s.word
}
