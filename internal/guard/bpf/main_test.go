package bpf

import (
	"os"
	"testing"
)

// The test binary is also what runs inside of the containers that the tests make.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == actorFlag {
		os.Exit(act(os.Args[2:]))
	}
	os.Exit(m.Run())
}
