package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Fact is one thing that this kernel allows this process, or does not.
type Fact struct {
	Name string // "tracing programs"
	// Needed says that without it there is no layer.
	Needed bool
	// Problem says why it is not there, with a hint after a line feed; empty if it is.
	Problem string
	// Use says what it is for.
	Use string
}

// Supported returns nil if the layer can be had here; else the first thing that is
// missing.
func Supported() error {
	for _, f := range Facts(Config{}) {
		if f.Needed && f.Problem != "" {
			return fmt.Errorf("%s: %s", f.Name, f.Problem)
		}
	}
	return nil
}

// Facts asks the kernel for everything that the layer uses, and for what it could
// use besides. It loads small programs, and attaches none.
func Facts(config Config) []Fact {
	config, err := config.withDefaults()
	if err != nil {
		return []Fact{{Name: "configuration", Needed: true, Problem: err.Error()}}
	}
	kernel, err := btf.LoadKernelSpec()
	return []Fact{
		fact("kernel types", true, err, "finding fields of the kernel's structures", "the kernel needs CONFIG_DEBUG_INFO_BTF"),
		fact("host's processes", true, hostSeen(), "telling the host from containers", "run the guard in the host's PID namespace"),
		fact("control groups", true, cgroupsSeen(config), "telling containers apart", "give the guard the host's /sys/fs/cgroup"),
		fact("tracing programs", true, loads(ebpf.Tracing, ebpf.AttachTraceRawTp, "sched_process_exec"), "seeing every exec and mapping", "it takes CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON"),
		fact("process iterator", true, loads(ebpf.Tracing, ebpf.AttachTraceIter, "task"), "identifying containers", "the kernel must be 5.8 or later"),
		fact("ring buffer", true, features.HaveMapType(ebpf.RingBuf), "telling what was seen", "the kernel must be 5.8 or later"),
		fact("helper for signals", true, helper(asm.FnSendSignal), "stopping a process before it runs", "the kernel must be 5.3 or later"),
		fact("helper for mappings", true, errors.Join(helper(asm.FnFindVma), helper(asm.FnTaskPtRegs)), "finding the file behind an address", "the kernel must be 5.17 or later"),
		fact("bpf file system", true, pinnable(config.Folder), "enforcement that goes on without the guard", "mount -t bpf bpf "+filepath.Dir(config.Folder)),
		fact("signals to others", false, named(kernel, "bpf_send_signal_task"), "killing what is held, and let go by others, before it runs on; else it is told", "the kernel must be 6.13 or later"),
		fact("fine file times", false, since(6, 13), "seeing two changes of a file within a tick of the clock", "the kernel must be 6.13 or later"),
		fact("LSM programs", false, errors.Join(lsmListed(), loads(ebpf.LSM, ebpf.AttachLSMMac, "bprm_check_security")), "denying an exec, instead of killing the process; not used yet", "add bpf to the kernel's parameter lsm="),
	}
}

func fact(name string, needed bool, err error, use, hint string) Fact {
	f := Fact{Name: name, Needed: needed, Use: use}
	if err != nil {
		f.Problem = err.Error() + "\nhint: " + hint
	}
	return f
}

// loads tries to load a program that does nothing.
func loads(kind ebpf.ProgramType, attach ebpf.AttachType, to string) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: kind, AttachType: attach, AttachTo: to, License: "Dual MIT/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return err
	}
	return program.Close()
}

func helper(f asm.BuiltinFunc) error {
	return features.HaveProgramHelper(ebpf.RawTracepoint, f)
}

func named(kernel *btf.Spec, function string) error {
	if kernel == nil {
		return errors.New("the kernel does not tell its types")
	}
	var fn *btf.Func
	return kernel.TypeByName(function, &fn)
}

func since(major, minor uint32) error {
	v, err := features.LinuxVersionCode()
	if err != nil {
		return err
	}
	if v < major<<16|minor<<8 {
		return fmt.Errorf("this kernel is %d.%d", v>>16, v>>8&0xff)
	}
	return nil
}

func hostSeen() error {
	comm, err := os.ReadFile("/proc/2/comm")
	if err != nil {
		return err
	}
	if string(comm) != "kthreadd\n" {
		return fmt.Errorf("process 2 is %q", strings.TrimSpace(string(comm)))
	}
	return nil
}

func cgroupsSeen(config Config) error {
	_, err := findHierarchy(config.Cgroups)
	return err
}

func pinnable(folder string) error {
	for at := filepath.Dir(folder); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) && at != "/" {
			continue
		}
		if ok, err := isBPFFS(at); ok || err != nil {
			return err
		}
		fd, err := unix.Fsopen("bpf", unix.FSOPEN_CLOEXEC) // as Open mounts one
		if err != nil {
			return fmt.Errorf("%s is on a file system of another kind, and none can be mounted: %w", at, err)
		}
		return unix.Close(fd)
	}
}

func lsmListed() error {
	list, err := os.ReadFile("/sys/kernel/security/lsm")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Split(strings.TrimSpace(string(list)), ","), "bpf") {
		return fmt.Errorf("the kernel runs the security modules %s", strings.TrimSpace(string(list)))
	}
	return nil
}
