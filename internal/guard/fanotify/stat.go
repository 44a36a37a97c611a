//go:build linux

package fanotify

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's calls that are made for each event, without the copies and
// allocations of their ordinary wrappers.

// atNoSync: what is cached of the attributes will do. Without it a file system
// served by somebody else (FUSE, NFS) would be asked, and could hold up the loop.
const atNoSync = unix.AT_STATX_DONT_SYNC

// mountUnique is STATX_MNT_ID_UNIQUE: a mount id that is never used again (Linux 6.8).
const mountUnique = 0x4000

// statAt is statx of a path that ends in a zero byte; an empty one with
// AT_EMPTY_PATH means fd itself.
func statAt(fd int, path []byte, flags int, mask uint32, st *unix.Statx_t) error {
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(&path[0])), uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	runtime.KeepAlive(path)
	if errno != 0 {
		return errno
	}
	return nil
}

// statFile is statx of an open file.
func statFile(fd int, mask uint32, st *unix.Statx_t) error {
	return statAt(fd, []byte{0}, unix.AT_EMPTY_PATH|atNoSync, mask, st)
}

func stampOf(st *unix.Statx_t) Stamp {
	return Stamp{
		Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino, Size: int64(st.Size),
		Mtime: nanoseconds(st.Mtime), Ctime: nanoseconds(st.Ctime),
	}
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// respond answers a permission event. It reports whether anybody was waiting.
func respond(group, fd int, allow bool) bool {
	answer := [2]uint32{uint32(fd), unix.FAN_DENY}
	if allow {
		answer[1] = unix.FAN_ALLOW
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_WRITE, uintptr(group), uintptr(unsafe.Pointer(&answer)), unsafe.Sizeof(answer))
		if errno != unix.EINTR {
			return errno == 0
		}
	}
}

// readAt is pread(2) through an event's descriptor.
func readAt(fd int, b []byte, offset int64) (int, error) {
	for {
		n, err := unix.Pread(fd, b, offset)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// readNow is readAt of what is in memory already; it fails where that would mean
// waiting.
func readNow(fd int, b []byte) (int, error) {
	const nowait = 0x8 // RWF_NOWAIT
	v := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	n, _, errno := unix.Syscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&v)), 1, 0, 0, nowait)
	runtime.KeepAlive(b)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
