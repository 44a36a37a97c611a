//go:build linux

package fanotify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"
	"touchstone.dev/touchstone/internal/eintr"
)

// machineSystems are the file systems that the machine itself has mounted: a mark on
// the whole of one of these would ask about the machine's own files. They are read
// again when something was mounted since, because a machine with many containers has
// many mounts.
type machineSystems struct {
	mu    sync.Mutex
	info  int             // mountinfo of a process in the machine's own namespace
	known map[uint64]bool // by device, as in mountinfo; nil until it has been read. It is replaced, never changed
}

func (m *machineSystems) open(pid int) (err error) {
	if m.info, err = unix.Open(fmt.Sprintf("/proc/%d/mountinfo", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("opening the machine's mountinfo: %w", err)
	}
	return nil
}

func (m *machineSystems) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.info >= 0 {
		_ = unix.Close(m.info) // it was only read
		m.info = -1
	}
}

// now returns those that are mounted at the time of the call.
func (m *machineSystems) now() (map[uint64]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// What is mounted after this question is told by the next.
	changed, err := m.changed()
	if err != nil {
		return nil, err
	}
	if m.known != nil && !changed {
		return m.known, nil
	}
	m.known = nil
	known, err := readDevices(m.info)
	if err != nil {
		return nil, err
	}
	m.known = known
	return known, nil
}

// changed reports whether anything was mounted or unmounted since it was called last
// (proc_pid_mountinfo(5): such a file has an exceptional condition then).
func (m *machineSystems) changed() (bool, error) {
	n, err := eintr.Retry(func() (int, error) {
		return unix.Poll([]unix.PollFd{{Fd: int32(m.info), Events: unix.POLLPRI}}, 0)
	})
	if err != nil {
		return false, fmt.Errorf("asking whether the machine's mounts have changed: %w", err)
	}
	return n > 0, nil
}

// readDevices returns the devices in a mountinfo.
func readDevices(fd int) (map[uint64]bool, error) {
	const most = 1 << 17 // mounts; the kernel's own bound is fs.mount-max
	out := make(map[uint64]bool)
	r := bufio.NewReaderSize(io.NewSectionReader(descriptor(fd), 0, 1<<40), 64<<10)
	for range most {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			device, ok := deviceOf(line)
			if !ok {
				return nil, fmt.Errorf("reading the machine's mountinfo: %w", errMountInfo)
			}
			out[device] = true
		}
		for errors.Is(err, bufio.ErrBufferFull) { // a name as long as that says nothing more
			_, err = r.ReadSlice('\n')
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the machine's mountinfo: %w", err)
		}
	}
	return out, nil
}

// deviceOf returns the third field of a line of mountinfo, major<<32 | minor.
func deviceOf(line []byte) (uint64, bool) {
	for range 2 {
		_, rest, ok := bytes.Cut(line, []byte(" "))
		if !ok {
			return 0, false
		}
		line = rest
	}
	field, _, _ := bytes.Cut(line, []byte(" "))
	device, err := parseDevice(field)
	return device, err == nil
}
