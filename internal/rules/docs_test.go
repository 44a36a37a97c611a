package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"

	"touchstone.dev/touchstone"
)

const reference = "../../docs/rules.md"

func readReference(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var yamlBlock = regexp.MustCompile("(?s)(<!-- [a-z]+ -->\n)?```yaml\n(.*?)```")

// What the reference shows can be copied: whole files, rows, waivers and cases.
func TestReferenceLoads(t *testing.T) {
	example, _, err := Load("example.yaml", Example(), today())
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range yamlBlock.FindAllStringSubmatch(readReference(t), -1) {
		name, text := fmt.Sprintf("block %d", i+1), block[2]
		switch {
		case strings.Contains(block[1], "waivers"):
			_, warnings, err := LoadWaivers(name, []byte(text), example, today())
			if out := told(warnings, err); out != "" {
				t.Error(out)
			}
		case strings.Contains(block[1], "cases"):
			cases, err := LoadCases(name, []byte(text), example, today())
			if err != nil {
				t.Error(err)
			}
			for _, r := range RunCases(example, cases) {
				if !r.OK() {
					t.Error(r)
				}
			}
		default:
			if !strings.HasPrefix(text, "version: 1") {
				text = "version: 1\nenvironments: [dev, test, stage, prod]\nrules:\n  " + strings.ReplaceAll(text, "\n", "\n  ")
			}
			_, warnings, err := Load(name, []byte(text), today())
			if out := told(warnings, err); out != "" {
				t.Errorf("%s\n%s", out, text)
			}
		}
	}
}

// Every rule has a heading and an example row of its own below it.
func TestReferenceHasEveryRule(t *testing.T) {
	text := readReference(t)
	for _, name := range measureNames() {
		_, below, found := strings.Cut(text, "\n#### `"+name+"`\n")
		if !found {
			t.Errorf("%s has no heading", name)
			continue
		}
		below, _, _ = strings.Cut(below, "\n#")
		if !strings.Contains(below, "```yaml\n"+name+": {") {
			t.Errorf("%s has no example", name)
		}
	}
}

// The tables of what a condition can see are written from the types themselves.
func TestReferenceFields(t *testing.T) {
	const begin, end = "<!-- fields: written by go test ./internal/rules -update -->\n", "<!-- fields end -->"
	text := readReference(t)
	before, rest, ok := strings.Cut(text, begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the markers are gone")
	}
	fields := fieldTables(t)
	if *update {
		if err := os.WriteFile(reference, []byte(before+begin+fields+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != fields {
		t.Error("the tables are old: go test ./internal/rules -update")
	}
}

func fieldTables(t *testing.T) string {
	env, err := newEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("\n| name | type | what it is |\n| --- | --- | --- |\n")
	var queue []string
	for _, v := range Variables() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, typeLink(v.Type), v.About)
		queue = append(queue, structs(v.cel)...)
	}
	comments := fieldComments(t)
	var done []string
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if slices.Contains(done, name) {
			continue
		}
		done = append(done, name)
		fmt.Fprintf(&b, "\n#### `%s`\n\n| field | type | what it is |\n| --- | --- | --- |\n", name)
		rt := goType(t, env.CELTypeProvider(), name)
		for i := range rt.NumField() {
			field, _, _ := strings.Cut(rt.Field(i).Tag.Get("json"), ",")
			ft, ok := env.CELTypeProvider().FindStructFieldType(name, field)
			if !ok {
				continue
			}
			about := comments[rt.Name()+"."+rt.Field(i).Name]
			of := rt.Field(i).Type
			if of.Kind() == reflect.Slice {
				of = of.Elem()
			}
			if about == "" {
				about = comments[of.Name()]
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", field, typeLink(ft.Type.String()), strings.ReplaceAll(about, "|", "\\|"))
			queue = append(queue, structs(ft.Type)...)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// structs returns the names of our types within a type.
func structs(t *types.Type) []string {
	if t.Kind() == types.StructKind && strings.HasPrefix(t.TypeName(), "touchstone.") {
		return []string{t.TypeName()}
	}
	var out []string
	for _, p := range t.Parameters() {
		out = append(out, structs(p)...)
	}
	return out
}

func typeLink(s string) string {
	s = strings.ReplaceAll(s, "google.protobuf.Timestamp", "timestamp")
	return regexp.MustCompile(`touchstone\.(\w+)`).ReplaceAllStringFunc(s, func(name string) string {
		return "[" + strings.TrimPrefix(name, "touchstone.") + "](#" + strings.ToLower(strings.ReplaceAll(name, ".", "")) + ")"
	})
}

// goType returns the Go type behind a name that a condition may use.
func goType(t *testing.T, _ types.Provider, name string) reflect.Type {
	t.Helper()
	var find func(rt reflect.Type) reflect.Type
	find = func(rt reflect.Type) reflect.Type {
		for rt.Kind() == reflect.Slice || rt.Kind() == reflect.Pointer {
			rt = rt.Elem()
		}
		if "touchstone."+rt.Name() == name {
			return rt
		}
		if rt.Kind() != reflect.Struct || rt.PkgPath() != reflect.TypeFor[touchstone.Case]().PkgPath() {
			return nil
		}
		for i := range rt.NumField() {
			if got := find(rt.Field(i).Type); got != nil {
				return got
			}
		}
		return nil
	}
	got := find(reflect.TypeFor[touchstone.Case]())
	if got == nil {
		t.Fatalf("no type %s", name)
	}
	return got
}

// fieldComments reads what the root package says of each field.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), "../../"+f.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if decl, ok := n.(*ast.GenDecl); ok {
				typeComments(decl, out)
			}
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, field := range s.Fields.List {
				about := strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
				for _, name := range field.Names {
					out[spec.Name.Name+"."+name.Name] = withoutSubject(about, name.Name)
				}
			}
			return false
		})
	}
	return out
}

// typeComments notes what a type is, and for a type of words which there are.
func typeComments(decl *ast.GenDecl, out map[string]string) {
	of := ""
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			about := strings.Join(strings.Fields(decl.Doc.Text()), " ")
			about, _, _ = strings.Cut(about, ". ")
			out[spec.Name.Name] = strings.TrimSuffix(withoutSubject(about, spec.Name.Name), ".")
		case *ast.ValueSpec:
			if id, ok := spec.Type.(*ast.Ident); ok && len(spec.Values) == 1 {
				if value, ok := spec.Values[0].(*ast.BasicLit); ok && value.Kind == token.STRING && value.Value != `""` {
					join := ", "
					if of == "" {
						of, join = id.Name, ": "
					}
					out[of] += join + "`" + strings.Trim(value.Value, `"`) + "`"
				}
			}
		}
	}
}

// withoutSubject drops the name that a Go comment begins with: a table names it
// already.
func withoutSubject(about, name string) string {
	for _, verb := range []string{" is ", " are ", " says ", " holds ", " describes ", " names ", " lists "} {
		if rest, ok := strings.CutPrefix(about, name+verb); ok {
			if verb != " is " && verb != " are " {
				rest = strings.TrimSpace(verb) + " " + rest
			}
			return rest
		}
	}
	return about
}
