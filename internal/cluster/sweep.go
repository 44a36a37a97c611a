package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// folderPrefix begins the name of every cluster's folder; short, since paths of
// sockets may have 107 bytes.
const folderPrefix = "tkube"

// mountFolder puts the folder of a node on memory, where containers' file
// systems can lie whatever /tmp is on, and marks it as a node's.
func mountFolder(dir string) error {
	if err := syscall.Mount("tkube", dir, "tmpfs", 0, "size=3g,mode=755"); err != nil {
		return fmt.Errorf("mounting a tmpfs on %s: %w", dir, err)
	}
	return os.WriteFile(filepath.Join(dir, "node"), nil, 0o600)
}

// takeNode waits until no other test has a node on this machine, and sweeps what
// a killed one left.
func takeNode(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), folderPrefix+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = poll(ctx, 100*time.Millisecond, func() bool {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the node of another test: %w", err), f.Close())
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*", "node"))
	for _, mark := range left {
		dir := filepath.Dir(mark)
		killContainers(dir)
		err = errors.Join(err, cleanNode(dir), os.RemoveAll(dir))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sweeping a killed test's node: %w", err), f.Close())
	}
	return f, nil
}

// killContainers ends every container of the node and the shims that hold them;
// containerd itself has ended.
func killContainers(dir string) {
	tasks, _ := filepath.Glob(filepath.Join(dir, "run/containerd/io.containerd.runtime.v2.task/k8s.io/*")) // the pattern is well formed
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(task, "init.pid"))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		groups, cannot := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err == nil && cannot == nil && bytes.Contains(groups, []byte(filepath.Base(task))) { // the id is not another's
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, []byte("containerd-shim")) || !bytes.Contains(line, []byte("-address\x00"+socket(dir))) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			waitGone(pid)
		}
	}
}

// waitGone waits until a process that is not our child holds nothing any more: a
// zombie has no command line.
func waitGone(pid int) {
	for range 100 {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err != nil || len(line) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// cleanNode takes away what a node left outside its folder, and every mount
// below it, network namespaces among them. Nothing of it runs any more.
func cleanNode(dir string) error {
	err := restoreSettings(dir)
	for _, at := range mountsBelow(dir) {
		if e := syscall.Unmount(at, syscall.MNT_DETACH); e != nil && !errors.Is(e, syscall.EINVAL) {
			err = errors.Join(err, fmt.Errorf("unmounting %s: %w", at, e))
		}
	}
	_ = exec.CommandContext(context.Background(), "ip", "link", "del", bridge).Run()
	removeGroups()
	removeLinks("/var/log/containers", dir)
	return err
}

// mountsBelow returns the mount points at and below dir, the deepest first.
func mountsBelow(dir string) []string {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 1 && strings.HasPrefix(fields[1]+"/", dir+"/") {
			all = append(all, fields[1])
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all
}

// removeGroups removes the control groups that the kubelet made; one that is not
// empty stays.
func removeGroups() {
	var all []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.Contains(path, "kubepods") {
			all = append(all, path)
		}
		return nil
	})
	slices.Sort(all)
	for _, path := range slices.Backward(all) {
		_ = syscall.Rmdir(path)
	}
}

// removeLinks removes the links of a folder that lead below dir.
func removeLinks(folder, dir string) {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if to, err := os.Readlink(path); err == nil && strings.HasPrefix(to, dir+"/") {
			_ = os.Remove(path)
		}
	}
}

// settings are those of the kernel that the kubelet changes.
var settings = []string{"/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops"}

func keepSettings(dir string) error {
	var b strings.Builder
	for _, path := range settings {
		value, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s\n", path, bytes.TrimSpace(value))
	}
	return os.WriteFile(filepath.Join(dir, "settings"), []byte(b.String()), 0o600)
}

func restoreSettings(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "settings"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		path, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if e := os.WriteFile(path, []byte(value), 0o600); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}
