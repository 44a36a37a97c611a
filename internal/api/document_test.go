package api

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestThePageForPeopleListsEveryRoute makes the table of docs/api.md from Routes.
func TestThePageForPeopleListsEveryRoute(t *testing.T) {
	const page = "../../docs/api.md"
	const begin, end = "<!-- routes: made by go test ./internal/api -update -->\n", "<!-- end of routes -->"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ends := strings.Cut(rest, end)
	if !ok || !ends {
		t.Fatalf("%s does not say where the table goes: %s… %s", page, begin, end)
	}
	made := before + begin + routeTable() + end + after
	if made == string(data) {
		return
	}
	if !*update {
		t.Errorf("the table of %s is not what the routes say\nhint: go test ./internal/api -update", page)
		return
	}
	if err := os.WriteFile(page, []byte(made), 0o644); err != nil {
		t.Fatal(err)
	}
}

func routeTable() string {
	var b strings.Builder
	b.WriteString("| call | least role | what it does | query | takes → gives |\n|---|---|---|---|---|\n")
	for _, r := range Routes() {
		role, query := "–", ""
		if r.Role != "" {
			role = string(r.Role)
		}
		if len(r.Query) > 0 {
			query = "`" + strings.Join(r.Query, "` `") + "`"
		}
		fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s | %s |\n", r.Method, r.Path, role, r.Summary, query, passes(&r))
	}
	return b.String()
}

// passes names the documents that pass, as the OpenAPI document calls them.
func passes(r *Route) string {
	gives := documentName(r.Response)
	if r.Stream {
		gives = "a stream of " + gives
	}
	if r.Request == nil {
		return gives
	}
	return documentName(r.Request) + " → " + gives
}

func documentName(doc any) string {
	if doc == nil {
		return "–"
	}
	t := reflect.TypeOf(doc)
	if of, ok := strings.CutPrefix(t.Name(), "Page["); ok {
		return "a page of " + strings.TrimSuffix(of[strings.LastIndexAny(of, "./")+1:], "]")
	}
	if t.Name() == "RawMessage" {
		return "JSON"
	}
	return t.Name()
}
