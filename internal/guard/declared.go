package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// asExecuted returns the commands that are declared for a container as its processes
// have them. The kernel puts the interpreter before the path of a script, so that one
// that is declared has two commands.
func (s *subject) asExecuted(declared [][]string) [][]string {
	if len(declared) == 0 {
		return nil
	}
	root, err := unix.Open(s.root(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return declared // it has ended
	}
	defer func() { _ = unix.Close(root) }()
	out := slices.Clone(declared)
	for _, command := range declared {
		if len(command) == 0 {
			continue
		}
		for _, script := range candidates(command[0]) {
			if by := interpreterOf(root, script); by != nil {
				out = append(out, slices.Concat(by, []string{script}, command[1:]))
			}
		}
	}
	return out
}

// candidates are where the runtime finds the program of a command: what has no slash
// in one of the folders that images have in their PATH.
func candidates(program string) []string {
	if strings.Contains(program, "/") {
		return []string{program}
	}
	var out []string
	for _, folder := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		out = append(out, path.Join(folder, program))
	}
	return out
}

// interpreterOf reads the first line of a script below the root: the interpreter, and
// all that follows it as one word (execve(2), "Interpreter scripts"). It is nil for
// what is no script.
func interpreterOf(root int, script string) []string {
	fd, err := unix.Openat2(root, script, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("script %q", script))
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	const most = 256 // BINPRM_BUF_SIZE
	head := make([]byte, most)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	rest, is := strings.CutPrefix(string(line), "#!")
	name, argument := strings.Trim(rest, " \t"), ""
	if at := strings.IndexAny(name, " \t"); at >= 0 {
		name, argument = name[:at], strings.Trim(name[at:], " \t")
	}
	switch {
	case !is || name == "":
		return nil
	case argument == "":
		return []string{name}
	}
	return []string{name, argument}
}
