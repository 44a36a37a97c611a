package guard

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestCanaryProgramEndsWithItsStatus(t *testing.T) {
	program, err := canaryProgram("one")
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "canary")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	var status *exec.ExitError
	if err := exec.Command(path).Run(); !errors.As(err, &status) || status.ExitCode() != canaryStatus {
		t.Errorf("it ended with %v, want status %d", err, canaryStatus)
	}
	if _, err := elf.Open(path); err != nil {
		t.Error(err)
	}
}

// movz Xd, #imm16 is 1101 0010 100 imm16 Rd (Arm ARM, C6.2 "MOVZ").
func TestCanaryOfArmMovesItsStatus(t *testing.T) {
	code, _, err := exitCode("arm64")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ register, value uint32 }{{0, canaryStatus}, {8, 93}} {
		word := uint32(code[4*i]) | uint32(code[4*i+1])<<8 | uint32(code[4*i+2])<<16 | uint32(code[4*i+3])<<24
		if word != 0xd2800000|want.value<<5|want.register {
			t.Errorf("instruction %d is %#x", i, word)
		}
	}
}
