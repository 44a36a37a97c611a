//go:build linux

package fanotify

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// keepWritersAway takes a read lease on what may have a writer. While there is one
// the kernel itself refuses to execute, but it may be gone by then: that is waited
// for, and if it stays, nobody can tell what will be executed.
func (j *job) keepWritersAway() next {
	if j.sum != nil || j.layered(&j.stamp) {
		return stepAgain
	}
	const patience = 100 * time.Millisecond
	err := lease(j.event.fd)
	if err == nil {
		j.leased = true
		if !j.restat() {
			return stepDone
		}
		err = j.leaseUpper()
	}
	if errors.Is(err, unix.EAGAIN) {
		j.leased = false
		if time.Since(j.begun) < min(patience, j.layer.cfg.Bound/2) {
			return stepLater
		}
		j.suspect("it is open for writing")
		return stepDone
	}
	if !j.leased && !j.restat() { // the file system has no leases
		return stepDone
	}
	return stepAgain
}

func lease(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
	return err
}

// leaseUpper takes the lease on the file in the writable layer as well: a mapping of
// an overlay's file is one of that file, which neither the overlay nor the kernel's
// own check in execve knows of. It returns EAGAIN where there is a writer or the
// file has just been moved.
func (j *job) leaseUpper() error {
	if j.upper == "" || j.spare >= 0 {
		return nil
	}
	path, err := pathOf(j.event.fd)
	in, ok := j.inUpper(path)
	if err != nil || !ok {
		return nil
	}
	dir, err := unix.Open(j.upper, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(dir) //nolint:errcheck // it was only looked at
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOATIME,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(dir, in, &how)
	if err != nil {
		if again, _ := pathOf(j.event.fd); again != path {
			return unix.EAGAIN
		}
		return nil // it lies in a lower layer
	}
	var st unix.Statx_t
	err = statFile(fd, unix.STATX_BASIC_STATS, &st)
	if s := stampOf(&st); err == nil && (s.Size != j.stamp.Size || s.Mtime != j.stamp.Mtime || s.Ctime != j.stamp.Ctime) {
		err = unix.EAGAIN
	}
	if err == nil {
		err = lease(fd)
	}
	if err != nil {
		_ = unix.Close(fd) // it was only looked at
		return err
	}
	j.spare = fd
	return nil
}

// untilExecuted keeps the lease until the process runs the program, when the kernel
// itself keeps writers away, or is gone, or for leaseTime.
func (j *job) untilExecuted(end time.Time, pause time.Duration) {
	time.AfterFunc(pause, func() {
		var st unix.Statx_t
		err := statAt(unix.AT_FDCWD, appendProc(nil, j.event.pid, "/exe\x00"), atNoSync, unix.STATX_BASIC_STATS, &st)
		if err == nil && (st.Ino != j.stamp.Ino || unix.Mkdev(st.Dev_major, st.Dev_minor) != j.stamp.Dev) && time.Now().Before(end) {
			j.untilExecuted(end, min(2*pause, 16*time.Millisecond))
			return
		}
		j.shut()
	})
}
