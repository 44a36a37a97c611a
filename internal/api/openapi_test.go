package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// TestOpenAPIIsMadeFromTheRoutes makes the contract from Routes, from the types of
// the documents, and from what their comments say.
func TestOpenAPIIsMadeFromTheRoutes(t *testing.T) {
	made := writer{comments: readComments(t, ".", "../gate", "../release", "../record", "../.."), schemas: map[string]any{}}
	got, err := json.MarshalIndent(made.contract(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, OpenAPI()) {
		t.Error("openapi.json is not what the routes and types say\nhint: go test ./internal/api -update")
	}
}

// TestOpenAPIIsWhole checks that every reference leads somewhere, that every schema
// compiles, and that everything is described.
func TestOpenAPIIsWhole(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(OpenAPI()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("contract.json", doc); err != nil {
		t.Fatal(err)
	}
	schemas := doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	if len(schemas) < 40 {
		t.Errorf("only %d schemas", len(schemas))
	}
	for name, s := range schemas {
		if _, err := c.Compile("contract.json#/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.(map[string]any)["description"] == nil {
			t.Errorf("%s is not described", name)
		}
	}
	paths := doc.(map[string]any)["paths"].(map[string]any)
	for _, r := range Routes() {
		if paths[r.Path].(map[string]any)[strings.ToLower(r.Method)] == nil {
			t.Errorf("%s %s is missing", r.Method, r.Path)
		}
	}
}

// writer writes the contract.
type writer struct {
	comments map[string]string // "package.Type", "package.Type.Field"
	schemas  map[string]any
	asked    map[string]bool // schemas that are part of a request
	answered map[string]bool // schemas that are part of an answer
	in       *map[string]bool
}

type object = map[string]any

func (w *writer) contract() object {
	w.asked, w.answered = map[string]bool{}, map[string]bool{}
	w.in = &w.answered
	problem := w.content("application/problem+json", Problem{})
	paths := object{}
	for _, r := range Routes() {
		if paths[r.Path] == nil {
			paths[r.Path] = object{}
		}
		paths[r.Path].(object)[strings.ToLower(r.Method)] = w.operation(&r, problem)
	}
	// What people send is not held to have every field that an answer has.
	for name := range w.asked {
		if w.answered[name] {
			delete(w.schemas[name].(object), "required")
		}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Touchstone", "version": "v1",
			"description": "Decides what software may run where. Errors are application/problem+json (RFC 9457). " +
				"A write may carry an Idempotency-Key: the same key within a day gets the first answer again. " +
				"Lists come in pages: next is handed back as ?after=.",
		},
		"paths":      paths,
		"components": object{"schemas": w.schemas, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "tst_ID_SECRET, as touchstone token create makes one"}}},
	}
}

func (w *writer) operation(r *Route, problem object) object {
	op := object{"summary": r.Summary, "operationId": operationID(r)}
	var parameters []any
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(r.Path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, q := range r.Query {
		p := object{"name": q, "in": "query", "schema": object{"type": "string"}}
		switch q {
		case "limit":
			p["schema"] = object{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
		case "label":
			p["schema"], p["description"] = object{"type": "array", "items": object{"type": "string"}}, "NAME=VALUE, repeated"
		case "after":
			p["description"] = "next of the page before"
		case "layer":
			p["schema"], p["description"] = object{"type": "array", "items": object{"type": "string"}}, "a diff ID, repeated, bottom first"
		case "since":
			p["description"] = "version of the answer before"
		}
		parameters = append(parameters, p)
	}
	if r.Writes {
		parameters = append(parameters, object{"name": "Idempotency-Key", "in": "header", "schema": object{"type": "string", "maxLength": 256}})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if r.Request != nil {
		w.in = &w.asked
		op["requestBody"] = object{"required": true, "content": w.content("application/json", r.Request)}
		w.in = &w.answered
	}
	if r.Role == "" {
		op["security"] = []any{}
	} else {
		op["security"] = []any{object{"token": []any{}}}
		op["description"] = fmt.Sprintf("Needs the role %s.", r.Role)
	}
	op["responses"] = w.responses(r, problem)
	return op
}

func (w *writer) responses(r *Route, problem object) object {
	out := object{"default": object{"description": "What went wrong", "content": problem}}
	ok := object{"description": r.Summary}
	switch {
	case r.Stream:
		ok["content"] = w.content("text/event-stream", r.Response)
	case r.Path == "/metrics":
		ok["content"] = object{"text/plain": object{"schema": object{"type": "string"}}}
	case strings.HasSuffix(r.Path, "/files"):
		ok["content"] = object{"application/octet-stream": object{}}
	case r.Response != nil:
		ok["content"] = w.content("application/json", r.Response)
	default:
		out["204"] = object{"description": "Done"}
		return out
	}
	out["200"] = ok
	switch r.Path {
	case "/v1/checks":
		out["202"] = object{"description": "Not seen before: it is being scanned; ask again after Retry-After seconds", "content": ok["content"]}
	case "/readyz":
		out["503"] = object{"description": "Nothing can be decided", "content": ok["content"]}
	}
	return out
}

func operationID(r *Route) string {
	words := strings.FieldsFunc(r.Path, func(c rune) bool { return strings.ContainsRune("/{}.", c) })
	id := strings.ToLower(r.Method)
	for _, word := range words {
		if word != "v1" {
			id += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return id
}

func (w *writer) content(media string, of any) object {
	return object{media: object{"schema": w.schema(reflect.TypeOf(of))}}
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// schema returns the schema of a type (JSON Schema 2020-12).
func (w *writer) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	case t.Implements(marshaler):
		panic(t.String() + " writes its JSON by itself: say here what that is")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return w.schema(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint32, reflect.Int32:
		return object{"type": "integer"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": []any{"array", "null"}, "items": w.schema(t.Elem())}
	case reflect.Map:
		return object{"type": []any{"object", "null"}, "additionalProperties": w.schema(t.Elem())}
	case reflect.Struct:
		return w.refer(t)
	}
	panic("no schema for " + t.String())
}

// refer writes the schema of a struct once, and refers to it.
func (w *writer) refer(t reflect.Type) object {
	name := schemaName(t)
	ref := object{"$ref": "#/components/schemas/" + name}
	if (*w.in)[name] {
		return ref
	}
	(*w.in)[name] = true
	s := object{"type": "object"}
	w.schemas[name] = s
	properties := object{}
	var required []any
	w.fields(t, properties, &required)
	s["properties"] = properties
	if required != nil {
		s["required"] = required
	}
	base, _, _ := strings.Cut(t.Name(), "[")
	if text := w.comments[path.Base(t.PkgPath())+"."+base]; text != "" {
		s["description"] = text
	}
	return ref
}

func (w *writer) fields(t reflect.Type, properties object, required *[]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			w.fields(f.Type, properties, required)
			continue
		case !f.IsExported() || tag == "-":
			continue
		case tag == "":
			tag = f.Name
		}
		s := w.schema(f.Type)
		if text := w.comments[path.Base(t.PkgPath())+"."+t.Name()+"."+f.Name]; text != "" {
			s["description"] = text
		}
		properties[tag] = s
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if f.Type.Kind() == reflect.Pointer && !optional {
			properties[tag] = object{"anyOf": []any{s, object{"type": "null"}}}
		}
		if !optional && !slices.Contains(*required, any(tag)) {
			*required = append(*required, tag)
		}
	}
}

// schemaName is "Decision" for a document of this package and "gate.Mode" for one
// of another room.
func schemaName(t reflect.Type) string {
	base, of, generic := strings.Cut(t.Name(), "[")
	if generic {
		of = strings.TrimSuffix(of, "]")
		of = of[strings.LastIndex(of, "/")+1:]
		return base + "Of" + strings.TrimPrefix(of, "api.")
	}
	if room := path.Base(t.PkgPath()); room != "api" {
		return room + "." + base
	}
	return base
}

// readComments reads what the packages' comments say of types and their fields.
func readComments(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				d, ok := n.(*ast.GenDecl)
				if !ok || d.Tok != token.TYPE {
					return true
				}
				for _, spec := range d.Specs {
					readType(out, f.Name.Name, d, spec.(*ast.TypeSpec))
				}
				return false
			})
		}
	}
	return out
}

func readType(out map[string]string, room string, d *ast.GenDecl, spec *ast.TypeSpec) {
	name := room + "." + spec.Name.Name
	doc := spec.Doc
	if doc == nil {
		doc = d.Doc
	}
	out[name] = sentence(doc)
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		text := strings.TrimSpace(sentence(f.Doc) + " " + sentence(f.Comment))
		for _, n := range f.Names {
			out[name+"."+n.Name] = text
		}
	}
}

func sentence(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	return strings.Join(strings.Fields(c.Text()), " ")
}
