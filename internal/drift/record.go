package drift

import (
	"encoding/binary"

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
