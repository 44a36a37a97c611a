package manifest_test

import (
	"bytes"
	"fmt"
	"log"

	"touchstone.dev/touchstone/internal/manifest"
)

func Example() {
	var buf bytes.Buffer
	w := manifest.NewWriter(&buf)
	for _, path := range []string{"bin", "bin/sh", "etc", "etc/passwd"} {
		if err := w.Add(&manifest.Entry{Path: []byte(path), Kind: manifest.Dir, Mode: 0o755}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		log.Fatal(err)
	}

	r, err := manifest.Open(buf.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	f, ok, err := r.Lookup("bin/sh")
	fmt.Println(f.Path, f.Kind, ok, err)
	for f := range r.All() {
		fmt.Println(f.Path)
	}
	// Output:
	// bin/sh dir true <nil>
	// bin
	// bin/sh
	// etc
	// etc/passwd
}
