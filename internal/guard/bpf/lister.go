package bpf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// lister is the program that tells how a process is to be told.
type lister struct{ program *ebpf.Program }

func (p programs) lister() (lister, error) {
	program, err := ebpf.LoadPinnedProgram(filepath.Join(p.folder, "programs", kernelProgListProcesses), nil)
	if err != nil {
		return lister{}, fmt.Errorf("opening the program that lists processes: %w", err)
	}
	return lister{program}, nil
}

func (l lister) close() error { return l.program.Close() } // nil is closed already

// process asks the kernel about one process, which takes some tens of µs. Before Linux
// 6.1 the kernel cannot be asked about one and tells of all, some µs each.
func (l lister) process(pid int) (kernelProcess, error) {
	list, err := l.open(pid)
	if err != nil {
		return kernelProcess{}, fmt.Errorf("asking for a process: %w", err)
	}
	defer list.Close()
	for in := bufio.NewReaderSize(list, 1024); ; {
		var one kernelProcess
		switch err := binary.Read(in, binary.NativeEndian, &one); {
		case errors.Is(err, io.EOF):
			return kernelProcess{}, os.ErrNotExist
		case err != nil:
			return kernelProcess{}, fmt.Errorf("asking for a process: %w", err)
		}
		if one.Pid == uint32(pid) {
			return one, nil
		}
	}
}

// open has the program run for one process (bpf(2), BPF_LINK_CREATE with the
// iter_info of a task, and BPF_ITER_CREATE; linux/bpf.h). The library attaches
// iterators of all tasks alone.
func (l lister) open(pid int) (*os.File, error) {
	task := struct{ tid, pid, pidFD uint32 }{tid: uint32(pid)}
	create := struct {
		program, target, kind, flags uint32
		info                         uint64
		infoSize                     uint32
		_                            uint32
	}{program: uint32(l.program.FD()), kind: unix.BPF_TRACE_ITER, info: uint64(uintptr(unsafe.Pointer(&task))), infoSize: uint32(unsafe.Sizeof(task))}
	link, err := bpfCall(unix.BPF_LINK_CREATE, unsafe.Pointer(&create), unsafe.Sizeof(create))
	runtime.KeepAlive(&task)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(link) }()
	open := struct{ link, flags uint32 }{link: uint32(link)}
	fd, err := bpfCall(unix.BPF_ITER_CREATE, unsafe.Pointer(&open), unsafe.Sizeof(open))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "bpf_iter"), nil
}

func bpfCall(command uintptr, attributes unsafe.Pointer, size uintptr) (fd int, err error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attributes), size)
	if errno != 0 {
		return -1, os.NewSyscallError("bpf", errno)
	}
	return int(n), nil
}
