package bpf

import (
	"fmt"
	"os"

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

// StampOf returns the stamp of an open file.
//
// The device is that of its superblock, by which the kernel knows it. Stat shows
// another one on btrfs, and on an overlay whose layers lie on several file systems;
// there, the superblock is looked up among the mounts of this process.
func StampOf(f *os.File) (Stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Stamp{}, fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	return StampOfStat(&st), nil
}

// StampOfStat returns the stamp that a stat tells of.
func StampOfStat(st *unix.Stat_t) Stamp {
	return Stamp{
		Dev:   st.Dev,
		Ino:   st.Ino,
		Size:  st.Size,
		Mtime: st.Mtim.Sec*1e9 + st.Mtim.Nsec,
		Ctime: st.Ctim.Sec*1e9 + st.Ctim.Nsec,
	}
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
