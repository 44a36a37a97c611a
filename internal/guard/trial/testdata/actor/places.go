package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mountMemory: DIR
func mountMemory(args []string) error {
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	return unix.Mount("tmpfs", args[0], "tmpfs", 0, "size=16m")
}

// mountBind: FROM TO
func mountBind(args []string) error {
	if err := os.MkdirAll(args[1], 0o755); err != nil {
		return err
	}
	return unix.Mount(args[0], args[1], "", unix.MS_BIND, "")
}

// mountOverlay: LOWER DIR makes an overlay at DIR/merged over LOWER; the upper layer
// is of memory, since an overlay is none for another.
func mountOverlay(args []string) error {
	lower, dir := args[0], args[1]
	if err := mountMemory([]string{dir}); err != nil {
		return err
	}
	for _, d := range []string{"upper", "work", "merged"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, dir, dir)
	return unix.Mount("overlay", filepath.Join(dir, "merged"), "overlay", 0, layers)
}

// runApart: COMMAND… in PID and mount namespaces of its own.
func runApart(args []string) error {
	command := exec.Command(args[0], args[1:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	return finishAs(command)
}

// runBelow: ROOT COMMAND…
func runBelow(args []string) error {
	command := exec.Command(args[1], args[2:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: args[0]}
	command.Dir = "/"
	return finishAs(command)
}

// forkBomb: DURATION makes processes which make processes.
func forkBomb(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		if exec.Command("/actor", "bomb", time.Until(end).String()).Start() != nil {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// manyMounts: DIR N
func manyMounts(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range n {
		if err := mountMemory([]string{filepath.Join(args[0], strconv.Itoa(i))}); err != nil {
			return err
		}
	}
	return nil
}
