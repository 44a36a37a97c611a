// Package mounts says which file systems that are mounted below a machine's root
// are part of the machine: whoever lists its files and whoever compares them with
// the list must go to the same places. It reads the names in the kernel's lists of
// mounts, and does not look at mounts itself.
package mounts

import "golang.org/x/sys/unix"

// Kind says what to do with another file system below the root.
type Kind int

// The kinds of file system.
const (
	Disk    Kind = iota // part of the machine
	Virtual             // made up by the kernel, gone after a restart, or a container's
	Foreign             // another machine's, or unknown
)

// Judge judges a file system by the number of its type (statfs(2)).
func Judge(kind int64) Kind {
	switch kind {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.MSDOS_SUPER_MAGIC,
		unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1, unix.ISOFS_SUPER_MAGIC, unix.REISERFS_SUPER_MAGIC, 0x2fc12fc1, // ZFS
		0x2011bab0: // exfat
		return Disk
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.DEVPTS_SUPER_MAGIC, unix.CGROUP_SUPER_MAGIC,
		unix.CGROUP2_SUPER_MAGIC, unix.SECURITYFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.PSTOREFS_MAGIC, unix.BPF_FS_MAGIC,
		unix.HUGETLBFS_MAGIC, unix.EFIVARFS_MAGIC, unix.SELINUX_MAGIC, unix.SMACK_MAGIC, unix.NSFS_MAGIC, unix.BINFMTFS_MAGIC,
		unix.AUTOFS_SUPER_MAGIC, unix.RDTGROUP_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
		0x19800202, // mqueue
		0x65735543, // fusectl
		0x62656570, // configfs
		0x67596969: // rpc_pipefs
		return Virtual
	default:
		return Foreign
	}
}
