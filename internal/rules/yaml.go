package rules

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// node is one value of a YAML file, with its place.
type node struct {
	line, column int // 1 is the first; columns are characters
	kind         kind
	text         string  // of a scalar
	entries      []entry // of a table, in the order of the file
	items        []*node // of a list
}

type entry struct{ key, value *node }

type kind int

const (
	kindNull kind = iota
	kindScalar
	kindList
	kindTable
)

func (k kind) String() string {
	return [...]string{"nothing", "a word", "a list", "a table"}[k]
}

// get returns the value under the key, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key.text == key {
			return e.value
		}
	}
	return nil
}

// bounds keep a file that was made to hurt from taking long: the YAML parser's
// time grows with the square of the keys of one table, and its stack with the
// nesting.
type bounds struct {
	bytes int // of the whole file
	lines int // between two list items
}

const deepest = 40

// parse reads the one document of a file as a tree; nil when it is empty or its
// YAML is broken, which is then among the problems.
func (r *reader) parse(data []byte, most bounds) *node {
	if problem := r.hostile(data, most); problem != "" {
		r.problems = append(r.problems, Problem{File: r.file, Message: problem})
		return nil
	}
	file, err := parseYAML([]byte(strings.Join(r.lines, "\n")))
	if err != nil {
		r.broken(err)
		return nil
	}
	var root *node
	for _, doc := range file.Docs {
		if doc.Body == nil || onlyComments(doc.Body) {
			continue
		}
		if root != nil {
			r.fault(r.node(doc.Body, 0), "a second document begins here; one file holds one", "remove the line ---")
			return nil
		}
		root = r.node(doc.Body, 0)
	}
	return root
}

// parseYAML guards against a panic in the parser, which reads what people typed
// and what machines garbled.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", p)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func onlyComments(n ast.Node) bool {
	_, ok := n.(*ast.CommentGroupNode)
	return ok
}

// broken notes a syntax error at its place.
func (r *reader) broken(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil || syntax.Token.Position == nil {
		r.problems = append(r.problems, Problem{File: r.file, Message: "not YAML: " + strings.TrimSpace(err.Error())})
		return
	}
	hint := ""
	if strings.Contains(syntax.Message, "must be specified") {
		hint = "between { and }, a text that runs over several lines or holds a comma needs quotes"
	}
	pos := syntax.Token.Position
	r.problems = append(r.problems, r.at(pos.Line, max(1, pos.Column), "not YAML: "+syntax.Message, hint))
}

// hostile says what is wrong with the file's size and shape, before any of it is
// parsed.
func (r *reader) hostile(data []byte, most bounds) string {
	switch {
	case len(data) > most.bytes:
		return fmt.Sprintf("the file has %d bytes; %d is the most", len(data), most.bytes)
	case !utf8.Valid(data):
		return "the file is not UTF-8 text"
	case strings.ContainsRune(string(data), 0):
		return "the file holds a zero byte"
	}
	run, depth := 0, 0
	for _, line := range r.lines {
		body := strings.TrimSpace(line)
		if body == "" || body[0] == '#' {
			continue
		}
		run++
		if body[0] == '-' {
			run = 1
		}
		if run > most.lines {
			return fmt.Sprintf("one table has more than %d lines", most.lines)
		}
		depth = max(0, depth+strings.Count(body, "[")+strings.Count(body, "{"))
		if depth > deepest || strings.Count(body, "- ") > deepest || strings.Count(body, "? ") > deepest && body[0] == '?' || len(line)-len(strings.TrimLeft(line, " ")) > 8*deepest {
			return "the file is nested too deeply"
		}
		depth = max(0, depth-strings.Count(body, "]")-strings.Count(body, "}"))
	}
	return ""
}

// node turns the parser's tree into ours. What would make a file say something
// else than what people read (anchors, merges, tags) is a fault.
func (r *reader) node(n ast.Node, depth int) *node {
	if depth > deepest {
		out := &node{line: 1, column: 1}
		r.fault(out, "the file is nested too deeply", "")
		return out
	}
	out := &node{line: 1, column: 1}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.line, out.column = t.Position.Line, max(1, t.Position.Column)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind = kindTable
		if !n.IsFlowStyle && len(n.Values) > 0 {
			first := n.Values[0].Key.GetToken().Position
			out.line, out.column = first.Line, max(1, first.Column)
		}
		for _, v := range n.Values {
			out.entries = append(out.entries, r.entry(v, depth))
		}
	case *ast.MappingValueNode:
		out.kind = kindTable
		e := r.entry(n, depth)
		out.line, out.column = e.key.line, e.key.column
		out.entries = append(out.entries, e)
	case *ast.SequenceNode:
		out.kind = kindList
		for _, v := range n.Values {
			out.items = append(out.items, r.node(v, depth+1))
		}
	case *ast.LiteralNode:
		out.kind, out.text = kindScalar, n.Value.Value
	case *ast.NullNode:
		out.kind = kindNull
	case *ast.StringNode:
		out.kind, out.text = kindScalar, n.Value
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		r.fault(out, "anchors, aliases, tags and merges are not used here", "write it out, so that everybody reads the same")
	case ast.ScalarNode:
		out.kind, out.text = kindScalar, n.GetToken().Value
	default:
		r.fault(out, "this is neither a word nor a list nor a table", "")
	}
	return out
}

func (r *reader) entry(v *ast.MappingValueNode, depth int) entry {
	key := r.node(v.Key, depth+1)
	switch {
	case key.kind == kindNull:
		key.kind, key.text = kindScalar, "null"
	case key.kind != kindScalar:
		key.kind, key.text = kindScalar, ""
	}
	if v.Value == nil {
		return entry{key, &node{line: key.line, column: key.column}}
	}
	return entry{key, r.node(v.Value, depth+1)}
}
