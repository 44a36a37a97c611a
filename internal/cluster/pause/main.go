// Command pause is what the pods of tests run: it sleeps until it is told to
// stop, and reaps the children that it inherits. Called with other words it does
// something that a test can see:
//
//	pause say WORDS…   prints the words
//	pause fail         ends with code 1
package main

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "say":
			_, _ = os.Stdout.WriteString(strings.Join(os.Args[2:], " ") + "\n")
			return
		case "fail":
			os.Exit(1)
		}
	}
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range told {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			var status syscall.WaitStatus
			if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
