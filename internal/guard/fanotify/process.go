//go:build linux

package fanotify

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
)

const (
	mostCommand     = 256 << 10 // bytes of a command line that are read
	mostEnvironment = 8 << 20   // of an environment: more than the kernel lets a process start with
)

const preloadFile = "/etc/ld.so.preload"

// elf is how an ELF file begins.
var elf = [4]byte{0x7f, 'E', 'L', 'F'}

// openHarmless reports whether an open needs no worker: the file is an image's,
// or the opener neither interprets files nor can be loading a library.
func (r *reader) openHarmless(e event, at place, s *Stamp) bool {
	if r.st.Nlink > 0 && at.layered(s) {
		if !at.strange {
			r.dontAsk(e.fd, at, s)
		}
		return true
	}
	if v, ok := at.subject.verdicts.get(*s); ok && v.known {
		return true
	}
	r.name = appendProc(r.name[:0], e.pid, "/exe\x00")
	if statAt(unix.AT_FDCWD, r.name, atNoSync, unix.STATX_BASIC_STATS, &r.exe) != nil {
		return true // it is gone, or has no program
	}
	interpreter, ok := at.subject.programs.get(stampOf(&r.exe))
	if !ok || interpreter != "" {
		return false
	}
	if _, ok := at.subject.data.get(*s); ok {
		return true
	}
	n, err := readNow(e.fd, r.head[:])
	if err != nil || n == len(r.head) && r.head == elf {
		return false
	}
	return s.Size > mostPreload || !r.isPreload(e.fd)
}

// isPreload reports whether an open file is /etc/ld.so.preload.
func (r *reader) isPreload(fd int) bool {
	r.name = append(strconv.AppendInt(append(r.name[:0], "/proc/self/fd/"...), int64(fd), 10), 0)
	var link [len(preloadFile) + 1]byte
	n, _, errno := unix.Syscall(unix.SYS_READLINK, uintptr(unsafe.Pointer(&r.name[0])), uintptr(unsafe.Pointer(&link)), uintptr(len(link)))
	return errno == 0 && string(link[:n]) == preloadFile
}

// mostPreload is the size from which a file is not taken for /etc/ld.so.preload.
const mostPreload = 4096

func appendProc(b []byte, pid int, rest string) []byte {
	b = append(b, "/proc/"...)
	b = strconv.AppendInt(b, int64(pid), 10)
	return append(b, rest...)
}

// isCode reports whether the file is opened in order to be run: the opener
// interprets files and was told to run this one, or its environment has it
// preloaded.
func (j *job) isCode() bool {
	p := process{pid: j.event.pid, root: -1, cwd: -1}
	defer p.close()
	interpreter, err := j.interpreter(&p)
	if err != nil {
		return false
	}
	j.note(func() { j.program = p.program })
	file, err := pathOf(j.event.fd)
	if err != nil {
		return false
	}
	if file == preloadFile {
		j.note(func() { j.kind = touchstone.ExecuteLibrary })
		return true
	}
	named := func(a argument) bool {
		if !p.means(a, file, &j.stamp) {
			return false
		}
		j.note(func() { j.kind = a.kind })
		return true
	}
	if interpreter != "" {
		for _, a := range commandArguments(interpreter, p.command()) {
			if named(a) {
				return true
			}
		}
	}
	var head [4]byte
	if n, _ := readAt(j.event.fd, head[:], 0); interpreter == "" && (n < len(head) || head != elf) {
		if j.lasting(&j.stamp, j.layer.cfg.Now()) {
			j.subject.data.put(j.stamp, struct{}{})
		}
		return false
	}
	base := path.Base(file)
	return p.environment(func(variable string) bool {
		for _, a := range environmentArguments(interpreter, variable, base) {
			if named(a) {
				return true
			}
		}
		return false
	})
}

// interpreter returns what the opener's program is, and remembers it.
func (j *job) interpreter(p *process) (string, error) {
	var st unix.Statx_t
	exe := appendProc(nil, p.pid, "/exe")
	buf := make([]byte, 4096)
	n, err := unix.Readlink(string(exe), buf)
	if err != nil {
		return "", err
	}
	p.program = string(buf[:n])
	if err := statAt(unix.AT_FDCWD, append(exe, 0), atNoSync, unix.STATX_BASIC_STATS, &st); err != nil {
		return "", err
	}
	stamp := stampOf(&st)
	if known, ok := j.subject.programs.get(stamp); ok {
		return known, nil
	}
	v, _ := j.subject.verdicts.get(stamp)
	name := j.layer.cfg.Interpreter(Program{
		Subject: j.subject.ID, Path: strings.TrimSuffix(p.program, " (deleted)"), Stamp: stamp, SHA256: v.sum, Hashed: v.hashed,
	})
	j.subject.programs.put(stamp, name)
	return name, nil
}

// process is one that waits for an answer, seen through /proc.
type process struct {
	pid       int
	program   string
	root, cwd int // O_PATH descriptors, -1 until they are needed
	cwdPath   string
}

func (p *process) close() {
	for _, fd := range []int{p.root, p.cwd} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func (p *process) proc(rest string) string { return string(appendProc(nil, p.pid, rest)) }

// command returns its command line; what is too long is cut.
func (p *process) command() []string {
	f, err := os.Open(p.proc("/cmdline"))
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, mostCommand)) // what could be read is all there is
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// environment shows the variables it was started with, until one is the wanted.
func (p *process) environment(wanted func(string) bool) bool {
	f, err := os.Open(p.proc("/environ"))
	if err != nil {
		return false
	}
	defer f.Close()
	r := bufio.NewReaderSize(io.LimitReader(f, mostEnvironment), 32<<10)
	for {
		variable, err := r.ReadString(0)
		if strings.IndexByte(variable, '=') > 0 && wanted(strings.TrimSuffix(variable, "\x00")) {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// means reports whether the process means the file when it says the argument. Where
// there is nothing of that name any more, the name decides.
func (p *process) means(a argument, file string, s *Stamp) bool {
	if a.search && !strings.Contains(a.path, "/") {
		return path.Base(file) == a.path
	}
	var st unix.Statx_t
	if err := p.stat(a.path, &st); err != nil {
		return errors.Is(err, unix.ENOENT) && path.Base(a.path) == path.Base(strings.TrimSuffix(file, " (deleted)"))
	}
	return st.Ino == s.Ino && unix.Mkdev(st.Dev_major, st.Dev_minor) == s.Dev
}

// stat looks a path up as the process would, without opening it.
func (p *process) stat(name string, st *unix.Statx_t) error {
	if fd, ok := ownDescriptor(name); ok {
		return statAt(unix.AT_FDCWD, append(appendProc(nil, p.pid, "/fd/"+fd), 0), 0, unix.STATX_BASIC_STATS, st)
	}
	if err := p.enter(); err != nil {
		return err
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	whole := name
	if !path.IsAbs(name) {
		whole = p.cwdPath + "/" + name
	}
	fd, err := unix.Openat2(p.root, whole, &how)
	if err != nil && !path.IsAbs(name) {
		// Its working directory may lie outside of its root.
		fd, err = unix.Openat2(p.cwd, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS})
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // it was only looked at
	return statAt(fd, []byte{0}, unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, st)
}

func (p *process) enter() (err error) {
	if p.root >= 0 {
		return nil
	}
	if p.cwd, err = unix.Open(p.proc("/cwd"), unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, err := unix.Readlink(p.proc("/cwd"), buf)
	if err != nil {
		return err
	}
	p.cwdPath = string(buf[:n])
	p.root, err = unix.Open(p.proc("/root"), unix.O_PATH|unix.O_CLOEXEC, 0)
	return err
}

// ownDescriptor returns the number of the descriptor that a path of the process
// itself means: /dev/fd/3, /proc/self/fd/3, /dev/stdin.
func ownDescriptor(name string) (string, bool) {
	name = path.Clean(name)
	if name == "/dev/stdin" {
		return "0", true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"} {
		if fd, ok := strings.CutPrefix(name, dir); ok {
			n, err := strconv.ParseUint(fd, 10, 31)
			return strconv.FormatUint(n, 10), err == nil
		}
	}
	return "", false
}

// namespaceOf returns the mount namespace of a process.
func namespaceOf(pid int) (uint64, error) {
	var st unix.Statx_t
	name := appendProc(nil, pid, "/ns/mnt\x00")
	if err := statAt(unix.AT_FDCWD, name, atNoSync, unix.STATX_BASIC_STATS, &st); err != nil {
		return 0, &os.PathError{Op: "reading", Path: string(name[:len(name)-1]), Err: err}
	}
	return st.Ino, nil
}
