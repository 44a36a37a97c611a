package bpf

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Identity is how the kernel tells a subject's tasks: by any one of these. A task in
// a cgroup below, or in a PID namespace below, belongs as well. Zero stands for none.
type Identity struct {
	Cgroup  uint64 // inode number of its folder, in the hierarchy that the Layer goes by
	MountNS uint64 // the kernel's own number, which no other namespace ever has
	PIDNS   PIDNamespace
}

// PIDNamespace names one; its inode number alone is given again.
type PIDNamespace struct {
	Inode uint32
	Start time.Duration // of its first process, since the machine started
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
// shares with the host is left out, and so is no part of the identity. The error
// wraps os.ErrNotExist if there is no such process.
func (l *Layer) Identify(pid int) (Identity, error) {
	var c kernelControl
	if err := l.maps[kernelMapControls].Lookup(uint32(0), &c); err != nil {
		return Identity{}, fmt.Errorf("reading the control map: %w", err)
	}
	p, err := l.lister.process(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("identifying process %d: %w", pid, err)
	}
	id := Identity{Cgroup: p.Cgroup, MountNS: p.Mount, PIDNS: pidNamespaceOf(p.PidSpace)}
	if p.Mount == c.Mount {
		id.MountNS = 0
	}
	return id, nil
}

func pidNamespaceOf(k kernelPidSpace) PIDNamespace {
	return PIDNamespace{Inode: k.Inode, Start: time.Duration(k.Start)}
}

func (n PIDNamespace) toKernel() kernelPidSpace {
	return kernelPidSpace{Inode: n.Inode, Start: uint64(n.Start)}
}

// kernelThread is the process that is the parent of the kernel's own: it is in the
// first namespaces, always.
const kernelThread = 2

// findHost tells the programs which mount namespace is the host's.
func (l *Layer) findHost() error {
	host, err := l.lister.process(kernelThread)
	if err != nil || host.PidSpace.Inode != 0 {
		return errors.Join(errors.New("the host's processes are not to be seen\nhint: run the guard in the host's PID namespace"), err)
	}
	return l.changeControl(func(c *kernelControl) { c.Mount = host.Mount })
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
