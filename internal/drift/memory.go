package drift

import (
	"encoding/binary"
	"errors"
	"os"
	"sort"

	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/manifest"
)

// verdict is what was found at one path.
type verdict uint8

const (
	fine    verdict = iota // read, and no difference
	there                  // a difference, and something is there
	missing                // the manifest has something and nothing is there
)

// record is what is remembered of one path.
type record struct {
	path    []byte
	verdict verdict
	stamp   stamp          // zero where no content was read
	settled bool           // the stamp can be trusted
	have    manifest.Entry // where the verdict is there; its Path is not used
}

// differs reports whether a difference was told.
func (r *record) differs() bool { return r != nil && r.verdict != fine }

// same reports whether two differences at one path are the same.
func (r *record) same(o *record) bool {
	if r.verdict != o.verdict {
		return false
	}
	if r.verdict != there {
		return true
	}
	a, b := &r.have, &o.have
	return a.Kind == b.Kind && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Size == b.Size &&
		a.Hashed == b.Hashed && a.SHA256 == b.SHA256 && string(a.Link) == string(b.Link)
}

const (
	blockRecords = 64      // records that share prefixes
	inMemory     = 4 << 20 // bytes that are held before they go to a file
	writeAtOnce  = 256 << 10
)

const (
	flagVerdict = 3
	flagSettled = 1 << 2
	flagStamp   = 1 << 3
	flagHashed  = 1 << 4
)

// appendRecord encodes r after a record whose path was before: lengths of the
// shared and the own part of the path, the own part, flags, the stamp where there
// is one, and what is there where that is a difference. Numbers are varints.
func appendRecord(dst, before []byte, r *record) []byte {
	shared := 0
	for n := min(len(before), len(r.path)); shared < n && before[shared] == r.path[shared]; {
		shared++
	}
	dst = binary.AppendUvarint(dst, uint64(shared))
	dst = binary.AppendUvarint(dst, uint64(len(r.path)-shared))
	dst = append(dst, r.path[shared:]...)
	flags := byte(r.verdict)
	if r.settled {
		flags |= flagSettled
	}
	if r.stamp != (stamp{}) {
		flags |= flagStamp
	}
	if r.have.Hashed {
		flags |= flagHashed
	}
	dst = append(dst, flags)
	if flags&flagStamp != 0 {
		dst = append(dst, r.stamp[:]...)
	}
	if r.verdict != there {
		return dst
	}
	h := &r.have
	dst = append(dst, byte(h.Kind)|byte(h.Exec)<<4)
	dst = binary.AppendUvarint(dst, uint64(h.Mode))
	dst = binary.AppendVarint(dst, int64(h.UID))
	dst = binary.AppendVarint(dst, int64(h.GID))
	dst = binary.AppendUvarint(dst, uint64(h.Size))
	if h.Hashed {
		dst = append(dst, h.SHA256[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(h.Link)))
	return append(dst, h.Link...)
}

// records reads encoded records, one after another.
type records struct {
	rest []byte
	cur  record
}

// next goes to the next record and reports whether there is one. Its link points
// into the encoded bytes; its path holds until the next call.
func (d *records) next() bool {
	if len(d.rest) == 0 {
		return false
	}
	shared, own := d.uvarint(), d.uvarint()
	d.cur.path = append(d.cur.path[:shared], d.take(own)...)
	flags := d.take(1)[0]
	d.cur.verdict = verdict(flags & flagVerdict)
	d.cur.settled = flags&flagSettled != 0
	d.cur.stamp = stamp{}
	if flags&flagStamp != 0 {
		d.cur.stamp = stamp(d.take(uint64(len(stamp{}))))
	}
	d.cur.have = manifest.Entry{Hashed: flags&flagHashed != 0}
	if d.cur.verdict != there {
		return true
	}
	h := &d.cur.have
	kind := d.take(1)[0]
	h.Kind, h.Exec = manifest.Kind(kind&0xf), manifest.Exec(kind>>4)
	h.Mode = uint32(d.uvarint())
	h.UID, h.GID = int(d.varint()), int(d.varint())
	h.Size = int64(d.uvarint())
	if h.Hashed {
		h.SHA256 = [32]byte(d.take(32))
	}
	h.Link = d.take(d.uvarint())
	return true
}

func (d *records) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.rest = d.rest[n:]
	return v
}

func (d *records) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.rest = d.rest[n:]
	return v
}

func (d *records) take(n uint64) []byte {
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// memory is what a scan leaves to the next one: records in order of path, in
// memory or, when they are many, in a temporary file that is mapped. Single paths
// that were checked since lie beside it as patches.
type memory struct {
	data    []byte
	blocks  []int // where each run of blockRecords begins in data
	mapping *blob.Mapping
	patches []patch // in order of path; none lies under another
}

// patch stands for all records at and under its path.
type patch struct {
	path []byte
	data []byte
}

const maxPatches = 256

func (m *memory) close() {
	if m.mapping != nil {
		m.mapping.Close()
	}
	*m = memory{}
}

// size is how many bytes it takes.
func (m *memory) size() int {
	n := len(m.data) + 8*len(m.blocks)
	for i := range m.patches {
		n += len(m.patches[i].path) + len(m.patches[i].data) + 48
	}
	return n
}

// patch puts records in the place of all at and under path. It reports false
// where another patch is in the way or there are too many of them: the memory
// must be folded first.
func (m *memory) patch(path, data []byte) bool {
	at := sort.Search(len(m.patches), func(i int) bool { return manifest.Compare(m.patches[i].path, path) >= 0 })
	if at > 0 && covers(m.patches[at-1].path, path) {
		return false
	}
	end := at
	for end < len(m.patches) && covers(path, m.patches[end].path) {
		end++
	}
	if end == at && len(m.patches) >= maxPatches {
		return false
	}
	m.patches = append(m.patches[:at], append([]patch{{path, data}}, m.patches[end:]...)...)
	return true
}

// covered reports whether a patch covers more than path, so that a walk cannot
// start there.
func (m *memory) covered(path []byte) bool {
	at := sort.Search(len(m.patches), func(i int) bool { return manifest.Compare(m.patches[i].path, path) >= 0 })
	return at > 0 && covers(m.patches[at-1].path, path)
}

// fold writes patches and records into one. It does nothing where there are no
// patches.
func (m *memory) fold(temporary func() (*os.File, error)) error {
	if len(m.patches) == 0 {
		return nil
	}
	w := memoryWriter{temporary: temporary}
	for r := m.start(nil); r.ok; r.next() {
		if err := w.add(r.cur()); err != nil {
			return errors.Join(err, w.abandon())
		}
	}
	folded, err := w.close()
	if err != nil {
		return err
	}
	m.close()
	*m = folded
	return nil
}

// recall walks a memory in order of path, patches in their places.
type recall struct {
	memory  *memory
	base    records
	more    bool // base stands at a record
	patch   int  // the one that comes next, or that is being read
	patched records
	inPatch bool
	ok      bool // it stands at a record
}

// start returns a walk that stands at the first record not before path. No patch
// may cover more than path.
func (m *memory) start(path []byte) *recall {
	r := &recall{memory: m}
	block := sort.Search(len(m.blocks), func(i int) bool {
		first := records{rest: m.data[m.blocks[i]:]}
		first.next()
		return manifest.Compare(first.cur.path, path) > 0
	})
	if len(m.blocks) > 0 {
		r.base.rest = m.data[m.blocks[max(block-1, 0)]:]
	}
	r.more = r.base.next()
	for r.more && manifest.Compare(r.base.cur.path, path) < 0 {
		r.more = r.base.next()
	}
	r.patch = sort.Search(len(m.patches), func(i int) bool { return manifest.Compare(m.patches[i].path, path) >= 0 })
	r.settle()
	return r
}

// cur returns the record that the walk stands at; it holds until next.
func (r *recall) cur() *record {
	if r.inPatch {
		return &r.patched.cur
	}
	return &r.base.cur
}

// next goes on by one record.
func (r *recall) next() {
	if r.inPatch {
		if r.patched.next() {
			return
		}
		r.inPatch = false
		r.patch++
	} else {
		r.more = r.base.next()
	}
	r.settle()
}

// settle finds what comes next: a patch, where one begins before the record of
// the base, or that record.
func (r *recall) settle() {
	for r.patch < len(r.memory.patches) {
		p := &r.memory.patches[r.patch]
		if r.more && manifest.Compare(r.base.cur.path, p.path) < 0 {
			break
		}
		for r.more && covers(p.path, r.base.cur.path) {
			r.more = r.base.next()
		}
		r.patched = records{rest: p.data}
		if r.inPatch = r.patched.next(); r.inPatch {
			r.ok = true
			return
		}
		r.patch++
	}
	r.ok = r.more
}

// memoryWriter takes records in order of path.
type memoryWriter struct {
	temporary func() (*os.File, error) // nil means that all stays in memory
	buf       []byte
	file      *os.File // nil while all is in buf
	written   int      // bytes that went to file
	blocks    []int
	count     int
	before    []byte
}

func (w *memoryWriter) add(r *record) error {
	before := w.before
	if w.count%blockRecords == 0 {
		w.blocks = append(w.blocks, w.written+len(w.buf))
		before = nil
	}
	w.count++
	w.buf = appendRecord(w.buf, before, r)
	w.before = append(w.before[:0], r.path...)
	if w.temporary == nil || w.file == nil && len(w.buf) < inMemory || len(w.buf) < writeAtOnce {
		return nil
	}
	return w.flush()
}

func (w *memoryWriter) flush() error {
	if w.file == nil {
		f, err := w.temporary()
		if err != nil {
			return err
		}
		w.file = f
	}
	if _, err := w.file.Write(w.buf); err != nil {
		return err
	}
	w.written += len(w.buf)
	w.buf = w.buf[:0]
	if cap(w.buf) > 2*writeAtOnce {
		w.buf = nil
	}
	return nil
}

// close returns what was written. The writer is useless then.
func (w *memoryWriter) close() (memory, error) {
	if w.file == nil {
		return memory{data: append([]byte(nil), w.buf...), blocks: w.blocks}, nil
	}
	if err := w.flush(); err != nil {
		return memory{}, errors.Join(err, w.abandon())
	}
	mapping, err := blob.MapFile(w.file)
	if err != nil {
		return memory{}, errors.Join(err, w.abandon())
	}
	return memory{data: mapping.Bytes(), blocks: w.blocks, mapping: mapping}, w.abandon()
}

// abandon gives up the file.
func (w *memoryWriter) abandon() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// covers reports whether p is path or lies under it. The empty path is the root.
func covers(path, p []byte) bool {
	return len(path) == 0 || len(p) >= len(path) && string(p[:len(path)]) == string(path) && (len(p) == len(path) || p[len(path)] == '/')
}
