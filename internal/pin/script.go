package pin

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"touchstone.dev/touchstone"
)

// Bounds of what is read of one script. The shell parser recurses for each
// bracket, keyword and pipe, with about 4 KB of stack for each.
const (
	longestScript = 1 << 16
	mostNested    = 3000
	deepestShell  = 6 // sh -c inside sh -c
)

// wordCost is what a word takes from the budget besides its bytes.
const wordCost = 32

const tooMuch = "the file makes more of its variables than is read"

// walker goes through a script in the order of its text and collects its calls.
type walker struct {
	text   text
	scope  *scope
	loops  map[string][]word // what a for loop goes through
	calls  []*call
	nested []*call // calls inside the words of the command at hand
	budget *int    // bytes that may still be read, over all scripts of the file
	depth  int
	line   int
	fail   func(kind touchstone.GapKind, reason string)
}

// script walks a script that stands inside this one, such as that of sh -c.
func (w *walker) script(t text) {
	if strings.Trim(t.s, unknown+blanks) == "" {
		return
	}
	inner := *w
	inner.text, inner.depth, inner.calls, inner.nested = t, w.depth+1, nil, nil
	inner.run()
	w.calls = append(w.calls, inner.calls...)
}

// run parses the text of the walker as a shell script and walks it.
func (w *walker) run() {
	if reason := w.tooMuch(); reason != "" {
		w.fail(touchstone.GapLimit, reason)
		return
	}
	var file *syntax.File
	var err error
	for _, lang := range []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX} {
		file, err = syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(w.text.s), "")
		if err == nil {
			w.stmts(file.Stmts)
			if w.depth == 0 && *w.budget < 0 {
				w.fail(touchstone.GapLimit, tooMuch)
			}
			return
		}
	}
	reason := err.Error()
	if i := strings.Index(reason, ": "); i >= 0 {
		reason = reason[i+2:] // its own line numbers mean nothing here
	}
	w.fail(touchstone.GapUnsupported, "cannot be read as shell: "+reason)
}

func (w *walker) tooMuch() string {
	if w.depth > deepestShell {
		return "shells are nested too deeply"
	}
	if len(w.text.s) > longestScript {
		return fmt.Sprintf("is a script of %d bytes; at most %d are read", len(w.text.s), longestScript)
	}
	if *w.budget -= len(w.text.s); *w.budget < 0 {
		return tooMuch
	}
	n := 0
	for _, c := range []byte(w.text.s) {
		if strings.IndexByte("({`|&", c) >= 0 {
			n++
		}
	}
	for _, f := range strings.Fields(w.text.s) {
		if syntax.IsKeyword(f) {
			n++
		}
	}
	if n > mostNested {
		return "nests more commands than are read"
	}
	return ""
}

func (w *walker) stmts(list []*syntax.Stmt) []*call {
	var out []*call
	for _, s := range list {
		out = append(out, w.stmt(s)...)
	}
	return out
}

// stmt walks a statement and returns the calls whose output is its own.
func (w *walker) stmt(s *syntax.Stmt) []*call {
	if s == nil {
		return nil
	}
	outer := w.nested
	w.nested = nil
	calls := w.command(s.Cmd)
	for _, r := range s.Redirs {
		w.redirect(r, calls)
	}
	w.nested = outer
	return calls
}

func (w *walker) command(cmd syntax.Command) []*call {
	switch x := cmd.(type) {
	case *syntax.CallExpr:
		return w.callExpr(x)
	case *syntax.BinaryCmd:
		if x.Op == syntax.Pipe || x.Op == syntax.PipeAll {
			return w.pipeline(x)
		}
		return append(w.stmt(x.X), w.stmt(x.Y)...)
	case *syntax.Subshell:
		return w.stmts(x.Stmts)
	case *syntax.Block:
		return w.stmts(x.Stmts)
	case *syntax.IfClause:
		var out []*call
		for ; x != nil; x = x.Else {
			w.stmts(x.Cond)
			out = append(out, w.stmts(x.Then)...)
		}
		return out
	case *syntax.WhileClause:
		w.stmts(x.Cond)
		return w.stmts(x.Do)
	case *syntax.ForClause:
		return w.loop(x)
	case *syntax.CaseClause:
		var out []*call
		for _, item := range x.Items {
			out = append(out, w.stmts(item.Stmts)...)
		}
		return out
	case *syntax.FuncDecl:
		return w.stmt(x.Body)
	case *syntax.TimeClause:
		return w.stmt(x.Stmt)
	case *syntax.CoprocClause:
		return w.stmt(x.Stmt)
	case *syntax.DeclClause:
		for _, a := range x.Args {
			w.assign(a)
		}
	case *syntax.TestClause:
		syntax.Walk(x, func(n syntax.Node) bool {
			word, ok := n.(*syntax.Word)
			if ok {
				w.one(word)
			}
			return !ok
		})
	}
	return nil
}

// loop walks a for loop, whose variable stands for each of the words.
func (w *walker) loop(x *syntax.ForClause) []*call {
	iter, ok := x.Loop.(*syntax.WordIter)
	if !ok || iter.Name == nil {
		return w.stmts(x.Do)
	}
	var items []word
	for _, item := range iter.Items {
		items = append(items, w.fields(item)...)
	}
	loops := w.loops
	w.loops = map[string][]word{}
	for k, v := range loops {
		w.loops[k] = v
	}
	if len(items) > 0 && len(items) <= 256 {
		w.loops[iter.Name.Value] = items
	}
	out := w.stmts(x.Do)
	w.loops = loops
	return out
}

// callExpr walks a simple command: assignments, then the command itself.
func (w *walker) callExpr(x *syntax.CallExpr) []*call {
	for _, a := range x.Assigns {
		if len(x.Args) > 0 {
			w.one(a.Value) // holds for this command alone
			continue
		}
		w.assign(a)
	}
	if len(x.Args) == 0 {
		return nil
	}
	var args []word
	for _, a := range x.Args {
		if *w.budget < 0 {
			return nil
		}
		args = append(args, w.looped(a)...)
	}
	if *w.budget -= wordCost * (1 + len(args)); *w.budget < 0 {
		return nil
	}
	c := &call{line: w.line}
	c.args, c.list = unwrap(args)
	for _, n := range w.nested {
		if n.into == nil {
			n.into = c
		}
	}
	w.nested = nil
	if len(c.args) == 0 {
		return nil
	}
	if t, ok := innerScript(c); ok {
		before := len(w.calls)
		w.script(t)
		w.calls = append(w.calls, c)
		return append(w.calls[before:len(w.calls)-1:len(w.calls)-1], c)
	}
	w.calls = append(w.calls, c)
	return []*call{c}
}

func (w *walker) assign(a *syntax.Assign) {
	if a.Array != nil {
		w.array(a)
		return
	}
	value := w.one(a.Value)
	if a.Name == nil || a.Naked {
		return
	}
	if a.Append {
		if old, ok := w.scope.lookup(a.Name.Value); ok {
			var b builder
			b.add(old.text)
			b.add(value.text)
			value.text = b.text()
			value.miss(old.missing...)
		}
	}
	w.scope.put(a.Name.Value, value)
	delete(w.loops, a.Name.Value)
}

// array remembers an array as what "${NAME[@]}" gives: each of its words.
func (w *walker) array(a *syntax.Assign) {
	var items []word
	for _, e := range a.Array.Elems {
		if e.Value != nil {
			items = append(items, w.fields(e.Value)...)
		}
	}
	if a.Name != nil && len(items) <= 256 {
		loops := map[string][]word{a.Name.Value: items}
		for k, v := range w.loops {
			if k != a.Name.Value {
				loops[k] = v
			}
		}
		w.loops = loops
	}
}
