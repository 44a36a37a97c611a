package guard

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
	"touchstone.dev/touchstone/internal/inspect/mounts"
)

// mountedAt returns where the subject sees a file that lies on a file system at the
// path: below the mount of it that shows the least of it. It is the path itself where
// no mount shows the file.
func (s *subject) mountedAt(device uint64, in string) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", s.pid()))
	if err != nil {
		return in // it has ended
	}
	defer f.Close()
	return mountedAt(f, device, in)
}

// mostMounts bounds how much of the list of mounts is read.
const mostMounts = 4 << 20

// mountedAt reads mountinfo (proc_pid_mountinfo(5)): "ID PARENT MAJOR:MINOR ROOT POINT …".
func mountedAt(mountinfo io.Reader, device uint64, in string) string {
	const deviceAt, rootAt, pointAt = 2, 3, 4
	want := fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device))
	found, longest := in, -1
	lines := bufio.NewScanner(io.LimitReader(mountinfo, mostMounts))
	lines.Buffer(make([]byte, 0, 8<<10), 64<<10)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= pointAt || fields[deviceAt] != want {
			continue
		}
		root := strings.Trim(mounts.Unescape(fields[rootAt]), "/")
		rest, below := strings.CutPrefix("/"+in+"/", strings.TrimSuffix("/"+root, "/")+"/")
		if below && len(root) > longest {
			found, longest = strings.Trim(path.Join(mounts.Unescape(fields[pointAt]), rest), "/"), len(root)
		}
	}
	return found
}
