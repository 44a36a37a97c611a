package bpf

import (
	"os"
	"testing"
)

func TestFacts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for _, f := range Facts(Config{}) {
		t.Logf("%-20s %t %s", f.Name, f.Problem == "", f.Problem)
		if f.Needed && f.Problem != "" && Supported() == nil {
			t.Errorf("%s is needed and missing, and the layer is supported", f.Name)
		}
	}
}
