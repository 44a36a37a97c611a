//go:build linux

package fanotify

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// help does in a box what its programs do not. It prints "ran" where it got to run.
func help(args []string) int {
	if len(args) == 0 {
		fmt.Println("ran")
		return 0
	}
	switch err := helpWith(args); err {
	case nil:
		return 0
	default:
		fmt.Println(err)
		return 1
	}
}

func helpWith(args []string) error {
	switch args[0] {
	case "fexec": // execute an open file
		fd, err := unix.Open(args[1], unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		return execAt(fd)
	case "unlinked": // execute a file that has no name any more
		fd, err := unix.Open(args[1], unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		if err := os.Remove(args[1]); err != nil {
			return err
		}
		return execAt(fd)
	case "memfd":
		data, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		fd, err := unix.MemfdCreate("x", 0)
		if err != nil {
			return err
		}
		if _, err := unix.Write(fd, data); err != nil {
			return err
		}
		return execAt(fd)
	case "jit": // memory that is written to and executed
		mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		mem[0] = 0xc3
		fmt.Println("ran")
		return nil
	case "patch": // write through a mapping, which leaves no trace on tmpfs
		return patch(args[1])
	case "writer": // have a file open for writing for a while
		f, err := os.OpenFile(args[1], os.O_RDWR, 0)
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		time.Sleep(d)
		return f.Close()
	case "mapper": // have a file mapped for writing for a while, and not open
		return mapper(args[1], args[2])
	case "flip": // execute a file whose content changes all the time
		return flip(args[1])
	case "storm":
		return storm(args[1], args[2], args[3:])
	case "time":
		return timed(args[1], args[2], args[3])
	case "opens":
		return openStorm(args[1], args[2])
	case "mounts":
		return mountStorm(args[1], args[2])
	}
	return fmt.Errorf("no such help: %q", args)
}

func execAt(fd int) error {
	empty := []byte{0}
	name := []byte("evil\x00")
	argv := []*byte{&name[0], nil}
	envp := []*byte{nil}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}

// patch adds one to the last byte, by a store.
func patch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	last := &mem[len(mem)-1]
	if *last == 0 { // read first, so that the store faults no more
		defer fmt.Println("patched")
	}
	*last++
	return unix.Munmap(mem)
}

func mapper(path, duration string) error {
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	mem[0] = 0x7f // as it is
	_ = f.Close()
	time.Sleep(d)
	return unix.Munmap(mem)
}

// flip changes the status of a tiny program to 7 and back all the time while it is
// executed, and says how often it ran with which.
func flip(target string) error {
	if err := os.WriteFile(target, tinyProgram(0), 0o755); err != nil {
		return err
	}
	var done atomic.Bool
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		for i := 0; !done.Load(); i++ {
			for _, status := range []byte{7, 0} {
				if f, err := os.OpenFile(target, os.O_WRONLY, 0); err == nil {
					_, _ = f.WriteAt([]byte{status}, tinyStatus)
					_ = f.Close()
				}
				if i%50 == 0 {
					time.Sleep(25 * time.Millisecond) // nothing is executed while there is a writer
				}
			}
		}
	}()
	ran := make(map[int]int)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		pid, err := syscall.ForkExec(target, []string{"evil"}, &syscall.ProcAttr{Env: []string{}})
		if err != nil {
			continue
		}
		var ws syscall.WaitStatus
		_, _ = syscall.Wait4(pid, &ws, 0, nil)
		ran[ws.ExitStatus()]++
	}
	done.Store(true)
	writer.Wait()
	fmt.Printf("ran %d, evil %d\n", ran[0], ran[7])
	return nil
}

// storm executes a program many times in several workers, and says how often it ran.
func storm(times, workers string, argv []string) error {
	n, _ := strconv.Atoi(times)
	w, _ := strconv.Atoi(workers)
	var left, ran atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range w {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for left.Add(-1) >= 0 {
				pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Env: []string{}})
				if err != nil {
					continue
				}
				var ws syscall.WaitStatus
				_, _ = syscall.Wait4(pid, &ws, 0, nil)
				ran.Add(1)
			}
		}()
	}
	wg.Wait()
	fmt.Printf("ran %d\n", ran.Load())
	return nil
}

// timed does something many times in one thread, and prints the nanoseconds.
func timed(what, times, path string) error {
	n, _ := strconv.Atoi(times)
	begun := time.Now()
	for i := range n {
		switch what {
		case "exec":
			pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{Env: []string{}})
			if err != nil {
				return err
			}
			var ws syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &ws, 0, nil)
		case "fresh": // a change of the file that changes no content
			if err := os.Chmod(path, 0o755-os.FileMode(i&1)); err != nil {
				return err
			}
			pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{Env: []string{}})
			if err != nil {
				return err
			}
			var ws syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &ws, 0, nil)
		case "open":
			fd, err := unix.Open(path, unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			_ = unix.Close(fd)
		}
	}
	fmt.Println(time.Since(begun).Nanoseconds())
	return nil
}

// openStorm opens a file for as long as it is told, in 32 threads.
func openStorm(path, duration string) error {
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	end := time.Now().Add(d)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Now().Before(end) {
				if fd, err := unix.Open(path, unix.O_RDONLY, 0); err == nil {
					_ = unix.Close(fd)
					n.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	fmt.Printf("opened %d\n", n.Load())
	return nil
}

func mountStorm(dir, times string) error {
	n, _ := strconv.Atoi(times)
	for i := range n {
		point := fmt.Sprintf("%s/%d", dir, i)
		if err := os.MkdirAll(point, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("storm", point, "tmpfs", 0, "size=1m"); err != nil {
			return err
		}
	}
	return nil
}
