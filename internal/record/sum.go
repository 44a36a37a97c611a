package record

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
)

// head begins the bytes of every entry, so that they are never mistaken for
// anything else that is hashed.
const head = "touchstone.dev/entry/v1\n"

// Encode returns the bytes of an entry that are hashed, its Hash left out:
//
//	"touchstone.dev/entry/v1\n"
//	Seq, Time                  8 bytes each, big-endian; Time in milliseconds since 1970
//	ID, Kind, Actor, About     4 bytes of length, big-endian, then the bytes
//	Body, Prev                 1 byte of length (0 or 32), then the digest's bytes
//
// It refuses an entry whose digests are malformed.
func Encode(e *Entry) ([]byte, error) {
	b := make([]byte, 0, len(head)+16+16+66+len(e.ID)+len(e.Kind)+len(e.Actor)+len(e.About))
	b = append(b, head...)
	b = binary.BigEndian.AppendUint64(b, e.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.UnixMilli()))
	for _, s := range []string{e.ID, e.Kind, e.Actor, e.About} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	for _, d := range []touchstone.Digest{e.Body, e.Prev} {
		if d == "" {
			b = append(b, 0)
			continue
		}
		if !d.Valid() {
			return nil, fmt.Errorf("encoding entry %d: %q is not a SHA-256 digest", e.Seq, string(d))
		}
		b = append(b, sha256.Size)
		b, _ = hex.AppendDecode(b, []byte(d[len("sha256:"):])) // Valid has looked at every digit
	}
	return b, nil
}

// Sum returns what the entry's Hash must be: the SHA-256 of its Encode. It
// returns "" for an entry that cannot be encoded.
func Sum(e *Entry) touchstone.Digest {
	b, err := Encode(e)
	if err != nil {
		return ""
	}
	return touchstone.DigestOf(b)
}

// errEncoding: bytes that Encode does not write.
var errEncoding = errors.New("not the encoding of an entry")

// Decode reads what Encode wrote, and sets Hash to the SHA-256 of it.
func Decode(b []byte) (Entry, error) {
	e := Entry{Hash: touchstone.DigestOf(b)}
	if len(b) < len(head)+16 || string(b[:len(head)]) != head {
		return Entry{}, errEncoding
	}
	b = b[len(head):]
	e.Seq = binary.BigEndian.Uint64(b)
	e.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:]))).UTC()
	b = b[16:]
	for _, s := range []*string{&e.ID, &e.Kind, &e.Actor, &e.About} {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
			return Entry{}, errEncoding
		}
		n := 4 + int(binary.BigEndian.Uint32(b))
		*s, b = string(b[4:n]), b[n:]
	}
	for _, d := range []*touchstone.Digest{&e.Body, &e.Prev} {
		switch {
		case len(b) >= 1 && b[0] == 0:
			b = b[1:]
		case len(b) > sha256.Size && b[0] == sha256.Size:
			*d, b = touchstone.NewDigest(b[1:1+sha256.Size]), b[1+sha256.Size:]
		default:
			return Entry{}, errEncoding
		}
	}
	if len(b) != 0 {
		return Entry{}, errEncoding
	}
	return e, nil
}

// raw returns the 32 bytes of a digest.
func raw(d touchstone.Digest) ([]byte, error) {
	if !d.Valid() {
		return nil, fmt.Errorf("%q is not a SHA-256 digest", string(d))
	}
	return hex.DecodeString(string(d[len("sha256:"):]))
}
