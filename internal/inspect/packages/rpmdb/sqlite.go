package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const sqliteMagic = "SQLite format 3\x00"

const (
	treeInterior = 0x05
	treeLeaf     = 0x0d
	// maxTree is far deeper than a table of any size gets.
	maxTree = 20
)

// table is a table of an SQLite file: a b-tree whose leaves hold the rows.
type table struct {
	*file
	pageSize int64
	usable   int // bytes of a page that are not reserved for extensions
}

// sqlite walks the table Packages, which has the columns hnum and blob.
func (f *file) sqlite(head []byte) error {
	t := &table{file: f, pageSize: int64(binary.BigEndian.Uint16(head[16:]))}
	if t.pageSize == 1 {
		t.pageSize = 1 << 16
	}
	t.usable = int(t.pageSize) - int(head[20])
	if t.pageSize < 512 || t.pageSize&(t.pageSize-1) != 0 || t.usable < 480 {
		return fmt.Errorf("a page size of %d bytes", t.pageSize)
	}
	if encoding := binary.BigEndian.Uint32(head[56:]); encoding > 1 {
		return fmt.Errorf("text of encoding %d", encoding)
	}
	var root uint32
	err := t.walk(1, 0, func(row []byte) error {
		columns, err := columnsOf(row, 5)
		if err != nil {
			return err
		}
		// The schema: type, name, table, root page, statement.
		if string(columns[0]) == "table" && string(columns[1]) == "Packages" && len(columns[3]) <= 4 {
			for _, b := range columns[3] {
				root = root<<8 | uint32(b)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if root == 0 {
		return errors.New("there is no table Packages")
	}
	return t.walk(root, 0, func(row []byte) error {
		columns, err := columnsOf(row, 2)
		if err != nil {
			return err
		}
		return f.header(columns[1])
	})
}

// walk calls yield with every row below the page.
func (t *table) walk(number uint32, depth int, yield func(row []byte) error) error {
	if depth > maxTree {
		return fmt.Errorf("%w: a tree of more than %d levels", ErrLimit, maxTree)
	}
	page, err := t.page(number)
	if err != nil {
		return err
	}
	base := 0
	if number == 1 {
		base = 100 // the head of the file
	}
	kind, cells, pointers := page[base], int(binary.BigEndian.Uint16(page[base+3:])), base+8
	if kind == treeInterior {
		pointers = base + 12
	} else if kind != treeLeaf {
		return fmt.Errorf("page %d is of kind %d, not part of a table", number, kind)
	}
	if pointers+2*cells > len(page) {
		return fmt.Errorf("page %d claims %d cells", number, cells)
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(page[pointers+2*i:]))
		if at+4 > len(page) {
			return fmt.Errorf("page %d has a cell at %d", number, at)
		}
		if kind == treeInterior {
			err = t.walk(binary.BigEndian.Uint32(page[at:]), depth+1, yield)
		} else {
			err = t.cell(page[at:], yield)
		}
		if err != nil {
			return err
		}
	}
	if kind == treeInterior {
		return t.walk(binary.BigEndian.Uint32(page[base+8:]), depth+1, yield)
	}
	return nil
}

// page returns the usable part of a page.
func (t *table) page(number uint32) ([]byte, error) {
	page := make([]byte, t.pageSize)
	if err := t.read(page, (int64(number)-1)*t.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", number, err)
	}
	return page[:t.usable], nil
}

// cell calls yield with the row of a leaf's cell, gathered from overflow pages
// where it is long (fileformat.html, section 1.6).
func (t *table) cell(cell []byte, yield func(row []byte) error) error {
	length, n := varint(cell)
	_, m := varint(cell[n:]) // the row's id
	if n == 0 || m == 0 {
		return errors.New("a cell without a length")
	}
	if length > maxHeader {
		return tooLong(length)
	}
	cell = cell[n+m:]
	total, local := int(length), int(length)
	if most := t.usable - 35; total > most {
		least := (t.usable-12)*32/255 - 23
		if local = least + (total-least)%(t.usable-4); local > most {
			local = least
		}
	}
	if local == total {
		if total > len(cell) {
			return fmt.Errorf("a row of %d bytes in a cell of %d", total, len(cell))
		}
		return yield(cell[:total])
	}
	if local+4 > len(cell) {
		return fmt.Errorf("the first %d bytes of a row in a cell of %d", local, len(cell))
	}
	row := append([]byte(nil), cell[:local]...)
	for next := binary.BigEndian.Uint32(cell[local:]); len(row) < total; {
		page, err := t.page(next)
		if err != nil {
			return fmt.Errorf("a row of %d bytes ends after %d: %w", total, len(row), err)
		}
		next = binary.BigEndian.Uint32(page)
		row = append(row, page[4:4+min(total-len(row), len(page)-4)]...)
	}
	return yield(row)
}

// columnsOf returns the bytes of the first n columns of a row. A column that is
// NULL or a constant has none.
func columnsOf(row []byte, n int) ([][]byte, error) {
	length, at := varint(row)
	if at == 0 || length > uint64(len(row)) || int(length) < at {
		return nil, errors.New("a row without a description of its columns")
	}
	types, data := row[at:length], row[length:]
	columns := make([][]byte, 0, n)
	for len(columns) < n {
		serial, used := varint(types)
		if used == 0 {
			return nil, fmt.Errorf("a row of %d columns, not %d", len(columns), n)
		}
		types = types[used:]
		size := serialSize(serial)
		if size > uint64(len(data)) {
			return nil, fmt.Errorf("a column of %d bytes in a row of %d", size, len(row))
		}
		columns = append(columns, data[:size])
		data = data[size:]
	}
	return columns, nil
}

// serialSize returns how many bytes a value of the serial type takes.
func serialSize(serial uint64) uint64 {
	switch {
	case serial >= 12:
		return (serial - 12) / 2
	case serial >= 8:
		return 0
	default:
		return [...]uint64{0, 1, 2, 3, 4, 6, 8, 8}[serial]
	}
}

// varint returns an SQLite variable-length integer and how many bytes it takes;
// 0 bytes when there is none.
func varint(b []byte) (value uint64, n int) {
	for n = 0; n < 9 && n < len(b); n++ {
		if n == 8 {
			return value<<8 | uint64(b[n]), 9
		}
		value = value<<7 | uint64(b[n]&0x7f)
		if b[n] < 0x80 {
			return value, n + 1
		}
	}
	return 0, 0
}
