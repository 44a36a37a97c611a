// Package wire writes and reads the small binary records of the advisory index
// and of the spill files that an import makes: unsigned varints, strings with
// their length before them, single bytes. A Reader never panics and never
// allocates more than the bytes it was given account for; its first error
// sticks, so that a record is checked once, at its end.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed is what a Reader meets in bytes that no Writer wrote.
var ErrMalformed = errors.New("malformed record")

// Uint appends v.
func Uint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// Int appends a signed v.
func Int(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

// String appends s with its length before it.
func String(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }

// Float appends the bits of v.
func Float(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// Strings appends a list.
func Strings(b []byte, list []string) []byte {
	b = Uint(b, uint64(len(list)))
	for _, s := range list {
		b = String(b, s)
	}
	return b
}

// Ascending appends numbers that do not fall, as differences.
func Ascending(b []byte, list []uint32) []byte {
	b = Uint(b, uint64(len(list)))
	last := uint32(0)
	for _, v := range list {
		b = Uint(b, uint64(v-last))
		last = v
	}
	return b
}

// Reader reads what the functions above wrote.
type Reader struct {
	b    []byte
	text string // all of b at first, as a string; empty when strings are copied one by one
	err  error
}

// NewReader reads b, which it keeps.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// NewCopy reads a copy of b. Its strings are parts of the copy: cheap where a
// record has many.
func NewCopy(b []byte) *Reader { return &Reader{b: b, text: string(b)} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Left returns how many bytes are left.
func (r *Reader) Left() int { return len(r.b) }

// Fail makes the reader's bytes count as malformed, for a reason that only the
// caller can see.
func (r *Reader) Fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, why)
	}
	r.b = nil
}

// Uint reads an unsigned number.
func (r *Reader) Uint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // most numbers are small
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.Fail("a number is cut short")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int reads a signed number.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.Fail("a number is cut short")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count reads the length of a list whose entries take at least size bytes each,
// so that no list can claim more than is there.
func (r *Reader) Count(size int) int {
	v := r.Uint()
	if v > uint64(len(r.b)/max(size, 1)) {
		r.Fail("a list is longer than its record")
		return 0
	}
	return int(v)
}

// Bytes reads a string without copying it.
func (r *Reader) Bytes() []byte {
	n := r.Count(1)
	if r.err != nil {
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

// String reads a string.
func (r *Reader) String() string {
	s := r.Bytes()
	if r.text == "" {
		return string(s)
	}
	if r.err != nil {
		return ""
	}
	end := len(r.text) - len(r.b)
	return r.text[end-len(s) : end]
}

// Strings reads a list of strings.
func (r *Reader) Strings() []string {
	n := r.Count(1)
	if n == 0 {
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, r.String())
	}
	return list
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.b) == 0 {
		r.Fail("a byte is missing")
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// Float reads a floating point number.
func (r *Reader) Float() float64 {
	if len(r.b) < 8 {
		r.Fail("a number is cut short")
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.b = r.b[8:]
	return v
}

// Ascending reads numbers that do not fall into list, which it returns.
func (r *Reader) Ascending(list []uint32) []uint32 {
	n := r.Count(1)
	last := uint64(0)
	for range n {
		last += r.Uint()
		if last > math.MaxUint32 {
			r.Fail("a number is too large")
			return list[:0]
		}
		list = append(list, uint32(last))
	}
	return list
}
