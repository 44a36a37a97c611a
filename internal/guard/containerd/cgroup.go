package containerd

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// group is a control group that is held open: where it is deleted and one with
// the same name is made, it is still the old one, and empty.
type group struct {
	r    *Runtime
	path string
	root *os.Root
}

// openGroup opens a control group, in the first hierarchy that has it; nil where
// none has.
func (r *Runtime) openGroup(path string) *group {
	if path == "" {
		return nil
	}
	for _, hierarchy := range []string{"", "pids", "memory", "cpu", "systemd", "unified"} {
		dir := filepath.Join(r.onHost("/sys/fs/cgroup"), hierarchy, path)
		root, err := os.OpenRoot(dir)
		if err != nil {
			continue
		}
		if _, err := root.Stat("cgroup.procs"); err == nil {
			return &group{r: r, path: path, root: root}
		}
		_ = root.Close()
	}
	return nil
}

func (g *group) close() {
	if g != nil {
		_ = g.root.Close()
	}
}

// kill kills every process in the group and in those below, and returns how many
// were there.
func (g *group) kill() int {
	if g == nil {
		return 0
	}
	n := 0
	whole := g.root.WriteFile("cgroup.kill", []byte("1"), 0) == nil // cgroup v2, Linux 5.14
	_ = fs.WalkDir(g.root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != "cgroup.procs" {
			return nil
		}
		text, _ := g.root.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				continue
			}
			n++
			if !whole {
				g.killOne(pid)
			}
		}
		return nil
	})
	return n
}

// killOne kills a process if it is still in the group while it is held.
func (g *group) killOne(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if _, inside := g.r.cgroupOf(pid, g.path); inside {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
