package manifest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"sort"

	"touchstone.dev/touchstone"
)

// Reader reads a manifest out of bytes, usually a mapped blob, which must stay
// as they are. It is safe for concurrent use. Bytes that are no manifest, or a
// damaged one, give an error and never a wrong entry.
type Reader struct {
	blocks  []byte // all blocks
	index   []byte
	summary touchstone.ManifestSummary
}

// Open checks the footer and index of a manifest. Its blocks are checked when
// they are read.
func Open(data []byte) (*Reader, error) {
	if len(data) < footerSize || string(data[len(data)-len(magic):]) != magic {
		return nil, fmt.Errorf("opening a manifest: these %d bytes are none of version 1", len(data))
	}
	footer := data[len(data)-footerSize:]
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(footer[8*i:]) }
	offset, blocks := number(0), number(1)
	room := uint64(len(data) - footerSize)
	if offset > room || blocks > room/indexSize || room-offset != blocks*indexSize {
		return nil, fmt.Errorf("opening a manifest: its index is not where it should be")
	}
	const summed = 5 * 8
	if crc32.Checksum(data[offset:room+summed], castagnoli()) != binary.LittleEndian.Uint32(footer[summed:]) {
		return nil, fmt.Errorf("opening a manifest: its index is damaged")
	}
	files, executables, bytes := number(2), number(3), number(4)
	if files > blocks*blockLength || executables > files || bytes > 1<<62 {
		return nil, fmt.Errorf("opening a manifest: its summary contradicts its index")
	}
	r := &Reader{blocks: data[:offset], index: data[offset:room]}
	r.summary = touchstone.ManifestSummary{Files: int(files), Executables: int(executables), Bytes: int64(bytes)}
	return r, nil
}

// Summary returns what the manifest holds, without the name of its blob.
func (r *Reader) Summary() touchstone.ManifestSummary { return r.summary }

// Lookup finds the file of this path; a mark is no file.
func (r *Reader) Lookup(path string) (touchstone.File, bool, error) {
	c := r.Seek([]byte(path))
	for c.Next() && string(c.Entry().Path) == path {
		if !c.Entry().Kind.Mark() {
			return c.Entry().File(), true, nil
		}
	}
	return touchstone.File{}, false, c.Err()
}

// All walks every file in order, marks left out. A damaged block ends the walk
// with its error.
func (r *Reader) All() iter.Seq2[touchstone.File, error] {
	return func(yield func(touchstone.File, error) bool) {
		c := r.Start()
		for c.Next() {
			if !c.Entry().Kind.Mark() && !yield(c.Entry().File(), nil) {
				return
			}
		}
		if err := c.Err(); err != nil {
			yield(touchstone.File{}, err)
		}
	}
}

// Start returns a cursor before the first entry.
func (r *Reader) Start() *Cursor { return &Cursor{reader: r} }

// Seek returns a cursor before the first entry whose path is not less than path.
func (r *Reader) Seek(path []byte) *Cursor {
	n := r.len()
	var damaged error
	after := sort.Search(n, func(i int) bool {
		first, err := r.first(i)
		if err != nil {
			damaged = err
			return true
		}
		return Compare(first, path) > 0
	})
	if after < n && damaged == nil {
		// The search trusted the first paths of blocks. With this block and the
		// one before it checked, it cannot have gone astray.
		_, damaged = r.block(after)
	}
	c := &Cursor{reader: r, next: max(after-1, 0), err: damaged}
	// Marks and their file may share a path across two blocks.
	for c.next > 0 && damaged == nil {
		first, err := r.first(c.next)
		if err != nil {
			c.err = err
			break
		}
		if Compare(first, path) < 0 {
			break
		}
		c.next--
	}
	for c.Next() {
		if Compare(c.entry.Path, path) >= 0 {
			c.again = true
			break
		}
	}
	return c
}

func (r *Reader) len() int { return len(r.index) / indexSize }

// block returns the bytes of block i, checked.
func (r *Reader) block(i int) ([]byte, error) {
	at := r.index[i*indexSize:]
	offset, length := binary.LittleEndian.Uint64(at), uint64(binary.LittleEndian.Uint32(at[8:]))
	if offset > uint64(len(r.blocks)) || length > uint64(len(r.blocks))-offset {
		return nil, fmt.Errorf("reading a manifest: block %d lies outside", i)
	}
	b := r.blocks[offset : offset+length]
	if crc32.Checksum(b, castagnoli()) != binary.LittleEndian.Uint32(at[12:]) {
		return nil, fmt.Errorf("reading a manifest: block %d is damaged", i)
	}
	return b, nil
}

// first returns the first path of block i, which is written whole. It is not
// checked against the sum (see Seek).
func (r *Reader) first(i int) ([]byte, error) {
	at := r.index[i*indexSize:]
	offset := binary.LittleEndian.Uint64(at)
	if offset > uint64(len(r.blocks)) {
		return nil, fmt.Errorf("reading a manifest: block %d lies outside", i)
	}
	d := decoder{src: r.blocks[offset:]}
	shared, own := d.uvarint(), d.uvarint()
	path := d.bytes(own)
	if d.bad || shared != 0 || own > maxPath {
		return nil, fmt.Errorf("reading a manifest: block %d is damaged", i)
	}
	return path, nil
}

// Cursor walks entries in order, marks included:
//
//	for c := r.Start(); c.Next(); { use(c.Entry()) }
//	if err := c.Err(); err != nil { … }
type Cursor struct {
	reader *Reader
	next   int // block to be read next
	rest   []byte
	entry  Entry
	last   Entry // path and kind before, to check the order
	again  bool
	begun  bool
	err    error
}

// Next goes to the next entry and reports whether there is one.
func (c *Cursor) Next() bool {
	if c.err != nil {
		return false
	}
	if c.again {
		c.again = false
		return true
	}
	if len(c.rest) == 0 {
		if c.next >= c.reader.len() {
			return false
		}
		if c.rest, c.err = c.reader.block(c.next); c.err != nil {
			return false
		}
		c.next++
		c.entry.Path = c.entry.Path[:0]
	}
	if c.rest, c.err = decodeEntry(c.rest, &c.entry); c.err != nil {
		c.err = fmt.Errorf("reading a manifest: block %d: %w", c.next-1, c.err)
		return false
	}
	if c.begun && compareEntries(&c.last, &c.entry) >= 0 {
		c.err = fmt.Errorf("reading a manifest: block %d is not in order", c.next-1)
		return false
	}
	c.begun = true
	c.last.Path = append(c.last.Path[:0], c.entry.Path...)
	c.last.Kind = c.entry.Kind
	return true
}

// Entry returns the entry that Next went to; it holds until the next call of
// Next.
func (c *Cursor) Entry() *Entry { return &c.entry }

// Err returns why Next returned false, nil at the end.
func (c *Cursor) Err() error { return c.err }
