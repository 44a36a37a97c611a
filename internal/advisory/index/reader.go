package index

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"runtime/debug"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/wire"
)

// Reader answers from an index. It may be used by many at once.
type Reader struct {
	data     []byte
	release  func() error
	head     *header
	meta     Meta
	verified []atomic.Uint32 // one bit for each page
}

// Open maps the file at path. Errors wrap ErrDamaged unless the file could not
// be opened at all.
func Open(path string) (*Reader, error) {
	data, release, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	r, err := open(data)
	if err != nil {
		_ = release()
		return nil, err
	}
	r.release = release
	return r, nil
}

func open(data []byte) (r *Reader, err error) {
	defer guard(&err)()
	h, err := decodeHeader(data, uint64(len(data)))
	if err != nil {
		return nil, err
	}
	sums := data[h.spans[secSums].off:]
	if crc32.Checksum(sums, castagnoli()) != h.sumsCRC {
		return nil, fmt.Errorf("%w: its sums were altered", ErrDamaged)
	}
	r = &Reader{data: data, head: h, release: func() error { return nil }}
	r.verified = make([]atomic.Uint32, len(sums)/4/32+1)
	meta, err := r.bytes(secMeta, 0, h.spans[secMeta].len)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(meta, &r.meta); err != nil {
		return nil, fmt.Errorf("%w: read what it says of itself: %w", ErrDamaged, err)
	}
	return r, nil
}

// Close unmaps the file. No answer may be asked for afterwards.
func (r *Reader) Close() error { return r.release() }

// Revision names the content of the index.
func (r *Reader) Revision() touchstone.Digest {
	return touchstone.Digest(fmt.Sprintf("sha256:%x", r.head.revision))
}

// Built is when the index was made.
func (r *Reader) Built() time.Time { return r.head.built }

// Size is the file's size in bytes.
func (r *Reader) Size() int64 { return int64(len(r.data)) }

// Meta is what the index says of itself. It must not be changed.
func (r *Reader) Meta() *Meta { return &r.meta }

// Package returns what is said of a package; nil when nothing is.
func (r *Reader) Package(family, name string) (p *Package, err error) {
	defer guard(&err)()
	var found []byte
	err = r.bucket(secPackages, secPackageTable, Hash(family, name), func(w *wire.Reader) bool {
		body := w.Bytes()
		key := wire.NewReader(body)
		ofFamily := string(key.Bytes()) == family
		fits := string(key.Bytes()) == name && ofFamily && key.Err() == nil
		if fits {
			found = body
		}
		return fits
	})
	if err != nil || found == nil {
		return nil, err
	}
	return decodePackage(found)
}

// PackageAt returns the package that a hole refers to.
func (r *Reader) PackageAt(ref uint32) (p *Package, err error) {
	defer guard(&err)()
	b, err := r.packageBytes(ref)
	if err != nil {
		return nil, err
	}
	return decodePackage(b)
}

func (r *Reader) packageBytes(ref uint32) ([]byte, error) {
	n, width, err := r.packageLength(uint64(ref))
	if err != nil {
		return nil, err
	}
	return r.bytes(secPackages, uint64(ref)+uint64(width), n)
}

// packageLength returns how long the record of a package is, and its head.
func (r *Reader) packageLength(at uint64) (n uint64, width int, err error) {
	length := r.head.spans[secPackages].len
	b, err := r.bytes(secPackages, at, min(binary.MaxVarintLen64, length-min(at, length)))
	if err != nil {
		return 0, 0, err
	}
	if n, width = binary.Uvarint(b); width <= 0 {
		return 0, 0, fmt.Errorf("%w: a package is cut short", ErrDamaged)
	}
	return n, width, nil
}

// Named returns the numbers of the holes that have the name; none when no
// advisory has it.
func (r *Reader) Named(name string) (holes []uint32, err error) {
	defer guard(&err)()
	err = r.bucket(secNames, secNameTable, Hash(name), func(w *wire.Reader) bool {
		fits := string(w.Bytes()) == name
		list := w.Ascending(nil)
		if fits {
			holes = list
		}
		return fits
	})
	return holes, err
}

// Name returns the name that a ref stands for.
func (r *Reader) Name(ref uint32) (name string, err error) {
	defer guard(&err)()
	return r.name(ref)
}

func (r *Reader) name(ref uint32) (string, error) {
	b, err := r.nameBytes(ref)
	return string(b), err
}

func (r *Reader) nameBytes(ref uint32) ([]byte, error) {
	length := r.head.spans[secNames].len
	b, err := r.bytes(secNames, uint64(ref), min(longestName+2, length-min(uint64(ref), length)))
	if err != nil {
		return nil, err
	}
	w := wire.NewReader(b)
	s := w.Bytes()
	if w.Err() != nil || len(s) == 0 {
		return nil, fmt.Errorf("%w: a name is cut short", ErrDamaged)
	}
	return s, nil
}

// longestName is the longest name of an advisory in bytes; package osv refuses
// longer ones.
const longestName = 256

// Hole returns the hole with the number.
func (r *Reader) Hole(n uint32) (h *Hole, err error) {
	defer guard(&err)()
	b, err := r.holeBytes(n)
	if err != nil {
		return nil, err
	}
	h, names, err := decodeHole(wire.NewReader(b))
	if err != nil {
		return nil, err
	}
	for _, ref := range names {
		name, err := r.name(ref)
		if err != nil {
			return nil, err
		}
		h.Names = append(h.Names, name)
	}
	return h, nil
}

func (r *Reader) holeBytes(n uint32) ([]byte, error) {
	table := r.head.spans[secHoleTable].len
	at, err := r.bytes(secHoleTable, uint64(n)*4, 4)
	if err != nil {
		return nil, err
	}
	start, end := uint64(binary.LittleEndian.Uint32(at)), r.head.spans[secHoles].len
	if following := uint64(n)*4 + 4; following < table {
		if at, err = r.bytes(secHoleTable, following, 4); err != nil {
			return nil, err
		}
		end = uint64(binary.LittleEndian.Uint32(at))
	}
	if end < start {
		return nil, fmt.Errorf("%w: the holes overlap", ErrDamaged)
	}
	return r.bytes(secHoles, start, end-start)
}

// Holes returns how many holes there are.
func (r *Reader) Holes() int { return int(r.head.spans[secHoleTable].len / 4) }

// bucket calls each for the records of the hash's bucket until it returns true.
func (r *Reader) bucket(records, table section, hash uint64, each func(*wire.Reader) bool) error {
	n := r.head.spans[table].len / 4
	bits := 0
	for 1<<(bits+1) <= n {
		bits++
	}
	if n == 0 || 1<<bits != n {
		return fmt.Errorf("%w: a table has a wrong length", ErrDamaged)
	}
	b := uint64(bucketOf(hash, bits))
	at, err := r.bytes(table, b*4, min(8, n*4-b*4))
	if err != nil {
		return err
	}
	start, end := uint64(binary.LittleEndian.Uint32(at)), r.head.spans[records].len
	if len(at) == 8 {
		end = uint64(binary.LittleEndian.Uint32(at[4:]))
	}
	if end < start {
		return fmt.Errorf("%w: a table is out of order", ErrDamaged)
	}
	content, err := r.bytes(records, start, end-start)
	if err != nil {
		return err
	}
	w := wire.NewReader(content)
	for w.Left() > 0 && w.Err() == nil {
		if each(w) {
			break
		}
	}
	if err := w.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// bytes returns n bytes of a section, all of whose pages were verified.
func (r *Reader) bytes(s section, off, n uint64) ([]byte, error) {
	sp := r.head.spans[s]
	if off > sp.len || n > sp.len-off {
		return nil, fmt.Errorf("%w: something lies outside of its section", ErrDamaged)
	}
	from, to := sp.off+off, sp.off+off+n
	end := r.head.spans[secSums].off
	for page := from / pageSize; page*pageSize < to; page++ {
		word, bit := &r.verified[page/32], uint32(1)<<(page%32)
		if word.Load()&bit != 0 {
			continue
		}
		want := binary.LittleEndian.Uint32(r.data[end+page*4:])
		if crc32.Checksum(r.data[page*pageSize:min((page+1)*pageSize, end)], castagnoli()) != want {
			return nil, fmt.Errorf("%w: its page %d was altered", ErrDamaged, page)
		}
		word.Or(bit)
	}
	return r.data[from:to:to], nil
}

// guard makes an error of what touching the map may bring about when somebody
// cuts the file short or its disk fails, which would otherwise end the process
// with SIGBUS. Use it as "defer guard(&err)()".
func guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: reading it failed: %v", ErrDamaged, p)
		}
	}
}
