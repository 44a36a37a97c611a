package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"touchstone.dev/touchstone/internal/record"
)

// errClosed is returned after Close.
var errClosed = errors.New("the store is closed")

// fault tells what an error of the database means to a caller of the store.
func fault(err error) error {
	var e *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, record.ErrFull), errors.Is(err, record.ErrCorrupt), errors.Is(err, record.ErrConflict):
		return err
	case unwritable(err):
		return fmt.Errorf("%w: %w", record.ErrFull, err)
	case !errors.As(err, &e):
		return err
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_FULL, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: %w", record.ErrFull, err)
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w\nhint: restore the last backup: touchstone log verify tells whether it is whole", record.ErrCorrupt, err)
	case lib.SQLITE_INTERRUPT:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case lib.SQLITE_IOERR:
		switch e.Code() {
		case lib.SQLITE_IOERR_READ, lib.SQLITE_IOERR_SHORT_READ, lib.SQLITE_IOERR_CORRUPTFS, lib.SQLITE_IOERR_DATA:
			return fmt.Errorf("%w: %w", record.ErrCorrupt, err)
		}
		return fmt.Errorf("%w: %w", record.ErrFull, err)
	}
	return err
}

// unwritable reports whether a file could not be written because of the disk.
func unwritable(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EFBIG, fs.ErrPermission} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
