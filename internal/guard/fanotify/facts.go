//go:build linux

package fanotify

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Facts are what this kernel, and this process's rights, allow.
type Facts struct {
	// Permission: execs and opens can be asked about. Without it there is no layer;
	// Problem says why.
	Permission bool
	Problem    string
	Unlimited  bool // the queue and the number of marks need no limit
	Filesystem bool // FAN_MARK_FILESYSTEM (Linux 4.20)
	Ignore     bool // FAN_MARK_IGNORE that does not hold inodes in memory (Linux 6.0): opens of image files cost nothing
	PIDFD      bool // FAN_REPORT_PIDFD together with permission events (Linux 5.15)
	Unique     bool // mount ids that are never used again (Linux 6.8)
	Leases     bool // CAP_LEASE: writers are kept away while a file is judged
	// Queue is how many notifications of writes are kept, and Groups how many fanotify
	// groups a user may have; 0 where that is not told.
	Queue, Groups int
}

// Probe finds out. It leaves nothing behind.
func Probe() Facts {
	f := Facts{
		Unique: hasUniqueMounts(),
		Queue:  setting("max_queued_events"), Groups: setting("max_user_groups"),
		Leases: hasLeases(),
	}
	try := func(flags uint, use func(group int) error) error {
		group, err := unix.FanotifyInit(flags|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
		if err != nil {
			return fmt.Errorf("fanotify_init: %w", err)
		}
		defer unix.Close(group) //nolint:errcheck // nothing was written
		return use(group)
	}
	nothing := func(int) error { return nil }
	self, err := unix.MemfdCreate("touchstone-probe", unix.MFD_CLOEXEC)
	if err != nil {
		f.Problem = fmt.Sprintf("memfd_create: %v", err)
		return f
	}
	defer unix.Close(self) //nolint:errcheck // nothing was written
	mark := func(flags uint, mask uint64) func(int) error {
		return func(group int) error {
			if err := unix.FanotifyMark(group, unix.FAN_MARK_ADD|flags, mask, self, ""); err != nil {
				return fmt.Errorf("fanotify_mark: %w", err)
			}
			return nil
		}
	}
	if err := try(unix.FAN_CLASS_CONTENT, mark(0, unix.FAN_OPEN_EXEC_PERM|unix.FAN_OPEN_PERM)); err != nil {
		f.Problem = err.Error()
		return f
	}
	f.Permission = true
	f.Unlimited = try(unix.FAN_CLASS_CONTENT|unix.FAN_UNLIMITED_QUEUE|unix.FAN_UNLIMITED_MARKS, nothing) == nil
	f.PIDFD = try(unix.FAN_CLASS_CONTENT|unix.FAN_REPORT_PIDFD, nothing) == nil
	f.Ignore = try(unix.FAN_CLASS_CONTENT, mark(unix.FAN_MARK_IGNORE|unix.FAN_MARK_EVICTABLE, unix.FAN_OPEN_PERM)) == nil
	f.Filesystem = try(unix.FAN_CLASS_NOTIF, func(group int) error {
		return unix.FanotifyMark(group, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_CLOSE_WRITE, unix.AT_FDCWD, "/")
	}) == nil
	return f
}

func setting(name string) int {
	b, err := os.ReadFile("/proc/sys/fs/fanotify/" + name)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b))) // 0 says that it is not told
	return n
}

// hasLeases reports whether the process has CAP_LEASE.
func hasLeases() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_LEASE) != 0
}
