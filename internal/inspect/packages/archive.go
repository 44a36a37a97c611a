package packages

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	// maxDirectory bounds the directory of an archive. Each entry takes at least
	// 46 bytes there and some 300 in memory; the largest real archives have 10 MB.
	maxDirectory = 16 << 20
	// maxInMemory is the size up to which a file inside an archive is held in
	// memory.
	maxInMemory = 8 << 20
)

// openZip opens an archive whose directory is not absurdly large.
func openZip(r io.ReaderAt, size int64) (*zip.Reader, error) {
	directory, err := directorySize(r, size)
	if err != nil {
		return nil, err
	}
	if directory > maxDirectory {
		return nil, fmt.Errorf("%w: the archive's directory takes %d bytes", errLimit, directory)
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	return archive, nil
}

// directorySize returns how many bytes lie between the beginning of the archive's
// directory and the record that ends it (APPNOTE.TXT, 4.3.16 and 4.3.14). This
// bounds the number of entries, whatever the record claims.
func directorySize(r io.ReaderAt, size int64) (int64, error) {
	const record = 22
	tail := make([]byte, min(size, 1<<16+record))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("open the archive: %w", err)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || at+record > len(tail) {
		return 0, errors.New("open the archive: it has no end")
	}
	end := size - int64(len(tail)) + int64(at)
	length := int64(binary.LittleEndian.Uint32(tail[at+12:]))
	offset := int64(binary.LittleEndian.Uint32(tail[at+16:]))
	if offset == 1<<32-1 || length == 1<<32-1 {
		// Zip64 keeps the numbers in a record of its own. Such an archive has more
		// than four gigabytes or 65,535 entries: count from the record's claim.
		locator := bytes.LastIndex(tail[:at], []byte("PK\x06\x06"))
		if locator < 0 || locator+56 > len(tail) {
			return 0, fmt.Errorf("%w: an archive of more than 4 GiB whose directory was not found", errLimit)
		}
		length = int64(binary.LittleEndian.Uint64(tail[locator+40:]))
	}
	// The reader of the directory starts at its offset, or at end minus length
	// when something stands before the archive, and goes on while entries look
	// right: both distances count.
	return max(length, end-max(offset, 0), 0), nil
}

// spool makes the content of a file inside an archive readable at random: in
// memory, or in a temporary file without a name where it is large. done gives the
// room back.
func spool(r io.Reader, size int64) (content Content, done func(), err error) {
	if size <= maxInMemory {
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, nil, fmt.Errorf("unpack: %w", err)
		}
		return bytes.NewReader(b), func() {}, nil
	}
	tmp, err := os.CreateTemp("", "archive-*")
	if err != nil {
		return nil, nil, fmt.Errorf("unpack to a temporary file: %w", err)
	}
	done = func() { _ = tmp.Close() }
	if err := os.Remove(tmp.Name()); err != nil {
		done()
		return nil, nil, fmt.Errorf("unpack to a temporary file: %w", err)
	}
	if _, err := io.CopyN(tmp, r, size); err != nil {
		done()
		return nil, nil, fmt.Errorf("unpack: %w", err)
	}
	return tmp, done, nil
}
