// Command actor is what the containers of the guard's figures run:
//
//	actor                     waits
//	actor time N PROGRAM      executes PROGRAM N times, and tells how long one took, in ns
//	actor storm N WORKERS     executes programs that were just made, and tells how
//	                          many of N ran, were refused and were killed
//	actor drop                executes one that was just made, and tells when it began to
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	what := [3]string{}
	copy(what[:], os.Args[1:])
	var err error
	switch what[0] {
	case "time":
		err = measure(number(what[1]), what[2])
	case "storm":
		err = storm(number(what[1]), number(what[2]))
	case "drop":
		err = drop()
	default:
		wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return n
}

// wait waits until it is told to end, and reaps what is left to it.
func wait() {
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range told {
		if s == syscall.SIGTERM {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

// run executes a program, and returns how it ended.
func run(program string) (syscall.WaitStatus, error) {
	var ended syscall.WaitStatus
	pid, err := syscall.ForkExec(program, []string{program}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	for errors.Is(err, syscall.ETXTBSY) { // a worker that forks has open what another writes
		pid, err = syscall.ForkExec(program, []string{program}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	}
	if err != nil {
		return ended, err
	}
	for {
		if _, err = syscall.Wait4(pid, &ended, 0, nil); !errors.Is(err, syscall.EINTR) {
			return ended, err
		}
	}
}

func measure(n int, program string) error {
	begun := time.Now()
	for range n {
		ended, err := run(program)
		if err != nil {
			return err
		}
		if ended != 0 {
			return fmt.Errorf("%s ended with %#x", program, ended)
		}
	}
	fmt.Println(time.Since(begun).Nanoseconds() / int64(n))
	return nil
}

// drop tells the time by the machine's own clock, which the container shares.
func drop() error {
	program := "/tmp/dropped"
	if err := forge(program, "dropped"); err != nil {
		return err
	}
	fmt.Println(time.Now().UnixNano())
	out, err := exec.Command(program).CombinedOutput()
	if err == nil {
		return fmt.Errorf("it ran: %s", out)
	}
	return nil
}
