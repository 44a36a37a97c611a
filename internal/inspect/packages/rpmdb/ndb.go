package rpmdb

import (
	"encoding/binary"
	"fmt"
)

const (
	ndbSlotPage = 4096
	ndbSlot     = 16
	ndbBlock    = 16
)

// ndb walks rpm's own format: slots that point to blobs. The first two slots of
// the first page are the head of the file.
func (f *file) ndb(head []byte) error {
	order := binary.LittleEndian
	if version := order.Uint32(head[4:]); version != 0 {
		return fmt.Errorf("version %d of ndb", version)
	}
	pages := int64(order.Uint32(head[12:]))
	if pages == 0 || pages > f.size/ndbSlotPage {
		return fmt.Errorf("%d pages of slots in a file of %d bytes", pages, f.size)
	}
	page := make([]byte, ndbSlotPage)
	for number := range pages {
		if err := f.read(page, number*ndbSlotPage); err != nil {
			return err
		}
		from := 0
		if number == 0 {
			from = 2 * ndbSlot
		}
		for at := from; at < ndbSlotPage; at += ndbSlot {
			slot := page[at : at+ndbSlot]
			if string(slot[:4]) != "Slot" {
				return fmt.Errorf("slot at %d has no mark", number*ndbSlotPage+int64(at))
			}
			if pkg := order.Uint32(slot[4:]); pkg != 0 {
				if err := f.ndbBlob(pkg, int64(order.Uint32(slot[8:]))*ndbBlock); err != nil {
					return fmt.Errorf("package %d: %w", pkg, err)
				}
			}
		}
	}
	return nil
}

func (f *file) ndbBlob(pkg uint32, at int64) error {
	head := make([]byte, 16)
	if err := f.read(head, at); err != nil {
		return err
	}
	order := binary.LittleEndian
	if string(head[:4]) != "BlbS" || order.Uint32(head[4:]) != pkg {
		return fmt.Errorf("no blob of it lies at %d", at)
	}
	length := order.Uint32(head[12:])
	if length > maxHeader {
		return tooLong(uint64(length))
	}
	if at+16+int64(length) > f.size {
		return fmt.Errorf("a blob of %d bytes at %d lies outside the file of %d bytes", length, at, f.size)
	}
	blob := make([]byte, length)
	if err := f.read(blob, at+16); err != nil {
		return err
	}
	return f.header(blob)
}
