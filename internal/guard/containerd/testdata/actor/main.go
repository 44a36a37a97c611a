// Command actor is what the containers of these tests run:
//
//	actor            sleeps, reaps its children, and ends when it is told to
//	actor stubborn   the same, but ignores what can be ignored
//	actor bomb       makes processes as fast as it can, which do the same
//	actor children N starts N that are stubborn, and is so itself
//	actor exit CODE  ends at once
package main

import (
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	what := append(os.Args[1:], "", "")
	switch what[0] {
	case "exit":
		code, _ := strconv.Atoi(what[1])
		os.Exit(code)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		sleep(nil)
	case "bomb":
		for {
			if exec.Command("/actor", "bomb").Start() != nil {
				time.Sleep(time.Millisecond)
			}
		}
	case "children":
		n, _ := strconv.Atoi(what[1])
		for range n {
			if err := exec.Command("/actor", "stubborn").Start(); err != nil {
				panic(err)
			}
		}
		signal.Ignore(syscall.SIGTERM)
		sleep(nil)
	}
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	sleep(told)
}

func sleep(told chan os.Signal) {
	for told != nil {
		if s := <-told; s != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	for {
		time.Sleep(time.Hour)
	}
}
