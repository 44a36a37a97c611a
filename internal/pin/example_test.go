package pin_test

import (
	"fmt"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/pin"
)

func Example() {
	src := []byte("FROM debian:12\nRUN apt-get update && apt-get install -y \\\n    curl  # for the health check\n")
	f, err := pin.Check("Dockerfile", src, pin.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range f.Pins() {
		fmt.Printf("%s %s %s: %s\n", p.Where, p.Tool, p.What, p.Why)
	}

	built := &touchstone.Evidence{Packages: []touchstone.Package{
		{Name: "curl", Version: "7.88.1-10+deb12u5", PURL: "pkg:deb/debian/curl@7.88.1-10%2Bdeb12u5"},
	}}
	out, _, left := f.Fix(pin.FromEvidence(built, nil))
	fmt.Printf("\n%s", out)
	for _, l := range left {
		fmt.Printf("\nleft: %s %s: %s\n", l.Where, l.What, l.Reason)
	}
	// Output:
	// Dockerfile:1 from debian:12: the tag can be moved to another image
	// Dockerfile:3 apt curl: no version: each build takes the newest
	//
	// FROM debian:12
	// RUN apt-get update && apt-get install -y \
	//     curl=7.88.1-10+deb12u5  # for the health check
	//
	// left: Dockerfile:1 debian:12: no registry was asked for its digest
}
