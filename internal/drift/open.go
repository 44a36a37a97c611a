package drift

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
	"touchstone.dev/touchstone/internal/eintr"
)

// beneath is how each name is opened: it leads to what lies in the folder itself,
// whatever is put in its place meanwhile.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// openRoot opens the root of a tree.
func openRoot(t *Tree) (int, error) {
	const flags = unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_RDONLY
	if t.Inside == "" {
		fd, err := eintr.Retry(func() (int, error) { return unix.Open(t.Path, flags, 0) })
		if err != nil {
			return -1, fmt.Errorf("opening %q: %w", t.Path, err)
		}
		return fd, nil
	}
	root, err := eintr.Retry(func() (int, error) { return unix.Open(t.Path, unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_PATH, 0) })
	if err != nil {
		return -1, fmt.Errorf("opening %q: %w", t.Path, err)
	}
	defer closeFD(root)
	fd, err := openat2(root, t.Inside, flags, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	if err != nil {
		return -1, fmt.Errorf("opening %q in %q: %w", t.Inside, t.Path, err)
	}
	return fd, nil
}

// openat2 is openat2(2); names that change under it (EAGAIN) are tried again.
func openat2(dir int, name string, flags, resolve uint64) (int, error) {
	how := &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	for try := 0; ; try++ {
		fd, err := eintr.Retry(func() (int, error) { return unix.Openat2(dir, name, how) })
		if !errors.Is(err, unix.EAGAIN) || try == 8 {
			return fd, err
		}
	}
}

// openQuietly opens a name for reading without waiting for anything and, where
// that is allowed, without a new time of access, which only owners may ask for.
func openQuietly(dir int, name string, flags, resolve uint64) (int, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	fd, err := openat2(dir, name, flags|unix.O_NOATIME, resolve)
	if errors.Is(err, unix.EPERM) {
		fd, err = openat2(dir, name, flags, resolve)
	}
	return fd, err
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd) // it was only read
	}
}

// readlink returns the target of a link, of any length.
func readlink(dir int, name string) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := eintr.Retry(func() (int, error) { return unix.Readlinkat(dir, name, buf) })
		if err != nil {
			return nil, err
		}
		if n < size {
			return buf[:n], nil
		}
	}
}

// descriptor is an open file that is read at offsets.
type descriptor int

// ReadAt is pread(2), as io.ReaderAt has it.
func (d descriptor) ReadAt(p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := eintr.Retry(func() (int, error) { return unix.Pread(int(d), p[done:], offset+int64(done)) })
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}
