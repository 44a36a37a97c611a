package sqlite

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// takeLock makes this process the one that writes the database. The kernel lets
// go of the lock when the process ends, however that happens.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the record: %w", fault(err))
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close() // the error that matters is the first
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("opening %s: another process writes it\nhint: one server may run on a database; ask it over its API", path)
	}
	return nil, fmt.Errorf("locking %s.lock: %w", path, err)
}

// writable reports whether files may be made in the folder.
func writable(dir string) bool { return unix.Access(dir, unix.W_OK) == nil }
