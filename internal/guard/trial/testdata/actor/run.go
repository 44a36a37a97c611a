package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func executeAt(fd int) error {
	empty, name := []byte{0}, []byte("x\x00")
	argv := []*byte{&name[0], nil}
	envp := []*byte{nil}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	runtime.KeepAlive(argv)
	return errno
}

// runDescriptor: PATH
func runDescriptor(args []string) error {
	fd, err := unix.Open(args[0], unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return executeAt(fd)
}

// runPathDescriptor: PATH, which is not even opened.
func runPathDescriptor(args []string) error {
	fd, err := unix.Open(args[0], unix.O_PATH, 0)
	if err != nil {
		return err
	}
	return executeAt(fd)
}

// runMemory: PATH, whose content is executed from memory.
func runMemory(args []string) error {
	content, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("hidden", 0)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, content); err != nil {
		return err
	}
	return executeAt(fd)
}

// runUnlinked: PATH, which is removed first.
func runUnlinked(args []string) error {
	fd, err := unix.Open(args[0], unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	if err := os.Remove(args[0]); err != nil {
		return err
	}
	return executeAt(fd)
}

// mapFile: PATH, as a dynamic loader maps it.
func mapFile(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	if _, err = unix.Mmap(int(f.Fd()), 0, 64, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE); err != nil {
		return err
	}
	os.Exit(83)
	return nil
}

// protectFile: PATH, mapped as data and made executable.
func protectFile(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	area, err := unix.Mmap(int(f.Fd()), 0, 64, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	if err := unix.Mprotect(area, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return err
	}
	os.Exit(83)
	return nil
}

// justInTime makes memory executable in the ways that compilers do which translate
// at run time, and a file without a name as well, in DIR.
func justInTime(args []string) error {
	page := os.Getpagesize()
	plain, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	if err := unix.Mprotect(plain, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("doublemapper", 0)
	if err != nil {
		return err
	}
	unlinked, err := os.CreateTemp(args[0], "ffi")
	if err != nil {
		return err
	}
	if err := os.Remove(unlinked.Name()); err != nil {
		return err
	}
	for _, fd := range []int{fd, int(unlinked.Fd())} {
		if err := unix.Ftruncate(fd, int64(page)); err != nil {
			return err
		}
		for _, protection := range []int{unix.PROT_READ | unix.PROT_WRITE, unix.PROT_READ | unix.PROT_EXEC} {
			if _, err := unix.Mmap(fd, 0, page, protection, unix.MAP_SHARED); err != nil {
				return err
			}
		}
	}
	return nil
}

// patchMapped: PATH STATUS writes to a tiny program through a mapping.
func patchMapped(args []string) error {
	status, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	area, err := unix.Mmap(int(f.Fd()), 0, len(tiny(0)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	area[statusAt] = byte(status)
	return unix.Munmap(area)
}

// race: PATH DURATION executes a file whose content is now the image's and now not,
// and prints how often it ran as which.
func race(args []string) error {
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	if err := put(args[0], tiny(0), 0o755); err != nil {
		return err
	}
	var done atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for !done.Load() {
			for _, status := range []byte{83, 0} {
				if f, err := os.OpenFile(args[0], os.O_WRONLY, 0); err == nil {
					_, _ = f.WriteAt([]byte{status}, statusAt)
					_ = f.Close()
				}
			}
		}
	})
	ran := make(map[int]int)
	tries := 0
	for end := time.Now().Add(d); time.Now().Before(end); tries++ {
		pid, err := syscall.ForkExec(args[0], []string{"x"}, &syscall.ProcAttr{})
		if err != nil {
			continue
		}
		var ws syscall.WaitStatus
		_, _ = syscall.Wait4(pid, &ws, 0, nil)
		ran[ws.ExitStatus()]++
	}
	done.Store(true)
	writer.Wait()
	fmt.Printf("tries %d known %d unknown %d\n", tries, ran[0], ran[83])
	if ran[83] > 0 {
		os.Exit(83)
	}
	return nil
}

// storm: WORKERS TRIES PATH executes a file again and again, each try under a name of
// its own if the path ends with a slash. It prints how often it ran, was refused or
// killed.
func storm(args []string) error {
	workers, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	tries, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var left, ran, refused, killed, other atomic.Int64
	left.Store(int64(tries))
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				pid, err := syscall.ForkExec(args[2], []string{"x"}, &syscall.ProcAttr{})
				if errors.Is(err, unix.EPERM) {
					refused.Add(1)
					continue
				}
				if err != nil {
					other.Add(1)
					continue
				}
				var ws syscall.WaitStatus
				_, _ = syscall.Wait4(pid, &ws, 0, nil)
				switch {
				case ws.Signaled() && ws.Signal() == unix.SIGKILL:
					killed.Add(1)
				case ws.Exited():
					ran.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	group.Wait()
	fmt.Printf("%d %d %d %d", ran.Load(), refused.Load(), killed.Load(), other.Load())
	return nil
}

// sleep: sleeps until it is killed.
func sleep([]string) error {
	for {
		time.Sleep(time.Hour)
	}
}

// runAs: UID COMMAND…
func runAs(args []string) error {
	uid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	command := exec.Command(args[1], args[2:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	return finishAs(command)
}

// runAway: COMMAND… is left running, as a daemon in a session of its own.
func runAway(args []string) error {
	command := exec.Command(args[0], args[1:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return command.Start()
}
