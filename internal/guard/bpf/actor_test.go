package bpf

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const actorFlag = "-act-in-container"

// order is what the tests have a container's first process do: run a command, in
// the way that a shell would.
type order struct {
	Args []string
	Env  []string
}

// outcome is how it ended: -1 for Code if by a signal.
type outcome struct {
	Code   int
	Signal syscall.Signal
	Output string
	Err    string
}

// act is what the test binary does inside of a container.
func act(args []string) int {
	deeds := map[string]func([]string) error{
		"init":     actInit,
		"fd":       actDescriptor,
		"memfd":    actMemory,
		"unlinked": actUnlinked,
		"map":      actMap,
		"protect":  actProtect,
		"span":     actSpan,
		"memory":   actJustInTime,
		"implied":  actImplied,
		"race":     actRace,
		"storm":    actStorm,
		"unshare":  actUnshare,
		"overlay":  actOverlay,
		"chroot":   actChroot,
		"write":    actWriteMapped,
		"patch":    actPatchMapped,
		"continue": actContinue,
		"trace":    actTrace,
		"become":   actBecome,
		"terminal": actTerminal,
		"layer":    actLayer,
		"again":    actAgain,
	}
	deed := deeds[args[0]]
	if deed == nil {
		fmt.Fprintln(os.Stderr, "no such deed:", args[0])
		return 64
	}
	if err := deed(args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// actInit is the first process of a container: it makes a root of an overlay, and
// then takes orders.
func actInit(args []string) error {
	base := args[0]
	root := filepath.Join(base, "root")
	layers := fmt.Sprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", base, base, base)
	if len(args) > 1 {
		layers += "," + args[1]
	}
	steps := []error{
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("overlay", root, "overlay", 0, layers),
		unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""),
		unix.Mount("/dev", filepath.Join(root, "dev"), "", unix.MS_BIND|unix.MS_REC, ""),
		unix.Mount("tmpfs", filepath.Join(root, "shm"), "tmpfs", 0, ""),
		unix.Mount(filepath.Join(base, "volume"), filepath.Join(root, "volume"), "", unix.MS_BIND, ""),
		unix.Chdir(root),
		unix.PivotRoot(".", "."),
		unix.Unmount(".", unix.MNT_DETACH),
		unix.Chdir("/"),
	}
	if err := errors.Join(steps...); err != nil {
		return err
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(obey(o)); err != nil {
			return err
		}
	}
	return nil
}

func obey(o order) outcome {
	command := exec.Command(o.Args[0], o.Args[1:]...)
	command.Env = append(os.Environ(), o.Env...)
	output, err := command.CombinedOutput()
	result := outcome{Output: string(output)}
	if command.ProcessState == nil {
		result.Err = err.Error()
		return result
	}
	status := command.ProcessState.Sys().(syscall.WaitStatus)
	result.Code = status.ExitStatus()
	if signal := status.Signal(); signal > 0 {
		result.Signal = signal
	}
	return result
}

func executeAt(f *os.File) error {
	empty, err := unix.BytePtrFromString("")
	if err != nil {
		return err
	}
	argv := []*byte{empty, nil}
	envp := []*byte{nil}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, f.Fd(), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}

func actDescriptor(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	return executeAt(f)
}

func actMemory(args []string) error {
	f, err := memory(args[0])
	if err != nil {
		return err
	}
	return executeAt(f)
}

func memory(path string) (*os.File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("hidden", 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "memfd:hidden")
	_, err = f.Write(content)
	return f, err
}

func actUnlinked(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	if err := os.Remove(args[0]); err != nil {
		return err
	}
	return executeAt(f)
}

// actMap maps a file as a dynamic loader does.
func actMap(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	_, err = unix.Mmap(int(f.Fd()), 0, 64, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	return err
}

// actProtect maps a file as data, and makes that executable.
func actProtect(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	area, err := unix.Mmap(int(f.Fd()), 0, 64, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	return unix.Mprotect(area, unix.PROT_READ|unix.PROT_EXEC)
}

// actSpan makes a range executable of which only the last page is the file's; before
// it lie so many mappings of other memory.
func actSpan(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	before := 1
	if len(args) > 1 {
		if before, err = strconv.Atoi(args[1]); err != nil {
			return err
		}
	}
	page := os.Getpagesize()
	area, err := unix.Mmap(-1, 0, (before+1)*page, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i := range before { // so that neighbours are not made one
		if err := unix.Mprotect(area[i*page:(i+1)*page], unix.PROT_READ|unix.PROT_WRITE*(i%2)); err != nil {
			return err
		}
		if i%2 == 1 {
			area[i*page] = 1
		}
	}
	last := unsafe.Pointer(&area[before*page])
	if _, err := unix.MmapPtr(int(f.Fd()), 0, last, uintptr(page), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		return err
	}
	return unix.Mprotect(area, unix.PROT_READ|unix.PROT_EXEC)
}

// actJustInTime makes memory executable in the ways that compilers do which
// translate at run time.
func actJustInTime([]string) error {
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
	unlinked, err := os.CreateTemp("/shm", "ffi")
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

// actImplied maps a file for reading, where that implies executing.
func actImplied(args []string) error {
	const readImpliesExec = 0x0400000
	if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, readImpliesExec, 0, 0); errno != 0 {
		return errno
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	_, err = unix.Mmap(int(f.Fd()), 0, 64, unix.PROT_READ, unix.MAP_PRIVATE)
	return err
}

// actRace maps the verified file of a descriptor while another thread makes it the
// unknown file's. It ends when the unknown one was mapped.
func actRace(args []string) error {
	known, err := os.Open(args[0])
	if err != nil {
		return err
	}
	unknown, err := os.Open(args[1])
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(unknown.Fd()), &st); err != nil {
		return err
	}
	target, err := unix.Dup(int(known.Fd()))
	if err != nil {
		return err
	}
	go func() {
		for {
			unix.Dup2(int(unknown.Fd()), target)
			unix.Dup2(int(known.Fd()), target)
		}
	}()
	for range 200000 {
		area, err := unix.Mmap(target, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
		if err != nil {
			return err
		}
		if len(area) > 200 && area[0x78+1] == 42 { // the unknown program's exit code, see program
			return nil
		}
		unix.Munmap(area)
	}
	return errors.New("the race was never won")
}

// actStorm executes a file again and again, by several workers. It prints how often
// it ran, and how often it was killed.
func actStorm(args []string) error {
	workers, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	each, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var ran, killed, other int
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				o := obey(order{Args: args[2:]})
				mu.Lock()
				switch {
				case o.Signal == unix.SIGKILL:
					killed++
				case o.Err == "":
					ran++
				default:
					other++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	fmt.Printf("%d %d %d", ran, killed, other)
	return nil
}

// actUnshare runs a command in new namespaces.
func actUnshare(args []string) error {
	flags, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	command := exec.Command(args[1], args[2:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(flags)}
	return finishAs(command)
}

// finishAs ends this process as the command ends.
func finishAs(command *exec.Cmd) error {
	err := command.Run()
	if command.ProcessState == nil {
		return err
	}
	status := command.ProcessState.Sys().(syscall.WaitStatus)
	if signal := status.Signal(); signal > 0 {
		return unix.Kill(os.Getpid(), signal)
	}
	os.Exit(status.ExitStatus())
	return nil
}

// actOverlay runs a command's file from an overlay of its own, in which the file's
// folder is the lower layer, on another file system than the upper one.
func actOverlay(args []string) error {
	for _, d := range []string{"/shm/upper", "/shm/work", "/shm/merged"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	layers := "lowerdir=" + filepath.Dir(args[0]) + ",upperdir=/shm/upper,workdir=/shm/work"
	if err := unix.Mount("overlay", "/shm/merged", "overlay", 0, layers); err != nil {
		return err
	}
	return finishAs(exec.Command(filepath.Join("/shm/merged", filepath.Base(args[0]))))
}

// actChroot runs a command below another root.
func actChroot(args []string) error {
	command := exec.Command(args[1], args[2:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: args[0]}
	command.Dir = "/"
	return finishAs(command)
}

// actWriteMapped executes a file that it has mapped for writing, and whose
// descriptor it has closed.
func actWriteMapped(args []string) error {
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if _, err := unix.Mmap(int(f.Fd()), 0, 64, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	f.Close()
	return finishAs(exec.Command(args[0]))
}

// actContinue starts a command and lets it go on, whenever it is stopped.
func actContinue(args []string) error {
	command := exec.Command(args[0])
	if err := command.Start(); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		if _, err := unix.Wait4(command.Process.Pid, &status, unix.WUNTRACED, nil); err != nil {
			return err
		}
		switch {
		case status.Stopped():
			if err := command.Process.Signal(unix.SIGCONT); err != nil {
				return err
			}
		case status.Exited():
			os.Exit(status.ExitStatus())
		default:
			return unix.Kill(os.Getpid(), status.Signal())
		}
	}
}

// actBecome executes a command in its place.
func actBecome(args []string) error {
	return unix.Exec(args[0], args, nil)
}

// actTerminal runs a command in a session of its own, on a new terminal.
func actTerminal(args []string) error {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		return errno
	}
	command := exec.Command(args[0], args[1:]...)
	command.Stdin = os.NewFile(slave, "terminal")
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return finishAs(command)
}

// actAgain runs a command so many times, and prints the nanoseconds of processor time
// that each took: its own and its parent's.
func actAgain(args []string) error {
	times, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	begin := spent()
	for range times {
		pid, err := syscall.ForkExec(args[1], args[1:], &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			return err
		}
	}
	fmt.Println((spent() - begin) / int64(times))
	return nil
}

func spent() int64 {
	var sum int64
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += u.Utime.Nano() + u.Stime.Nano()
		}
	}
	return sum
}

// actPatchMapped makes the program end with another code, by a mapping.
func actPatchMapped(args []string) error {
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	area, err := unix.Mmap(int(f.Fd()), 0, 0x80, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	area[0x78+1]++ // see program
	return unix.Munmap(area)
}

// actTrace starts a command, and lets it go on as its tracer.
func actTrace(args []string) error {
	runtime.LockOSThread()
	pid, err := syscall.ForkExec(args[0], args[:1], &syscall.ProcAttr{})
	if err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil); err != nil {
		return err
	}
	for err := unix.PtraceSeize(pid); !status.Exited() && !status.Signaled(); {
		if err != nil {
			return err
		}
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
			return err
		}
		if status.Stopped() {
			err = unix.PtraceCont(pid, 0)
		}
	}
	if signal := status.Signal(); signal > 0 {
		return unix.Kill(os.Getpid(), signal)
	}
	os.Exit(status.ExitStatus())
	return nil
}
