package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	berkeleyMagic = 0x00061561

	// Kinds of page.
	pageHashUnsorted = 2 // before Berkeley DB 4.6: RHEL 5
	pageOverflow     = 7
	pageHashMeta     = 8
	pageHash         = 13

	// Kinds of item on a hash page.
	itemInline  = 1
	itemOffPage = 3

	pageHeader = 26
)

// berkeley walks a hash table: pages of items, key and value in turn, where a
// long value lies on a chain of overflow pages.
func (f *file) berkeley(head []byte) error {
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(head[12:]) != berkeleyMagic {
		order = binary.BigEndian
	}
	size := order.Uint32(head[20:])
	switch {
	case head[24] != 0:
		return errors.New("the database is encrypted")
	case head[25] != pageHashMeta:
		return fmt.Errorf("the first page is of kind %d, not the head of a hash table", head[25])
	case size < 512 || size > 1<<16 || size&(size-1) != 0:
		return fmt.Errorf("a page size of %d bytes", size)
	}
	page := make([]byte, size)
	last := int64(order.Uint32(head[32:]))
	for number := int64(1); number <= last; number++ {
		if err := f.read(page, number*int64(size)); err != nil {
			return fmt.Errorf("page %d of %d: %w", number, last, err)
		}
		if kind := page[25]; kind != pageHash && kind != pageHashUnsorted {
			continue
		}
		if err := f.hashPage(page, order); err != nil {
			return fmt.Errorf("page %d of %d: %w", number, last, err)
		}
	}
	return nil
}

func (f *file) hashPage(page []byte, order binary.ByteOrder) error {
	items := int(order.Uint16(page[20:]))
	if items%2 != 0 || pageHeader+2*items > len(page) {
		return fmt.Errorf("%d items on a page of %d bytes", items, len(page))
	}
	at := func(i int) int { return int(order.Uint16(page[pageHeader+2*i:])) }
	for i := 1; i < items; i += 2 { // the odd ones are the values
		// Items are laid down from the end of the page towards its beginning.
		begin, end := at(i), at(i-1)
		if begin >= end || end > len(page) || begin < pageHeader+2*items {
			return fmt.Errorf("item %d lies at %d to %d", i, begin, end)
		}
		item := page[begin:end]
		switch {
		case item[0] == itemOffPage && len(item) >= 12:
			if err := f.overflow(order.Uint32(item[4:]), order.Uint32(item[8:]), len(page), order); err != nil {
				return err
			}
		case item[0] == itemInline && len(item) > 1+8:
			// Shorter is rpm's own counter of packages, under the key 0.
			if err := f.header(item[1:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// overflow gathers the value of length bytes on the chain that begins at a page.
func (f *file) overflow(number, length uint32, pageSize int, order binary.ByteOrder) error {
	if length > maxHeader {
		return tooLong(uint64(length))
	}
	page := make([]byte, pageSize)
	var value []byte
	for len(value) < int(length) {
		if number == 0 {
			return fmt.Errorf("a value of %d bytes ends after %d", length, len(value))
		}
		if err := f.read(page, int64(number)*int64(pageSize)); err != nil {
			return fmt.Errorf("overflow page %d: %w", number, err)
		}
		if page[25] != pageOverflow {
			return fmt.Errorf("overflow page %d is of kind %d", number, page[25])
		}
		used := int(order.Uint16(page[22:]))
		if used == 0 || used > pageSize-pageHeader {
			return fmt.Errorf("overflow page %d holds %d bytes", number, used)
		}
		value = append(value, page[pageHeader:pageHeader+used]...)
		number = order.Uint32(page[16:])
	}
	return f.header(value[:length])
}
