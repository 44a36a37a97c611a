package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"touchstone.dev/touchstone"
)

func writeJSON(b *bytes.Buffer, c *touchstone.Check, _ Options) error { return encode(b, c) }

// encode writes v as indented JSON with nothing in it that a terminal obeys.
func encode(b *bytes.Buffer, v any) error {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	escapeJSON(b, plain.Bytes())
	return nil
}

// evidenceDocument is evidence with the name of what it was found in.
type evidenceDocument struct {
	Artifact touchstone.Artifact `json:"artifact"`
	*touchstone.Evidence
}

func writeEvidenceJSON(b *bytes.Buffer, a touchstone.Artifact, e *touchstone.Evidence) error {
	return encode(b, evidenceDocument{a, withLists(e)})
}

// longestSaved bounds what Read takes: a check of 100,000 packages is about
// 100 MB.
const longestSaved = 1 << 30

// Read reads a check that was saved as JSON.
func Read(r io.Reader) (*touchstone.Check, error) {
	limited := &io.LimitedReader{R: r, N: longestSaved}
	data, err := io.ReadAll(limited)
	if err != nil {
		return nil, fmt.Errorf("reading a saved check: %w", err)
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("reading a saved check: it is larger than %d bytes", longestSaved)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("reading a saved check: it is not JSON: %w\nhint: save one with: touchstone check IMAGE -o json=saved.json", err)
	}
	if err := readable(head.Schema); err != nil {
		return nil, err
	}
	c := new(touchstone.Check)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("reading a saved check: %w", err)
	}
	if c.Decision == nil && len(c.Road) == 0 {
		return nil, fmt.Errorf("reading a saved check: it holds no decision\nhint: evidence alone is shown by: touchstone inspect")
	}
	return withLists(c), nil
}

// readable says what to do about a document of another schema.
func readable(schema string) error {
	const kind = "touchstone.dev/check/"
	switch {
	case schema == touchstone.SchemaCheck:
		return nil
	case schema == "":
		return fmt.Errorf("reading a saved check: it names no schema\nhint: save one with: touchstone check IMAGE -o json=saved.json")
	case strings.HasPrefix(schema, kind):
		return fmt.Errorf("reading a saved check: its schema is %q and this program reads %q\nhint: update touchstone, or check the artifact again", schema, touchstone.SchemaCheck)
	default:
		return fmt.Errorf("reading a saved check: its schema is %q, which is not a check\nhint: save one with: touchstone check IMAGE -o json=saved.json", schema)
	}
}
