package gosym

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The magic numbers of the table (internal/abi/symtab.go).
const (
	magic12  = 0xfffffffb // Go 1.2 to 1.15
	magic116 = 0xfffffffa // Go 1.16 and 1.17
	magic118 = 0xfffffff0 // Go 1.18 and 1.19
	magic120 = 0xfffffff1 // Go 1.20 and later
)

const (
	headerSize = 8 + 8*8 // the longest header: 8 bytes and eight words
	maxName    = 1 << 20 // bytes of one name; real ones stay below a few thousand
	maxNames   = 1 << 30 // bytes of all names; the largest real binaries have some 30 MB
)

var (
	errNoTable = errors.New("no table of functions was found")
	errOld     = errors.New("built by Go 1.15 or older, whose table does not tell what was inlined")
)

// names is the part of a table that holds the names: NUL-terminated, one after
// the other.
type names struct {
	at   io.ReaderAt
	from int64 // offset in at
	size int64
}

// parseTable reads the header of the table at offset from of r. limit is the
// number of bytes from there to the end of what may belong to the table.
// errNoTable means that there is no table there.
func parseTable(r io.ReaderAt, from, limit int64) (names, error) {
	header := make([]byte, headerSize)
	n, err := r.ReadAt(header, from)
	if n < headerSize && err != nil && !errors.Is(err, io.EOF) {
		return names{}, fmt.Errorf("read the header of the table of functions: %w", err)
	}
	header = header[:n]
	// Magic, two zeros, the quantum of the program counter, the size of a word.
	if len(header) < 8 || header[4] != 0 || header[5] != 0 ||
		header[6] != 1 && header[6] != 2 && header[6] != 4 || header[7] != 4 && header[7] != 8 {
		return names{}, errNoTable
	}
	var order binary.ByteOrder = binary.LittleEndian
	if header[0] == 0xff {
		order = binary.BigEndian
	}
	var first int // which word holds the offset of the names; the next one is where they end
	switch order.Uint32(header) {
	case magic12:
		return names{}, errOld
	case magic116:
		first = 2
	case magic118, magic120:
		first = 3
	default:
		return names{}, errNoTable
	}
	word := func(i int) (uint64, bool) {
		size := int(header[7])
		if at := 8 + i*size; at+size <= len(header) {
			if size == 4 {
				return uint64(order.Uint32(header[at:])), true
			}
			return order.Uint64(header[at:]), true
		}
		return 0, false
	}
	functions, _ := word(0)
	begin, ok1 := word(first)
	end, ok2 := word(first + 1)
	if !ok1 || !ok2 || functions == 0 || begin < 8 || begin >= end || limit < 0 || end > uint64(limit) {
		return names{}, errNoTable
	}
	if end-begin > maxNames {
		return names{}, fmt.Errorf("the names of functions take %d bytes, more than the limit of %d", end-begin, maxNames)
	}
	return names{at: r, from: from + int64(begin), size: int64(end - begin)}, nil
}

// each calls yield with every name.
func (n names) each(yield func(name []byte) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(n.at, n.from, n.size), 64<<10)
	var long []byte // what has been read of a name that does not fit the buffer
	for {
		part, err := r.ReadSlice(0)
		if errors.Is(err, bufio.ErrBufferFull) {
			if long = append(long, part...); len(long) > maxName {
				return fmt.Errorf("the name of a function is longer than %d bytes", maxName)
			}
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil // padding behind the last name
		}
		if err != nil {
			return fmt.Errorf("read the names of functions: %w", err)
		}
		name := part[:len(part)-1]
		if long != nil {
			name, long = append(long, name...), nil
		}
		if len(name) == 0 {
			continue
		}
		if err := yield(name); err != nil {
			return err
		}
	}
}
