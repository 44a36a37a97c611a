package pin

import (
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"touchstone.dev/touchstone"
)

// run reads RUN in its three forms: a shell script, a JSON array of words, a
// here-document.
func (r *reader) run(in instruction) {
	s, n := r.current()
	r.mounts(in)
	w := &walker{
		scope: newScope(s.scope), budget: &r.budget, line: in.line,
		fail: func(kind touchstone.GapKind, reason string) { r.file.gap(in.line, kind, reason) },
	}
	switch {
	case in.json != nil:
		var args []word
		for _, t := range in.list() {
			args = append(args, wordAt(t))
		}
		w.words(args)
	case !s.posix:
		r.file.gap(in.line, touchstone.GapUnsupported, "its shell is not a POSIX shell")
	default:
		t, interpreter := runScript(in)
		if interpreter != "" {
			r.file.gap(in.line, touchstone.GapUnsupported, "is a script for "+interpreter)
			return
		}
		w.text = t
		w.run()
	}
	s.calls = append(s.calls, w.calls...)
	for _, c := range w.calls {
		r.judge(n, c)
	}
}

// words takes a command in exec form, which no shell expands.
func (w *walker) words(args []word) {
	c := &call{line: w.line}
	if c.args, c.list = unwrap(args); len(c.args) == 0 {
		return
	}
	if t, ok := innerScript(c); ok {
		w.script(t)
	}
	w.calls = append(w.calls, c)
}

// runScript returns the script of a RUN that a shell runs: its line, with the
// here-documents that follow it. interpreter is set when the script is not for
// a shell.
func runScript(in instruction) (script text, interpreter string) {
	if len(in.docs) == 0 {
		return in.args, ""
	}
	if doc, err := parser.ParseHeredoc(in.args.s); err == nil && doc != nil {
		body := in.docs[0].body
		if line, ok := strings.CutPrefix(body.s, "#!"); ok {
			line, _, _ = strings.Cut(line, "\n")
			words := strings.Fields(line)
			name := ""
			for _, f := range words { // "/usr/bin/env -S bash -e"
				name = f[strings.LastIndexByte(f, '/')+1:]
				if name != "env" && !strings.HasPrefix(f, "-") {
					break
				}
			}
			if !isShell(name) {
				return text{}, strconv.Quote(name)
			}
		}
		return body, ""
	}
	var b builder
	b.add(in.args)
	for _, d := range in.docs {
		b.add(unplaced("\n"))
		b.add(d.body)
		b.add(unplaced(d.Name))
	}
	return b.text(), ""
}
