// Package rpmdb reads the three forms that the database of rpm has had: a hash
// table of Berkeley DB (Packages), rpm's own ndb (Packages.db) and SQLite
// (rpmdb.sqlite).
//
// [Each] finds the headers in the file, one for each installed package, and
// [Parse] reads what Touchstone needs from one. Nothing is copied to disk and no
// database engine runs: the readers do no more than walk the pages, because the
// file was written by a stranger. Every structure is bounds-checked, no chain is
// followed further than its claimed length, and all headers together can be no
// larger than the file.
//
// The formats are described by rpm's sources (lib/header.c, lib/backend/ndb),
// Berkeley DB's (src/dbinc/db_page.h) and by sqlite.org/fileformat.html.
package rpmdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrLimit marks an error about something larger than any real database has.
var ErrLimit = errors.New("a limit was passed")

// maxHeader bounds one header. rpm itself allows 256 MiB; the largest real ones
// (kernel sources, TeX) have a few.
const maxHeader = 64 << 20

// Each calls yield with the header of every installed package. The slice is
// valid until yield returns. An error of yield ends the walk and is returned.
func Each(ctx context.Context, r io.ReaderAt, size int64, yield func(header []byte) error) error {
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the beginning of an rpm database: %w", err)
	}
	head = head[:n]
	f := &file{ctx: ctx, r: r, size: size, budget: 2*size + 1<<20, yield: yield}
	switch {
	case len(head) >= 100 && string(head[:16]) == sqliteMagic:
		err = f.sqlite(head)
	case len(head) >= 32 && string(head[:4]) == "RpmP":
		err = f.ndb(head)
	case len(head) >= 72 && isBerkeley(head):
		err = f.berkeley(head)
	default:
		return errors.New("read an rpm database: neither Berkeley DB nor ndb nor SQLite")
	}
	if err != nil {
		return fmt.Errorf("read an rpm database: %w", err)
	}
	return nil
}

// file is a database that is being walked.
type file struct {
	ctx  context.Context
	r    io.ReaderAt
	size int64
	// budget is how many more bytes may be read. What is stored once is read
	// once; a file that leads to its own pages over and over runs out of it.
	budget int64
	yield  func([]byte) error
}

// read fills p from offset at.
func (f *file) read(p []byte, at int64) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	if at < 0 || at > f.size-int64(len(p)) {
		return fmt.Errorf("%d bytes at offset %d lie outside the file of %d bytes", len(p), at, f.size)
	}
	if f.budget -= int64(len(p)); f.budget < 0 {
		return fmt.Errorf("%w: the file leads to the same pages again and again", ErrLimit)
	}
	n, err := f.r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// header hands a header to whoever walks.
func (f *file) header(header []byte) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	return f.yield(header)
}

func tooLong(length uint64) error {
	return fmt.Errorf("%w: a header of %d bytes", ErrLimit, length)
}

// isBerkeley reports whether the page is the first of a hash table of Berkeley
// DB, in either byte order.
func isBerkeley(page []byte) bool {
	return binary.LittleEndian.Uint32(page[12:]) == berkeleyMagic || binary.BigEndian.Uint32(page[12:]) == berkeleyMagic
}
