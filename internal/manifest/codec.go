package manifest

import (
	"encoding/binary"
	"errors"
)

const (
	magic       = "TSMANIF\x01"
	footerSize  = 5*8 + 4 + len(magic)
	indexSize   = 8 + 4 + 4
	blockLength = 64
	// maxPath and maxLink bound what a reader will assemble; Linux allows 4,096
	// bytes for either (limits.h, PATH_MAX).
	maxPath = 1 << 16
	maxLink = 1 << 16
)

const (
	flagOwner  = 1 << iota // owner and group follow; otherwise both are root
	flagSize               // a size follows
	flagHash               // a SHA-256 follows
	flagLink               // a link follows
	flagsKnown = 1<<iota - 1
)

var errMalformed = errors.New("malformed entry")

// appendEntry encodes e after an entry whose path was before.
func appendEntry(dst, before []byte, e *Entry) []byte {
	shared := 0
	for n := min(len(before), len(e.Path)); shared < n && before[shared] == e.Path[shared]; {
		shared++
	}
	dst = binary.AppendUvarint(dst, uint64(shared))
	dst = binary.AppendUvarint(dst, uint64(len(e.Path)-shared))
	dst = append(dst, e.Path[shared:]...)
	var flags byte
	if e.UID != 0 || e.GID != 0 {
		flags |= flagOwner
	}
	if e.Size != 0 {
		flags |= flagSize
	}
	if e.Hashed {
		flags |= flagHash
	}
	if len(e.Link) > 0 {
		flags |= flagLink
	}
	dst = append(dst, byte(e.Kind)|byte(e.Exec)<<4, flags)
	dst = binary.AppendUvarint(dst, uint64(e.Mode))
	if flags&flagOwner != 0 {
		dst = binary.AppendVarint(dst, int64(e.UID))
		dst = binary.AppendVarint(dst, int64(e.GID))
	}
	if flags&flagSize != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.Size))
	}
	if flags&flagHash != 0 {
		dst = append(dst, e.SHA256[:]...)
	}
	if flags&flagLink != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(e.Link)))
		dst = append(dst, e.Link...)
	}
	return dst
}

// decodeEntry reads one entry into e, whose Path holds that of the entry before
// it and is overwritten; Link points into src. It returns what is left of src.
func decodeEntry(src []byte, e *Entry) ([]byte, error) {
	d := decoder{src: src}
	shared, own := d.uvarint(), d.uvarint()
	if shared > uint64(len(e.Path)) || shared+own > maxPath || shared+own == 0 {
		return nil, errMalformed
	}
	e.Path = append(e.Path[:shared], d.bytes(own)...)
	head := d.bytes(2)
	if d.bad {
		return nil, errMalformed
	}
	e.Kind, e.Exec = Kind(head[0]&0xf), Exec(head[0]>>4)
	flags := head[1]
	mode := d.uvarint()
	if e.Kind >= kinds || e.Exec >= execs || flags&^flagsKnown != 0 || mode > 0o7777 {
		return nil, errMalformed
	}
	e.Mode = uint32(mode)
	e.UID, e.GID, e.Size, e.Hashed, e.Link = 0, 0, 0, flags&flagHash != 0, nil
	e.SHA256 = [32]byte{}
	if flags&flagOwner != 0 {
		e.UID, e.GID = int(d.varint()), int(d.varint())
	}
	if flags&flagSize != 0 {
		e.Size = int64(d.uvarint())
	}
	if e.Hashed {
		copy(e.SHA256[:], d.bytes(32))
	}
	if flags&flagLink != 0 {
		n := d.uvarint()
		if n > maxLink {
			return nil, errMalformed
		}
		e.Link = d.bytes(n)
	}
	if d.bad || e.Size < 0 {
		return nil, errMalformed
	}
	return d.src, nil
}

// decoder takes values off the front of src; once something is missing it is
// bad, and yields nothing more.
type decoder struct {
	src []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		d.bad, d.src = true, nil
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.src)
	if n <= 0 {
		d.bad, d.src = true, nil
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.src)) {
		d.bad, d.src = true, nil
		return nil
	}
	b := d.src[:n:n]
	d.src = d.src[n:]
	return b
}
