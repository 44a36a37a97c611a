package gosym

import (
	"errors"
	"slices"
)

// magic begins every blob; the byte after it holds the flags, and the records
// follow to the end.
const magic = "gosym\x001"

// Encode returns the set as a blob for Decode: 8 bytes and then 5 for each
// different name or package. The same set always gives the same bytes.
func (s *Set) Encode() []byte {
	blob := make([]byte, 0, len(magic)+1+len(s.records))
	blob = append(blob, magic...)
	blob = append(blob, s.flags)
	return append(blob, s.records...)
}

// Decode returns the set that Encode wrote. It keeps a reference to blob.
func Decode(blob []byte) (*Set, error) {
	if len(blob) <= len(magic) || string(blob[:len(magic)]) != magic {
		return nil, errors.New("decode symbols of a Go binary: not such a blob")
	}
	s := &Set{flags: blob[len(magic)], records: blob[len(magic)+1:]}
	if s.flags&^flagMain != 0 || len(s.records)%hashSize != 0 {
		return nil, errors.New("decode symbols of a Go binary: the blob is damaged")
	}
	// A set out of order would answer "not there" for what is there.
	for i := 1; i < s.Len(); i++ {
		if s.at(i-1) >= s.at(i) {
			return nil, errors.New("decode symbols of a Go binary: the blob is out of order")
		}
	}
	return s, nil
}

// newSet takes hashes in any order and more than once.
func newSet(flags byte, hashes []uint64) *Set {
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	records := make([]byte, 0, len(hashes)*hashSize)
	for _, h := range hashes {
		records = append(records, byte(h>>32), byte(h>>24), byte(h>>16), byte(h>>8), byte(h))
	}
	return &Set{flags: flags, records: records}
}
