package drift

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"golang.org/x/sys/unix"
)

// stamp is a fingerprint of what stat(2) says of a file: two keyed hashes of 64
// bits, so that nobody who does not know the keys finds two files with one.
type stamp [16]byte

// stamper makes the stamps of one scanner.
type stamper struct{ keys [2]maphash.Seed }

func newStamper() stamper { return stamper{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}} }

func (s *stamper) of(st *unix.Stat_t) stamp {
	var raw [80]byte
	for i, v := range [...]uint64{
		st.Dev, st.Ino, uint64(st.Size), uint64(st.Mode), uint64(st.Uid)<<32 | uint64(st.Gid),
		uint64(st.Mtim.Sec), uint64(st.Mtim.Nsec), uint64(st.Ctim.Sec), uint64(st.Ctim.Nsec), st.Rdev,
	} {
		binary.LittleEndian.PutUint64(raw[8*i:], v)
	}
	var out stamp
	binary.LittleEndian.PutUint64(out[:], maphash.Bytes(s.keys[0], raw[:]))
	binary.LittleEndian.PutUint64(out[8:], maphash.Bytes(s.keys[1], raw[:])|1) // never zero
	return out
}

// changed returns when the file last changed.
func changed(st *unix.Stat_t) time.Time { return time.Unix(st.Ctim.Sec, st.Ctim.Nsec) }

// sameState reports whether nothing was written to a file between two looks.
func sameState(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim && a.Mode == b.Mode
}
