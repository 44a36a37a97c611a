package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// storm executes what no image holds, from many workers at once. Every tenth is made
// anew, so that no verdict is remembered of it.
func storm(n, workers int) error {
	type count struct{ ran, refused, killed int }
	var mu sync.Mutex
	var all count
	var first error
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			var c count
			var err error
			program := ""
			for i := w; i < n && err == nil; i += workers {
				if program == "" || i/workers%10 == 0 {
					if program != "" {
						_ = os.Remove(program)
					}
					program = fmt.Sprintf("/tmp/unknown-%d-%d", w, i)
					if err = forge(program, program); err != nil {
						break
					}
				}
				ended, failed := run(program)
				switch {
				case errors.Is(failed, syscall.EPERM):
					c.refused++
				case failed != nil:
					err = failed
				case ended.Signaled():
					c.killed++
				default:
					c.ran++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.ran, all.refused, all.killed = all.ran+c.ran, all.refused+c.refused, all.killed+c.killed
			if first == nil {
				first = err
			}
		})
	}
	working.Wait()
	fmt.Println(all.ran, all.refused, all.killed)
	return first
}

// forge makes a program that no image holds: one that the image has, and a line behind it.
func forge(path, line string) error {
	known, err := os.ReadFile("/bin/true")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(known, line+"\n"...), 0o755)
}
