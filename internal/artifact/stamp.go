package artifact

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// youth is how long a file must have been left alone before its times can show
// a further change: the clock that file systems stamp with ticks in
// milliseconds, on some in seconds.
const youth = 2 * time.Second

// StampOf returns the identity of what an open file holds, without reading it:
// device, inode, size, and the times of the last change to bytes and to inode.
// It is empty if the file changed less than two seconds before now.
func StampOf(f *os.File, now time.Time) string {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return ""
	}
	changed := time.Unix(st.Ctim.Unix())
	if now.Sub(changed) < youth {
		return ""
	}
	return fmt.Sprintf("%x:%x:%x:%x:%x", st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
}
