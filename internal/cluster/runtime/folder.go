package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Configure writes the configuration of a containerd that keeps everything in a folder
// and listens at sock there, and returns its path. It has neither Kubernetes' part nor
// what writes outside of the folder.
func Configure(dir string) (string, error) {
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\n"+
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.cri.v1.runtime\", \"io.containerd.cri.v1.images\", \"io.containerd.nri.v1.nri\", \"io.containerd.internal.v1.opt\"]\n"+
		"[grpc]\naddress = %q\n", filepath.Join(dir, "root"), filepath.Join(dir, "state"), socketIn(dir))
	file := filepath.Join(dir, "config.toml")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

func socketIn(dir string) string { return filepath.Join(dir, "sock") }

// Shims are the shims of the containerd in a folder, which its end does not end.
func Shims(dir string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")) // it may have ended
		program, _, _ := strings.Cut(string(line), "\x00")
		if strings.Contains(program, "containerd-shim") && strings.Contains(string(line), "\x00"+socketIn(dir)+"\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Clear ends what the containerd in a folder has left when it has ended: shims, mounts
// and the folder.
func Clear(dir string) {
	for _, shim := range Shims(dir) {
		_ = unix.Kill(shim, unix.SIGKILL)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[1]; strings.HasPrefix(at, dir+"/") {
			_ = unix.Unmount(at, unix.MNT_DETACH)
		}
	}
	_ = os.RemoveAll(dir)
}
