//go:build linux

package fanotify

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Status is what the layer is doing. The marks are read from the kernel, not from
// memory.
type Status struct {
	Subjects []SubjectStatus
	Counts   Counts
	// Foreign is the number of marks that are in the kernel and belong to no subject:
	// of one that has just been given up.
	Foreign int
}

// SubjectStatus is what is in place for one subject, by mount point.
type SubjectStatus struct {
	Subject
	Marks      []Mark
	Namespaces int
	Pending    int
	Remembered int // verdicts
	Judged     uint64
	Unjudged   uint64
}

// Mark is a mount of a subject, and whether the kernel asks about it.
type Mark struct {
	Point string // a stranger's choice
	// Exec and Open say what the kernel asks about there, and Filesystem whether
	// wherever that is mounted.
	Exec, Open, Filesystem bool
	// Problem says why there is no mark; empty where there is one, or should be.
	Problem string
}

// Counts are totals since the start.
type Counts struct {
	Execs, Opens, Foreign uint64 // events of subjects, and of nobody
	Allowed, Denied       uint64
	Hashed                uint64 // files read
	Unjudged              uint64 // answered by the fail setting
	Gone                  uint64 // answers that nobody waited for any more
	Failed                uint64 // files that could not be opened or looked at
	Overflows             uint64 // times that the kernel lost notifications of writes
	Stalls                uint64 // times that the watchdog answered for the loop
}

// Status reads what is in place. With many files ignored it takes some milliseconds.
func (l *Layer) Status() (Status, error) {
	kernel, err := l.kernelMarks()
	if err != nil {
		return Status{}, err
	}
	c := &l.counts
	out := Status{Counts: Counts{
		Execs: c.execs.Load(), Opens: c.opens.Load(), Foreign: c.foreign.Load(), Allowed: c.allowed.Load(), Denied: c.denied.Load(),
		Hashed: c.hashed.Load(), Unjudged: c.unjudged.Load(), Gone: c.gone.Load(), Failed: c.failed.Load(),
		Overflows: c.overflows.Load(), Stalls: c.stalls.Load(),
	}}
	found := make(map[kernelKey]bool)
	for _, s := range l.table.all() {
		st := SubjectStatus{Subject: s.Subject, Pending: int(s.pending.Load()), Remembered: s.verdicts.len(), Judged: s.judged.Load(), Unjudged: s.unjudged.Load()}
		st.FailClosed, st.Opens = s.failClosed.Load(), s.opens.Load()
		for _, sp := range l.spaces.of(s) {
			st.Namespaces++
			sp.mu.Lock()
			for _, m := range sp.mounts {
				key := kernelKey{mount: m.scope == scopeMount, id: m.id}
				if m.scope == scopeFilesystem {
					key.id = m.super
				}
				mask := kernel[key]
				found[key] = true
				st.Marks = append(st.Marks, Mark{
					Point: m.point, Exec: mask&unix.FAN_OPEN_EXEC_PERM != 0, Open: mask&unix.FAN_OPEN_PERM != 0,
					Filesystem: m.scope == scopeFilesystem, Problem: m.problem,
				})
			}
			sp.mu.Unlock()
		}
		slices.SortFunc(st.Marks, func(a, b Mark) int { return cmp.Compare(a.Point, b.Point) })
		out.Subjects = append(out.Subjects, st)
	}
	for key := range kernel {
		if !found[key] {
			out.Foreign++
		}
	}
	slices.SortFunc(out.Subjects, func(a, b SubjectStatus) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// kernelKey is a mark in the kernel: on a mount by its id, else on a file system by
// its st_dev.
type kernelKey struct {
	mount bool
	id    uint64
}

// kernelMarks reads the marks of the asking group (proc_pid_fdinfo(5)).
func (l *Layer) kernelMarks() (map[kernelKey]uint64, error) {
	l.groups.RLock()
	defer l.groups.RUnlock()
	f, err := os.Open(fmt.Sprintf("/proc/self/fdinfo/%d", l.ask))
	if err != nil {
		return nil, fmt.Errorf("reading which marks are in place: %w", err)
	}
	defer f.Close()
	return parseMarks(f)
}

// parseMarks reads lines as
//
//	fanotify mnt_id:12 mflags:0 mask:50000 ignored_mask:0
//	fanotify sdev:3a mflags:0 mask:50000 ignored_mask:0
//
// all in hexadecimal. Marks on inodes are passed over: those are files to be ignored.
func parseMarks(r io.Reader) (map[kernelKey]uint64, error) {
	marks := make(map[kernelKey]uint64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		rest, ok := bytes.CutPrefix(lines.Bytes(), []byte("fanotify "))
		if !ok || bytes.HasPrefix(rest, []byte("ino:")) || bytes.HasPrefix(rest, []byte("flags:")) {
			continue
		}
		var key kernelKey
		var mask uint64
		var err error
		for field := range bytes.FieldsSeq(rest) {
			name, value, _ := bytes.Cut(field, []byte(":"))
			switch string(name) {
			case "mnt_id":
				key.mount = true
				key.id, err = strconv.ParseUint(string(value), 16, 64)
			case "sdev":
				var dev uint64
				dev, err = strconv.ParseUint(string(value), 16, 32)
				key.id = unix.Mkdev(uint32(dev>>20), uint32(dev&0xfffff))
			case "mask":
				mask, err = strconv.ParseUint(string(value), 16, 64)
			}
			if err != nil {
				return nil, fmt.Errorf("reading which marks are in place: %q: %w", lines.Text(), err)
			}
		}
		marks[key] = mask
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading which marks are in place: %w", err)
	}
	return marks, nil
}
