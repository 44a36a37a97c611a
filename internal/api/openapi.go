package api

import _ "embed"

//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the contract as OpenAPI 3.1 (spec.openapis.org/oas/v3.1.1). It is
// made from Routes, from the types of the documents and from what their comments
// say; a test keeps it so, and writes it anew with -update.
func OpenAPI() []byte { return append([]byte(nil), openAPI...) }
