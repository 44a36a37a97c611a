package pin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// reader goes through the instructions of a file in their order.
type reader struct {
	file   *File
	global *scope // ARG before the first FROM
	stages []*stage
	budget int
}

// stage is one build stage.
type stage struct {
	name  string // lower case; empty when it has none
	base  int    // the stage that it is built on, else -1
	scope *scope
	posix bool // its shell is one that is read
	calls []*call
}

func newReader(f *File) *reader {
	r := &reader{file: f, global: newScope(nil), budget: mostRead}
	return r
}

// current returns the stage at hand and its number; nil and -1 before FROM.
func (r *reader) current() (*stage, int) {
	n := len(r.stages) - 1
	if n < 0 {
		return nil, n
	}
	return r.stages[n], n
}

func (r *reader) instruction(in instruction) {
	s, _ := r.current()
	switch in.name {
	case "from":
		r.from(in)
		return
	case "arg":
		r.arg(in)
		return
	}
	if s == nil {
		return
	}
	switch in.name {
	case "env":
		r.env(in)
	case "shell":
		s.posix = len(in.json) > 0 && isShell(in.json[0][strings.LastIndexByte(in.json[0], '/')+1:])
	case "copy":
		r.copyFrom(in)
	case "add":
		r.add(in)
	case "run":
		r.run(in)
	case "onbuild":
		r.onbuild(in)
	}
}

// onbuild reads the instruction that the next build will run.
func (r *reader) onbuild(in instruction) {
	if in.node.Next == nil || len(in.node.Next.Children) == 0 {
		return
	}
	node := in.node.Next.Children[0]
	t := in.args
	if t.s != node.Original {
		t = unplaced(node.Original)
	}
	inner := newInstruction(node, t)
	inner.line, inner.docs = in.line, in.docs
	if inner.name == "copy" || inner.name == "add" || inner.name == "run" {
		r.instruction(inner)
	}
}

// expand is scope.expand within the budget of the file.
func (r *reader) expand(s *scope, t text) word {
	if r.budget < 0 {
		w := wordAt(t)
		w.text, w.missing = unplaced(unknown), []string{tooMuch}
		return w
	}
	w := s.expand(t, r.file.source.escape)
	r.budget -= len(w.s) + wordCost
	return w
}

// from opens a stage.
func (r *reader) from(in instruction) {
	words := in.args.fields()
	if len(words) == 0 {
		return
	}
	if len(r.stages) >= mostStages {
		r.file.gap(in.line, touchstone.GapLimit, fmt.Sprintf("is one of more than %d build stages", mostStages))
		return
	}
	s := &stage{base: -1, scope: newScope(nil), posix: r.file.source.escape != '`'}
	if len(words) >= 3 && strings.EqualFold(words[1].s, "as") {
		s.name = strings.ToLower(words[2].s)
	}
	image := r.expand(r.global, words[0])
	platform := ""
	if p, ok := in.flag("platform"); ok {
		if w := r.expand(r.global, p); w.known() {
			platform = w.s
		}
	}
	if n, ok := r.stageNamed(image); ok {
		s.base = n
		s.scope = newScope(r.stages[n].scope)
		s.posix = r.stages[n].posix
	}
	isStage := r.isStage(image)
	r.stages = append(r.stages, s)
	if name := variableName(words[0].s); name != "" {
		r.file.whole[name]++
	}
	if !isStage && !strings.EqualFold(image.s, "scratch") {
		r.image("from", in.line, image, platform)
	}
}

// stageNamed finds an earlier stage by its name.
func (r *reader) stageNamed(w word) (int, bool) {
	for i := len(r.stages) - 1; i >= 0; i-- {
		if r.stages[i].name != "" && r.stages[i].name == strings.ToLower(w.s) {
			return i, true
		}
	}
	return 0, false
}

// isStage reports whether a name means an earlier stage or a named context and
// so no image. "build-$TARGETARCH" does when a stage fits it.
func (r *reader) isStage(w word) bool {
	if _, ok := r.stageNamed(w); ok || slices.Contains(r.file.options.Contexts, w.s) {
		return true
	}
	if w.known() || strings.Trim(w.s, unknown) == "" {
		return false
	}
	pattern := strings.ToLower(strings.ReplaceAll(w.s, unknown, "*"))
	for _, s := range r.stages {
		if s.name != "" && touchstone.MatchName(pattern, s.name) {
			return true
		}
	}
	return false
}

// variableName returns NAME when s is $NAME or ${NAME}.
func variableName(s string) string {
	name, ok := strings.CutPrefix(s, "$")
	if !ok {
		return ""
	}
	if inner, ok := strings.CutPrefix(name, "{"); ok {
		if name, ok = strings.CutSuffix(inner, "}"); !ok {
			return ""
		}
	}
	if name == "" || nameLength(name) != len(name) {
		return ""
	}
	return name
}

// arg reads ARG NAME[=default] …; a default is what the build takes unless it
// is told otherwise.
func (r *reader) arg(in instruction) {
	scope := r.global
	s, _ := r.current()
	if s != nil {
		scope = s.scope
	}
	from := 0
	for n := in.node.Next; n != nil; n = n.Next {
		var t text
		t, from = in.args.find(n.Value, from)
		name, _, assigned := strings.Cut(t.s, "=")
		r.file.given[name]++
		given, outside := r.file.options.BuildArgs[name]
		switch {
		case outside:
			scope.put(name, wordAt(unplaced(given)))
		case assigned:
			scope.put(name, r.expand(scope, t.slice(len(name)+1, len(t.s))))
		case s != nil:
			if w, ok := r.global.lookup(name); ok {
				scope.put(name, w)
			}
		}
	}
}

// env reads ENV NAME=value … and ENV NAME value.
func (r *reader) env(in instruction) {
	s, _ := r.current()
	values := map[string]word{} // all of one ENV see the variables before it
	from := 0
	for n := in.node.Next; n != nil && n.Next != nil && n.Next.Next != nil; n = n.Next.Next.Next {
		_, from = in.args.find(n.Value, from)
		var t text
		t, from = in.args.find(n.Next.Value, from)
		values[n.Value] = r.expand(s.scope, t)
		r.file.given[n.Value]++
	}
	for name, w := range values {
		s.scope.put(name, w)
	}
}

// finish judges what needs a whole stage, and tells which stages the image is
// made of.
func (r *reader) finish() {
	for n, s := range r.stages {
		r.downloads(n, s.calls)
	}
	final := map[int]bool{}
	last := len(r.stages) - 1
	for i, s := range r.stages {
		if r.file.options.Target != "" && s.name == strings.ToLower(r.file.options.Target) {
			last = i
		}
	}
	for n := last; n >= 0; n = r.stages[n].base {
		final[n] = true
	}
	for i := range r.file.findings {
		x := &r.file.findings[i]
		if x.stage >= 0 {
			x.Stage, x.Final = strconv.Itoa(x.stage), final[x.stage]
			if name := r.stages[x.stage].name; name != "" {
				x.Stage = name
			}
		}
	}
	r.file.sorted()
}
