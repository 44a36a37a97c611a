// Command pause is what the pods of tests run: it sleeps until it is told to
// stop, and reaps the children that it inherits. Called with other words it does
// something that a test can see:
//
//	pause say WORDS…   prints the words
//	pause fail         ends with code 1
//	pause serve        answers HTTP at port 8080, and for five seconds more once it
//	                   is told to stop, as what others call should
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "say":
			_, _ = os.Stdout.WriteString(strings.Join(os.Args[2:], " ") + "\n")
			return
		case "fail":
			os.Exit(1)
		case "serve":
			serve()
			return
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

func serve() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	server := &http.Server{Addr: ":8080", ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "here")
	})}
	go func() {
		<-told
		time.Sleep(5 * time.Second)
		_ = server.Close() // nobody calls any more
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		os.Exit(1)
	}
}
