package guard

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/guard/containerd"
)

func TestTheInterpreterOfAScript(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plain": "#!/bin/sh\nexit 0\n", "word": "#!/bin/sh -eu\n", "words": "#! /usr/bin/env  -S sh -x \t\n", "blank": "#!  \n", "short": "#!/bin/sh",
		"none": "exit 0\n", "empty": "", "program": "\x7fELF",
	} {
		write(t, filepath.Join(dir, name), text, 0o755)
	}
	if err := os.Mkdir(filepath.Join(dir, "usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"within": "/plain", "out": "../../../../../plain", "loop": "/loop"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(root) }()
	for script, want := range map[string][]string{
		"/plain": {"/bin/sh"}, "/word": {"/bin/sh", "-eu"}, "/words": {"/usr/bin/env", "-S sh -x"}, "/short": {"/bin/sh"},
		"/within": {"/bin/sh"}, "/out": {"/bin/sh"}, "plain": {"/bin/sh"}, "/usr/../plain": {"/bin/sh"},
		"/blank": nil, "/none": nil, "/empty": nil, "/program": nil, "/usr": nil, "/fifo": nil, "/loop": nil, "/nothing": nil, "": nil,
	} {
		if diff := cmp.Diff(want, interpreterOf(root, script)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", script, diff)
		}
	}
}

func TestDeclaredCommandsAsTheyAreExecuted(t *testing.T) {
	s := &subject{container: &containerd.Container{Init: containerd.Process{PID: os.Getpid()}}}
	script := filepath.Join(t.TempDir(), "alive.sh")
	write(t, script, "#!/bin/sh -e\nexit 0\n", 0o755)
	plain := []string{"sh", "-c", "true"}
	got := s.asExecuted([][]string{plain, {script, "thanks"}, {}})
	want := [][]string{plain, {script, "thanks"}, {}, {"/bin/sh", "-e", script, "thanks"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
