// Package eintr repeats system calls that a signal has cut short (signal(7),
// "Interruption of system calls and library functions by signal handlers"), for whoever
// makes them without package os, which does so by itself.
package eintr

import "golang.org/x/sys/unix"

// Retry makes the call until no signal cuts it short.
func Retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR { //nolint:errorlint // unix returns the bare number
			return n, err
		}
	}
}
