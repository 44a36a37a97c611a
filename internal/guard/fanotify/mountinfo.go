package fanotify

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"touchstone.dev/touchstone/internal/inspect/mounts"
)

// mountLine is one line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mountLine struct {
	id, parent uint64
	dev        uint64 // major<<32 | minor
	root       string // of the mount, in its file system
	point      string
	kind       string // of file system
	options    string // of the file system
}

var errMountInfo = errors.New("a line of mountinfo that is none")

// parseMount reads one line. The mount point is a stranger's choice.
func parseMount(line []byte) (mountLine, error) {
	head, tail, ok := bytes.Cut(line, []byte(" - "))
	fields, super := bytes.Fields(head), bytes.Fields(tail)
	if !ok || len(fields) < 6 || len(super) < 2 {
		return mountLine{}, errMountInfo
	}
	var m mountLine
	var errs [3]error
	m.id, errs[0] = strconv.ParseUint(string(fields[0]), 10, 64)
	m.parent, errs[1] = strconv.ParseUint(string(fields[1]), 10, 64)
	m.dev, errs[2] = parseDevice(fields[2])
	if errors.Join(errs[:]...) != nil {
		return mountLine{}, errMountInfo
	}
	m.root = mounts.Unescape(string(fields[3]))
	m.point = mounts.Unescape(string(fields[4]))
	m.kind = string(super[0])
	if len(super) > 2 {
		m.options = string(super[2])
	}
	return m, nil
}

// parseDevice reads "MAJOR:MINOR", as major<<32 | minor.
func parseDevice(field []byte) (uint64, error) {
	major, minor, ok := strings.Cut(string(field), ":")
	big, err := strconv.ParseUint(major, 10, 32)
	small, err2 := strconv.ParseUint(minor, 10, 32)
	if !ok || err != nil || err2 != nil {
		return 0, errMountInfo
	}
	return big<<32 | small, nil
}

// option returns the value of an option of a file system.
func (m *mountLine) option(name string) string {
	for o := range strings.SplitSeq(m.options, ",") {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return mounts.Unescape(value)
		}
	}
	return ""
}

// holdsFiles reports whether programs can lie on a kind of file system.
func holdsFiles(kind string) bool {
	switch kind {
	case "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "securityfs", "debugfs", "tracefs", "bpf", "pstore",
		"configfs", "nsfs", "autofs", "binfmt_misc", "efivarfs", "fusectl", "selinuxfs", "rpc_pipefs", "hugetlbfs", "pipefs", "sockfs":
		return false
	}
	return true
}

// isLayered reports whether files of a kind of file system are those of another one.
func isLayered(kind string) bool {
	switch kind {
	case "overlay", "aufs", "ecryptfs", "shiftfs", "unionfs":
		return true
	}
	return false
}

// isServed reports whether a process answers for a kind of file system, which then
// can hold up whoever looks at it.
func isServed(kind string) bool {
	return kind == "fuse" || kind == "fuseblk" || strings.HasPrefix(kind, "fuse.") || kind == "9p" || kind == "virtiofs"
}

// isRemote reports whether files of a kind of file system may be closed even to root
// (root_squash). What this process may not open, the kernel denies to who waits.
func isRemote(kind string) bool {
	switch kind {
	case "nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "lustre", "glusterfs":
		return true
	}
	return isServed(kind)
}

// isMemory reports whether files of a kind of file system are changed through a
// mapping without any of their times being changed.
func isMemory(kind string) bool { return kind == "tmpfs" || kind == "ramfs" || kind == "devtmpfs" }
