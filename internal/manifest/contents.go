package manifest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sort"
)

// The contents of a manifest are a file of their own: what a guard asks for each
// program that is about to run, without a path to go by.
//
//	records  size uint64 and SHA-256, in that order and big-endian, so that bytes
//	         compare as records do; one byte of exec. Sorted, none twice.
//	footer   records uint64, CRC-32C of all before it uint32, both little-endian;
//	         "TSCONTS" and version 1
const (
	contentsMagic  = "TSCONTS\x01"
	contentsFooter = 8 + 4 + len(contentsMagic)
	recordKey      = 8 + 32
	recordSize     = recordKey + 1
	// contentsHeld bounds how many records WriteContents holds, 16 MiB of them.
	contentsHeld = 16 << 20 / recordSize
)

type record [recordSize]byte

// key makes the searchable part of a record.
func key(size int64, sum *[32]byte) (k [recordKey]byte) {
	binary.BigEndian.PutUint64(k[:], uint64(size))
	copy(k[8:], sum[:])
	return k
}

// WriteContents writes the set of contents (size, SHA-256 and how they can be
// executed) of all regular files of a manifest, for OpenContents to read. A file
// whose hash is not known is left out. Content that is there twice, once
// executable, counts as executable.
//
// It walks the manifest once for each 200,000 contents or so, and holds no more
// than these.
func WriteContents(r *Reader, w io.Writer) error { return writeContents(r, w, contentsHeld) }

func writeContents(r *Reader, w io.Writer, held int) error {
	sum := crc32.New(castagnoli())
	out := bufio.NewWriterSize(w, 1<<16)
	both := io.MultiWriter(out, sum)
	var count uint64
	part := lowest{held: make([]record, 0, min(held, r.Summary().Files+2))}
	for {
		if err := part.gather(r); err != nil {
			return err
		}
		for i := range part.held {
			if _, err := both.Write(part.held[i][:]); err != nil {
				return fmt.Errorf("writing the contents: %w", err)
			}
		}
		count += uint64(len(part.held))
		if !part.cut {
			break
		}
		part.after, part.begun = part.held[len(part.held)-1], true
	}
	tail := binary.LittleEndian.AppendUint64(nil, count)
	_, _ = sum.Write(tail) // a hash never fails
	tail = binary.LittleEndian.AppendUint32(tail, sum.Sum32())
	tail = append(tail, contentsMagic...)
	if _, err := out.Write(tail); err != nil {
		return fmt.Errorf("writing the contents: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the contents: %w", err)
	}
	return nil
}

// lowest gathers the lowest records of a manifest beyond one, as many as it has
// room for half of.
type lowest struct {
	held  []record
	after record // only what is greater counts
	begun bool   // whether after is set
	cut   bool   // whether something greater than all of held was left out
}

func (l *lowest) gather(r *Reader) error {
	l.held, l.cut = l.held[:0], false
	c := r.Start()
	for c.Next() {
		e := c.Entry()
		if e.Kind != Regular || !e.Hashed {
			continue
		}
		var rec record
		k := key(e.Size, &e.SHA256)
		copy(rec[:], k[:])
		rec[recordKey] = byte(e.Exec)
		if l.begun && compareKeys(&rec, &l.after) <= 0 {
			continue
		}
		if l.cut && compareKeys(&rec, &l.held[cap(l.held)/2-1]) > 0 {
			continue
		}
		if len(l.held) == cap(l.held) {
			l.settle()
		}
		l.held = append(l.held, rec)
	}
	if err := c.Err(); err != nil {
		return err
	}
	l.settle()
	return nil
}

// settle sorts what is held, throws out what is there twice, and the greater
// half if there is no room.
//
// The first half stays sorted and its last record is the bound that gather
// compares with, because new ones come behind it.
func (l *lowest) settle() {
	slices.SortFunc(l.held, func(a, b record) int { return bytes.Compare(a[:], b[:]) })
	kept := l.held[:0]
	for _, rec := range l.held {
		if n := len(kept); n > 0 && compareKeys(&kept[n-1], &rec) == 0 {
			if kept[n-1][recordKey] == byte(ExecNone) {
				kept[n-1] = rec
			}
			continue
		}
		kept = append(kept, rec)
	}
	if half := max(cap(l.held)/2, 1); len(kept) > half {
		kept, l.cut = kept[:half], true
	}
	l.held = kept
}

func compareKeys(a, b *record) int { return bytes.Compare(a[:recordKey], b[:recordKey]) }

// Contents is the set of contents of a manifest, read out of bytes, usually a
// mapped blob, which must stay as they are. It is safe for concurrent use, and
// asking it allocates nothing.
type Contents struct{ records []byte }

// OpenContents checks what WriteContents wrote, every byte of it. Bytes that are
// something else, or damaged, are an error.
func OpenContents(data []byte) (*Contents, error) {
	if len(data) < contentsFooter || string(data[len(data)-len(contentsMagic):]) != contentsMagic {
		return nil, fmt.Errorf("opening the contents of a manifest: these %d bytes are none of version 1", len(data))
	}
	records, footer := data[:len(data)-contentsFooter], data[len(data)-contentsFooter:]
	if count := binary.LittleEndian.Uint64(footer); count != uint64(len(records)/recordSize) || len(records)%recordSize != 0 {
		return nil, fmt.Errorf("opening the contents of a manifest: %d bytes are not %d records", len(records), count)
	}
	if crc32.Checksum(data[:len(records)+8], castagnoli()) != binary.LittleEndian.Uint32(footer[8:]) {
		return nil, fmt.Errorf("opening the contents of a manifest: they are damaged")
	}
	return &Contents{records: records}, nil
}

// Len returns how many contents there are.
func (c *Contents) Len() int { return len(c.records) / recordSize }

// Has reports whether a file with this content is in the manifest, and how it
// can be executed.
func (c *Contents) Has(size int64, sum [32]byte) (Exec, bool) {
	k := key(size, &sum)
	i := c.search(k[:])
	if i == c.Len() || !bytes.Equal(c.key(i), k[:]) {
		return ExecNone, false
	}
	exec := Exec(c.records[i*recordSize+recordKey])
	return min(exec, execs-1), true
}

// HasSize reports whether any file of this size is in the manifest; where none
// is, nothing needs to be hashed.
func (c *Contents) HasSize(size int64) bool {
	k := key(size, &[32]byte{})
	i := c.search(k[:])
	return i < c.Len() && bytes.Equal(c.key(i)[:8], k[:8])
}

// search returns the first record that is not less than k.
func (c *Contents) search(k []byte) int {
	return sort.Search(c.Len(), func(i int) bool { return bytes.Compare(c.key(i), k) >= 0 })
}

func (c *Contents) key(i int) []byte { return c.records[i*recordSize:][:recordKey] }
