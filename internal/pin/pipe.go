package pin

import (
	"strconv"

	"mvdan.cc/sh/v3/syntax"

	"touchstone.dev/touchstone"
)

// pipeline walks the commands of a pipe and says which of them read which.
func (w *walker) pipeline(x *syntax.BinaryCmd) []*call {
	stages := []*syntax.Stmt{x.Y}
	first := x.X
	for {
		b, ok := first.Cmd.(*syntax.BinaryCmd)
		if !ok || b.Op != syntax.Pipe && b.Op != syntax.PipeAll || len(first.Redirs) > 0 {
			break
		}
		stages = append(stages, b.Y)
		first = b.X
	}
	var groups [][]*call
	groups = append(groups, w.stmt(first))
	for i := len(stages) - 1; i >= 0; i-- {
		groups = append(groups, w.stmt(stages[i]))
	}
	for i, group := range groups[:len(groups)-1] {
		next := groups[i+1]
		for _, c := range group {
			if t := c.said(); t.s != "" && len(next) > 0 && isShell(next[0].name()) {
				w.feed(next[0], t)
			}
			if c.out == nil || c.name() == "tee" {
				c.feeds = next
			}
		}
	}
	return groups[len(groups)-1]
}

// feed walks what a shell reads from its input.
func (w *walker) feed(c *call, input text) {
	switch {
	case !readsScript(c):
	case isShell(c.name()):
		w.script(input)
	default:
		w.fail(touchstone.GapUnsupported, "is a script for "+strconv.Quote(c.name()))
	}
}

func (w *walker) redirect(r *syntax.Redirect, calls []*call) {
	switch r.Op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
		if r.N != nil && r.N.Value != "1" {
			return
		}
		to := w.one(r.Word)
		for _, c := range calls {
			if c.out == nil {
				c.out = &to
			}
		}
	case syntax.WordHdoc, syntax.Hdoc, syntax.DashHdoc:
		var in word
		if r.Op == syntax.WordHdoc {
			in = w.one(r.Word)
		} else {
			in = w.heredoc(r)
		}
		for _, c := range calls {
			c.input = in.text
			w.feed(c, in.text)
		}
	case syntax.RdrIn:
		before := len(w.nested)
		w.one(r.Word)
		for _, n := range w.nested[before:] {
			for _, c := range calls {
				n.into = c
			}
		}
	}
}
