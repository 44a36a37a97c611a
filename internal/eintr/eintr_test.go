package eintr

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRetry(t *testing.T) {
	for _, c := range []struct {
		name string
		errs []error
	}{
		{"at once", []error{nil}},
		{"after two signals", []error{unix.EINTR, unix.EINTR, nil}},
		{"another error ends it", []error{unix.EINTR, unix.EAGAIN}},
	} {
		calls := 0
		n, err := Retry(func() (int, error) { calls++; return calls, c.errs[calls-1] })
		if n != len(c.errs) || !errors.Is(err, c.errs[len(c.errs)-1]) {
			t.Errorf("%s: %d, %v after %d calls", c.name, n, err, calls)
		}
	}
}
