package fanotify

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
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
	var errs [4]error
	m.id, errs[0] = strconv.ParseUint(string(fields[0]), 10, 64)
	m.parent, errs[1] = strconv.ParseUint(string(fields[1]), 10, 64)
	major, minor, ok := strings.Cut(string(fields[2]), ":")
	big, err := strconv.ParseUint(major, 10, 32)
	errs[2] = err
	small, err := strconv.ParseUint(minor, 10, 32)
	errs[3] = err
	if !ok || errors.Join(errs[:]...) != nil {
		return mountLine{}, errMountInfo
	}
	m.dev = big<<32 | small
	m.root = unescape(string(fields[3]))
	m.point = unescape(string(fields[4]))
	m.kind = string(super[0])
	if len(super) > 2 {
		m.options = string(super[2])
	}
	return m, nil
}

// unescape undoes the kernel's \040 and the like.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// option returns the value of an option of a file system.
func (m *mountLine) option(name string) string {
	for o := range strings.SplitSeq(m.options, ",") {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return unescape(value)
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
