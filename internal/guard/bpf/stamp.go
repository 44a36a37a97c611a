package bpf

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Stamp names one state of one file, as stat shows it: any change of the content
// changes it. A stamp that is younger than a tick of the kernel's clock (10 ms) must
// not be verified where the kernel has no finer file times (before 6.13): a second
// change within the tick would not show.
type Stamp struct {
	Dev   uint64 // as in stat
	Ino   uint64
	Size  int64
	Mtime int64 // nanoseconds since 1970
	Ctime int64
}

// StampOfStat returns the stamp that a stat tells of. The kernel knows a file by the
// device of its superblock; stat shows another one on btrfs, and on an overlay whose
// layers lie on several file systems: there, take Devices.
func StampOfStat(st *unix.Stat_t) Stamp {
	return Stamp{
		Dev:   st.Dev,
		Ino:   st.Ino,
		Size:  st.Size,
		Mtime: st.Mtim.Sec*1e9 + st.Mtim.Nsec,
		Ctime: st.Ctim.Sec*1e9 + st.Ctim.Nsec,
	}
}

// Devices knows superblocks by the devices that stat shows. The zero value is ready,
// and may be used by several goroutines.
type Devices struct {
	mu    sync.Mutex
	known map[uint64]uint64
}

// StampOf returns the stamp of a file, as the kernel knows it. The file was opened in
// the mount namespace of the process, as by a path below /proc/PID/root.
func (d *Devices) StampOf(pid int, f *os.File) (Stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Stamp{}, fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	s := StampOfStat(&st)
	d.mu.Lock()
	defer d.mu.Unlock()
	superblock, ok := d.known[s.Dev]
	if !ok {
		var err error
		if superblock, err = superblockOf(pid, f); err != nil {
			return Stamp{}, fmt.Errorf("looking for the mount of %s: %w", f.Name(), err)
		}
		if d.known == nil {
			d.known = make(map[uint64]uint64)
		}
		d.known[s.Dev] = superblock
	}
	s.Dev = superblock
	return s, nil
}

// Forget is to be called when file systems were unmounted: the kernel gives their
// devices to others.
func (d *Devices) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.known)
}

// superblockOf looks for the file's mount in the process' mountinfo (proc_pid_mountinfo(5)).
func superblockOf(pid int, f *os.File) (uint64, error) {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", f.Fd()))
	if err != nil {
		return 0, err
	}
	var mount string
	for line := range strings.Lines(string(info)) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			mount = strings.TrimSpace(id)
		}
	}
	mounts, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return 0, err
	}
	defer mounts.Close()
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[0] != mount {
			continue
		}
		major, minor, _ := strings.Cut(fields[2], ":")
		a, err := strconv.ParseUint(major, 10, 32)
		if err != nil {
			return 0, err
		}
		b, err := strconv.ParseUint(minor, 10, 32)
		return unix.Mkdev(uint32(a), uint32(b)), err
	}
	return 0, fmt.Errorf("process %d has no mount %s", pid, mount)
}

func (s Stamp) toKernel() kernelStamp {
	return kernelStamp{
		Dev:   unix.Major(s.Dev)<<20 | unix.Minor(s.Dev),
		Ino:   s.Ino,
		Size:  uint64(s.Size),
		Mtime: s.Mtime,
		Ctime: s.Ctime,
	}
}

func stampOf(k kernelStamp) Stamp {
	return Stamp{
		Dev:   unix.Mkdev(k.Dev>>20, k.Dev&(1<<20-1)),
		Ino:   k.Ino,
		Size:  int64(k.Size),
		Mtime: k.Mtime,
		Ctime: k.Ctime,
	}
}
