package artifact

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// File is a local file that an artifact is read from. What goes wrong in
// reading it is the disk's fault and wraps ErrOutside.
type File struct {
	file *os.File
	size int64
}

// OpenFile opens a regular file. It never waits, as an open of a named pipe
// would.
func OpenFile(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file", path)
	}
	if err != nil {
		return nil, Outsidef("opening %s: %w", path, err)
	}
	return NewFile(file, path)
}

// NewFile takes over an open file, which must be regular. name is for errors.
func NewFile(file *os.File, name string) (*File, error) {
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() {
		return &File{file, info.Size()}, nil
	}
	_ = file.Close()
	if err != nil {
		return nil, Outsidef("opening %s: %w", name, err)
	}
	return nil, fmt.Errorf("%s is not a regular file", name)
}

// Size returns the size in bytes that the file had when it was opened.
func (f *File) Size() int64 { return f.size }

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) { return blame(f.file.Read(p)) }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, offset int64) (int, error) { return blame(f.file.ReadAt(p, offset)) }

// Close implements io.Closer.
func (f *File) Close() error { return f.file.Close() }

func blame(n int, err error) (int, error) {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrClosed) {
		return n, err
	}
	return n, Outsidef("%w", err)
}

// youth is how long a file must have been left alone before its times can show
// a further change: the clock that file systems stamp with ticks in
// milliseconds, on some in seconds.
const youth = 2 * time.Second

// Stamp returns the identity of what the file holds, without reading it:
// device, inode, size, and the times of the last change to bytes and to inode.
// It is empty if the file changed less than two seconds before now.
func (f *File) Stamp(now time.Time) string {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.file.Fd()), &st); err != nil {
		return ""
	}
	changed := time.Unix(st.Ctim.Unix())
	if now.Sub(changed) < youth {
		return ""
	}
	return fmt.Sprintf("%x:%x:%x:%x:%x", st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
}
