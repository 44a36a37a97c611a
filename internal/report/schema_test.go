package report

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tables of docs/schema.md are made from the doc comments of the root
// package, so that they say what the code says.

const (
	tablesBegin = "<!-- tables: made from the root package by: go test ./internal/report -run TestSchemaDocument -update -->\n"
	tablesEnd   = "<!-- end of tables -->\n"
)

func TestSchemaDocument(t *testing.T) {
	root := moduleRoot(t)
	file := filepath.Join(root, "docs", "schema.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), tablesBegin)
	_, after, closed := strings.Cut(rest, tablesEnd)
	if !found || !closed {
		t.Fatalf("%s lacks the lines between which its tables stand", file)
	}
	want := before + tablesBegin + tables(t, root) + tablesEnd + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("docs/schema.md says otherwise than the code; run this test with -update (-code +document):\n%s", diff)
	}
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
}

// words of the root package, as its source tells them.
type vocabulary struct {
	structs map[string]*ast.StructType
	docs    map[string]string
	values  map[string][]string // of a named string type: its constants, with what they mean
	named   map[string]string   // a named type that is no struct → what it is made of
}

// tables writes a section for each document and for each type that they reach.
func tables(t *testing.T, root string) string {
	v := read(t, root)
	queue := []string{"Check", "Evidence", "Diff", "RuntimeEvent"}
	var b strings.Builder
	for i := 0; i < len(queue); i++ {
		name := queue[i]
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", name, v.docs[name])
		b.WriteString("| field | type | meaning |\n| --- | --- | --- |\n")
		for _, f := range v.structs[name].Fields.List {
			if f.Tag == nil || len(f.Names) == 0 {
				continue
			}
			tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
			key, options, _ := strings.Cut(tag, ",")
			if key == "-" || key == "" {
				continue
			}
			kind, reached := v.describe(f.Type)
			for _, r := range reached {
				if v.structs[r] != nil && !slices.Contains(queue, r) {
					queue = append(queue, r)
				}
			}
			if options != "" {
				kind += ", may be absent"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, kind, cellText(v.meaning(f, reached)))
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func read(t *testing.T, root string) *vocabulary {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	v := &vocabulary{map[string]*ast.StructType{}, map[string]string{}, map[string][]string{}, map[string]string{}}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				v.declare(g)
			}
		}
	}
	return v
}

func (v *vocabulary) declare(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			doc := g.Doc.Text()
			if s.Doc != nil {
				doc = s.Doc.Text()
			}
			v.docs[s.Name.Name] = oneLine(doc)
			if st, ok := s.Type.(*ast.StructType); ok {
				v.structs[s.Name.Name] = st
			} else if id, ok := s.Type.(*ast.Ident); ok {
				v.named[s.Name.Name] = id.Name
			}
		case *ast.ValueSpec:
			id, ok := s.Type.(*ast.Ident)
			if g.Tok != token.CONST || !ok || len(s.Values) != 1 {
				continue
			}
			if lit, ok := s.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING && lit.Value != `""` {
				text := "`" + strings.Trim(lit.Value, `"`) + "`"
				if c := oneLine(s.Comment.Text()); c != "" {
					text += " (" + c + ")"
				}
				v.values[id.Name] = append(v.values[id.Name], text)
			}
		}
	}
}

// describe writes a type as JSON has it, and names the types that it reaches.
func (v *vocabulary) describe(e ast.Expr) (string, []string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return v.describe(e.X)
	case *ast.ArrayType:
		of, reached := v.describe(e.Elt)
		return "list of " + of, reached
	case *ast.MapType:
		of, reached := v.describe(e.Value)
		return "object of " + of, reached
	case *ast.SelectorExpr:
		return "time (RFC 3339)", nil
	case *ast.Ident:
		switch e.Name {
		case "string", "bool":
			return e.Name, nil
		case "int", "int64", "uint32":
			return "integer", nil
		case "float64":
			return "number", nil
		case "Digest":
			return "digest (`sha256:…`)", nil
		}
		if v.structs[e.Name] != nil {
			return fmt.Sprintf("[%s](#%s)", e.Name, strings.ToLower(e.Name)), []string{e.Name}
		}
		return v.named[e.Name], []string{e.Name}
	}
	return "?", nil
}

// choices lists the values of the named strings that a field may hold.
func (v *vocabulary) choices(reached []string) string {
	var out string
	for _, r := range reached {
		if list := v.values[r]; len(list) > 0 {
			out += " One of " + strings.Join(list, ", ") + "."
		}
	}
	return out
}

// meaning is what the field's comment says, else what its type is.
func (v *vocabulary) meaning(f *ast.Field, reached []string) string {
	text := oneLine(f.Doc.Text() + " " + f.Comment.Text())
	if text == "" && len(reached) > 0 {
		text = v.docs[reached[0]]
	}
	head, _, _ := strings.Cut(text, " ")
	if text != "" && !strings.ContainsAny(head, "./") { // "touchstone.dev/check/v1" begins no sentence
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	text = regexp.MustCompile(`\bnil\b`).ReplaceAllString(text, "absent") // Go's word
	return text + v.choices(reached)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func cellText(s string) string {
	return strings.TrimSpace(strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`).Replace(s))
}
