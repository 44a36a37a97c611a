package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Identity is how the kernel tells a subject's tasks: by any one of these. A task in
// a cgroup below, or in a PID namespace below, belongs as well. Zero stands for none.
type Identity struct {
	Cgroup  uint64 // inode number of its folder, in the hierarchy that the Layer goes by
	MountNS uint32 // inode number of the namespace
	PIDNS   uint32
}

// hierarchy is that of the control groups by which subjects are told.
type hierarchy struct {
	controller string // of version 1; empty for version 2
	folder     string // where it is mounted
	index      int32  // of the controller in the kernel; -1 for version 2
}

// findHierarchy takes version 2 where it is alone, else the version 1 controller that
// runtimes always use. A guard that starts again must find the same.
func findHierarchy(cgroups string) (hierarchy, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(cgroups, &fs); err != nil {
		return hierarchy{}, fmt.Errorf("looking for control groups at %s: %w", cgroups, err)
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return hierarchy{folder: cgroups, index: -1}, nil
	}
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return hierarchy{}, fmt.Errorf("reading the kernel's types: %w", err)
	}
	var ids *btf.Enum
	if err := kernel.TypeByName("cgroup_subsys_id", &ids); err != nil {
		return hierarchy{}, fmt.Errorf("looking for the kernel's cgroup controllers: %w", err)
	}
	for _, controller := range []string{"pids", "memory", "devices", "cpuset"} {
		folder := filepath.Join(cgroups, controller)
		if unix.Statfs(folder, &fs) != nil || fs.Type != unix.CGROUP_SUPER_MAGIC {
			continue
		}
		for _, v := range ids.Values {
			if v.Name == controller+"_cgrp_id" {
				return hierarchy{controller: controller, folder: folder, index: int32(v.Value)}, nil
			}
		}
	}
	return hierarchy{}, fmt.Errorf("no hierarchy of control groups below %s", cgroups)
}

// Identify returns how the tasks of the process' container can be told. What it
// shares with the host is left out, and so is no part of the identity.
func (l *Layer) Identify(pid int) (Identity, error) {
	var id Identity
	group, err := l.hierarchy.groupOf(l.config.Proc, pid)
	if err != nil {
		return Identity{}, err
	}
	if group != "/" {
		if id.Cgroup, err = l.CgroupID(group); err != nil {
			return Identity{}, err
		}
	}
	if id.MountNS, err = namespaceUnlikeHost(l.config.Proc, pid, "mnt"); err != nil {
		return Identity{}, err
	}
	if id.PIDNS, err = namespaceUnlikeHost(l.config.Proc, pid, "pid"); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// CgroupID returns the Cgroup of an Identity, from the group's path in the hierarchy
// that the Layer goes by.
func (l *Layer) CgroupID(path string) (uint64, error) {
	var st unix.Stat_t
	folder := filepath.Join(l.hierarchy.folder, path)
	if err := unix.Stat(folder, &st); err != nil {
		return 0, fmt.Errorf("looking for the control group %s: %w", folder, err)
	}
	return st.Ino, nil
}

func (h hierarchy) groupOf(proc string, pid int) (string, error) {
	f, err := os.Open(filepath.Join(proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return "", fmt.Errorf("reading the control groups of a process: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, rest, _ := strings.Cut(lines.Text(), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		for c := range strings.SplitSeq(controllers, ",") {
			if c != h.controller {
				continue
			}
			if strings.HasPrefix(path, "/..") {
				return "", errors.New("control groups are seen from inside of a cgroup namespace\nhint: run the guard in the host's cgroup namespace")
			}
			return path, nil
		}
	}
	return "", fmt.Errorf("process %d is in no control group of %s", pid, h.folder)
}

// namespaceUnlikeHost returns 0 for the host's own.
func namespaceUnlikeHost(proc string, pid int, kind string) (uint32, error) {
	own, err := namespace(proc, pid, kind)
	if err != nil {
		return 0, err
	}
	host, err := hostNamespace(proc, kind)
	if err != nil {
		return 0, err
	}
	if own == host {
		return 0, nil
	}
	return own, nil
}

// hostNamespace asks the kernel's own thread, which is always in the first
// namespaces and hides from nobody.
func hostNamespace(proc, kind string) (uint32, error) {
	const thread = 2
	comm, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(thread), "comm"))
	if err != nil || string(comm) != "kthreadd\n" {
		return 0, fmt.Errorf("%s does not show the host's processes\nhint: run the guard in the host's PID namespace", proc)
	}
	return namespace(proc, thread, kind)
}

func namespace(proc string, pid int, kind string) (uint32, error) {
	var st unix.Stat_t
	path := filepath.Join(proc, strconv.Itoa(pid), "ns", kind)
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("looking for a namespace: stat %s: %w", path, err)
	}
	return uint32(st.Ino), nil
}
