package guard

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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

// A program on its perch becomes the canary, and says why where it cannot.
func TestPerchProgramBecomesTheCanary(t *testing.T) {
	needRoot(t, "a root of its own")
	perch, err := perchProgram()
	if err != nil {
		t.Skip(err)
	}
	canary, err := canaryProgram("")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mode   os.FileMode
		status int
	}{"free": {0o755, canaryStatus}, "refused": {0o644, int(syscall.EACCES)}} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, program := range map[string][]byte{"perch": perch, canaryPath: canary} {
				if err := os.WriteFile(filepath.Join(root, path), program, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(root, canaryPath), c.mode); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/perch")
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
			cmd.Stdin = strings.NewReader("x")
			var status *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &status) || status.ExitCode() != c.status {
				t.Errorf("it ended with %v, want status %d", err, c.status)
			}
		})
	}
}

// The process's first thread is what /proc/PID shows: it must never be lost.
func TestALostThreadIsNeverTheFirst(t *testing.T) {
	for range 200 {
		onLostThread(func() {
			if unix.Gettid() == unix.Getpid() {
				t.Error("it ran on the first thread")
			}
		})
	}
}
