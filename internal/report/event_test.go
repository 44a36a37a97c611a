package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// TestReadOldEvent reads an event that was written when version 1 of its schema was
// made. The file is never written again: what it says must be readable, and lose
// nothing, as long as there is a v1.
func TestReadOldEvent(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "runtime-event-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e touchstone.RuntimeEvent
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&e); err != nil {
		t.Fatal(err)
	}
	if e.Schema != touchstone.SchemaRuntimeEvent {
		t.Errorf("the schema is %q", e.Schema)
	}
	var again bytes.Buffer
	if err := encode(&again, &e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), again.String()); diff != "" {
		t.Errorf("it is not written as it was read (-was +is)\n%s", diff)
	}
	want := "2026-11-28T12:00:00Z  01KB4CJ8G0000000000000000A  STOPPED  shop/cart-7d9f/app: " +
		"runs tmp/x (program, sha256:bbbbbbbbbbbb, 1.2 MB), which is not in the image"
	if got := RuntimeLine(&e); !strings.HasPrefix(got, want) {
		t.Error(got)
	}
}
