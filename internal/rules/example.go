package rules

import _ "embed"

//go:embed example.yaml
var example []byte

// Example returns the rules that hold when nobody wrote any: a whole file, with
// comments, to copy and change.
func Example() []byte { return append([]byte(nil), example...) }
