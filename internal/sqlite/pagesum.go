package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"touchstone.dev/touchstone/internal/record"
)

// Every page of the file ends with a sum of its bytes and its place. SQLite does
// not look at most bytes that it reads, so that a damaged page of an index would
// hide rows in silence. The sums are added and looked at below SQLite, in a VFS
// (sqlite.org/vfs.html) that is the ordinary one but for reading and writing whole
// pages, after the model of sqlite.org/cksumvfs.html. They lie in the bytes that
// the file format lets a file reserve at the end of each page (fileformat2.html,
// section 1.3.4), so sqlite3 in a terminal can read such a file too.
const (
	pageSize = 4096
	sumSize  = 8
	sumsVFS  = "touchstone"
)

// withSums makes the VFS known to SQLite, once in a process.
var withSums = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	ordinary := lib.Xsqlite3_vfs_find(tls, 0)
	if ordinary == 0 {
		return errors.New("SQLite has no file system here")
	}
	name, err := libc.CString(sumsVFS)
	if err != nil {
		return err
	}
	p := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	if p == 0 {
		return errors.New("no memory for SQLite's file system")
	}
	v := at[lib.Tsqlite3_vfs](p)
	*v = *at[lib.Tsqlite3_vfs](ordinary)
	v.FszOsFile = tableAt(v) + int32(unsafe.Sizeof(methods{}))
	v.FzName, v.FpAppData, v.FxOpen = name, ordinary, pointer(openSummed)
	if rc := lib.Xsqlite3_vfs_register(tls, p, 0); rc != lib.SQLITE_OK {
		return fmt.Errorf("SQLite does not take the file system: code %d", rc)
	}
	return nil
})

// methods is what SQLite calls on an open file: its own functions, but for two.
// Each file has its own, behind what the ordinary VFS keeps of it.
type methods struct {
	lib.Tsqlite3_io_methods
	ordinary uintptr // the table that these came from
}

// tableAt is where a file's methods lie behind it.
func tableAt(ordinary *lib.Tsqlite3_vfs) int32 { return (ordinary.FszOsFile + 15) &^ 15 }

type (
	openFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	readFunc  = func(tls *libc.TLS, file, buffer uintptr, amount int32, offset int64) int32
	writeFunc = readFunc
)

// at sees what lies at an address of SQLite's memory, which Go does not manage.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer returns a function of this package as SQLite keeps it, and function
// the other way round: a func value is the address of something that never moves.
func pointer[F any](f F) uintptr        { return *(*uintptr)(unsafe.Pointer(&f)) }
func function[F any](address uintptr) F { return *(*F)(unsafe.Pointer(&address)) }

func openSummed(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	ordinary := at[lib.Tsqlite3_vfs](vfs).FpAppData
	v := at[lib.Tsqlite3_vfs](ordinary)
	rc := function[openFunc](v.FxOpen)(tls, ordinary, name, file, flags, outFlags)
	f := at[lib.Tsqlite3_file](file)
	if rc != lib.SQLITE_OK || flags&lib.SQLITE_OPEN_MAIN_DB == 0 || f.FpMethods == 0 {
		return rc
	}
	address := file + uintptr(tableAt(v))
	m := at[methods](address)
	m.Tsqlite3_io_methods, m.ordinary = *at[lib.Tsqlite3_io_methods](f.FpMethods), f.FpMethods
	m.FxRead, m.FxWrite = pointer[readFunc](readSummed), pointer[writeFunc](writeSummed)
	f.FpMethods = address
	return rc
}

// whole returns the page that is read or written, nil where it is none.
func wholePage(buffer uintptr, amount int32, offset int64) []byte {
	if amount != pageSize || offset%pageSize != 0 {
		return nil
	}
	return unsafe.Slice(at[byte](buffer), pageSize)
}

func readSummed(tls *libc.TLS, file, buffer uintptr, amount int32, offset int64) int32 {
	m := at[methods](at[lib.Tsqlite3_file](file).FpMethods)
	rc := function[readFunc](at[lib.Tsqlite3_io_methods](m.ordinary).FxRead)(tls, file, buffer, amount, offset)
	if page := wholePage(buffer, amount, offset); rc == lib.SQLITE_OK && page != nil {
		if binary.BigEndian.Uint64(page[pageSize-sumSize:]) != pageSum(page, offset) {
			return lib.SQLITE_IOERR_DATA
		}
	}
	return rc
}

func writeSummed(tls *libc.TLS, file, buffer uintptr, amount int32, offset int64) int32 {
	m := at[methods](at[lib.Tsqlite3_file](file).FpMethods)
	if page := wholePage(buffer, amount, offset); page != nil {
		binary.BigEndian.PutUint64(page[pageSize-sumSize:], pageSum(page, offset))
	}
	return function[writeFunc](at[lib.Tsqlite3_io_methods](m.ordinary).FxWrite)(tls, file, buffer, amount, offset)
}

// pageSum is over a page and where it lies: two CRCs, which processors compute at
// several bytes a cycle.
func pageSum(page []byte, offset int64) uint64 {
	var place [8]byte
	binary.BigEndian.PutUint64(place[:], uint64(offset))
	body := page[:pageSize-sumSize]
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	a := crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, body)
	b := crc32.Update(crc32.ChecksumIEEE(place[:]), crc32.IEEETable, body)
	return uint64(a)<<32 | uint64(b)
}

// The header of a database file (fileformat2.html, section 1.3).
const (
	magic         = "SQLite format 3\x00"
	reservedAt    = 20
	applicationAt = 68
	headerSize    = 100
)

// begin makes the file of an empty database that reserves room for sums: SQLite
// can be told so by the file alone. One that is there is looked at.
func begin(path string) error {
	header := make([]byte, headerSize)
	f, err := os.Open(path)
	if err == nil {
		n, _ := f.ReadAt(header, 0) // a shorter file is judged by what it holds
		_ = f.Close()
		if n > 0 {
			return ours(path, header[:n])
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	page := make([]byte, pageSize)
	copy(page, magic)
	binary.BigEndian.PutUint16(page[16:], pageSize)
	copy(page[18:], []byte{2, 2, sumSize, 64, 32, 32}) // WAL to write and to read; room; fractions that are fixed
	binary.BigEndian.PutUint32(page[24:], 1)           // change counter
	binary.BigEndian.PutUint32(page[28:], 1)           // pages
	binary.BigEndian.PutUint32(page[44:], 4)           // schema format
	binary.BigEndian.PutUint32(page[56:], 1)           // UTF-8
	binary.BigEndian.PutUint32(page[92:], 1)           // the counter at which "pages" is right
	page[headerSize] = 0x0d                            // a leaf without cells
	binary.BigEndian.PutUint16(page[headerSize+5:], pageSize-sumSize)
	binary.BigEndian.PutUint64(page[pageSize-sumSize:], pageSum(page, 0))
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(t.Name()) //nolint:errcheck // it has another name when all went well
	_, err = t.Write(page)
	if err = errors.Join(err, t.Sync(), t.Close()); err != nil {
		return err
	}
	if err := os.Rename(t.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// ours refuses the header of a file that another program wrote, or that has lost
// its sums.
func ours(path string, header []byte) error {
	switch {
	case len(header) < headerSize || string(header[:len(magic)]) != magic:
		return fmt.Errorf("%s: %w: it is not a database", path, record.ErrCorrupt)
	case header[reservedAt] == sumSize:
		return nil
	case binary.BigEndian.Uint32(header[applicationAt:]) == mark:
		return fmt.Errorf("%s: %w: its pages carry no sums", path, record.ErrCorrupt)
	default:
		return fmt.Errorf("%s: it is the database of another program", path)
	}
}
